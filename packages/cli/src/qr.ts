/** QR codes of short texts (EARLs, contact cards): as blocks for a terminal, as a picture for a label. */
import { writeFile } from 'node:fs/promises';
import { PNG } from 'pngjs';
import { encodeQR } from 'qr';
import { CommandError } from './command-io.js';

/** Light modules around the code: fewer, and readers miss it (ISO/IEC 18004 section 9.1). */
const quietModules = 4;
/** Pixels of a module in a picture: printed at 300 dpi a module is 0.7 mm, which the camera of a telephone reads. */
const modulePixels = 8;
const light = 0xff;
const dark = 0x00;

/** Rows of modules, true = dark. Throws {@link CommandError} where the text does not fit into the largest code. */
function modulesOf(text: string): boolean[][] {
  try {
    return encodeQR(text, 'raw', { ecc: 'medium', border: quietModules });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`a text of ${text.length} characters makes no QR code (${reason}): pass it on as a file`);
  }
}

/** Two modules in one character: light is drawn, so that a dark terminal shows the code as it is printed on paper. */
function halves(upper: boolean, lower: boolean): string {
  if (upper) return lower ? ' ' : '▄';
  return lower ? '▀' : '█';
}

/**
 * The QR code of a text in half blocks, one line for two rows of modules, without colours and without a last line end. It
 * is meant for a terminal with light characters on dark ground; readers that know inverted codes take it from others too.
 * Throws {@link CommandError} where the text is too long (2,331 octets).
 */
export async function qrText(text: string): Promise<string> {
  const rows = modulesOf(text);
  const lines: string[] = [];
  for (let y = 0; y < rows.length; y += 2) {
    const upper = rows[y] ?? [];
    // Below the last row there is paper.
    const lower = rows[y + 1] ?? upper.map(() => false);
    lines.push(upper.map((module, x) => halves(module, lower[x] === true)).join(''));
  }
  return lines.join('\n');
}

/** Grey picture of the modules, one octet a pixel. */
function pictureOf(rows: readonly boolean[][]): PNG {
  const side = rows.length * modulePixels;
  const picture = new PNG({
    width: side,
    height: side,
    colorType: 0,
    inputColorType: 0,
    bitDepth: 8,
    inputHasAlpha: false,
  });
  const pixels = Buffer.alloc(side * side, light);
  rows.forEach((row, y) => {
    const line = Buffer.alloc(side, light);
    row.forEach((module, x) => {
      if (module) line.fill(dark, x * modulePixels, (x + 1) * modulePixels);
    });
    for (let i = 0; i < modulePixels; i++) line.copy(pixels, (y * modulePixels + i) * side);
  });
  picture.data = pixels;
  return picture;
}

/**
 * Writes the QR code of a text as a PNG file, over one that is there. Throws {@link CommandError} where the text is too long
 * or the file cannot be written.
 */
export async function writeQrPng(path: string, text: string): Promise<void> {
  const octets = PNG.sync.write(pictureOf(modulesOf(text)), { colorType: 0, inputColorType: 0, inputHasAlpha: false });
  try {
    await writeFile(path, octets);
  } catch (error) {
    throw new CommandError(`cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
