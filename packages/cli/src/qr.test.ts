import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import { decodeQR } from 'qr/decode.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandError } from './command-io.js';
import { qrText, writeQrPng } from './qr.js';

const earl = 'udf://example.com/EBXI-ABCD-EFGH-IJKL-MNOP-QRST';
const pixelsPerModule = 4;

/** The text that a reader finds in a picture of the blocks on a dark terminal. */
function readBlocks(blocks: string): string {
  const lit = blocks
    .split('\n')
    .flatMap((line) => [[...line].map((c) => '█▀'.includes(c)), [...line].map((c) => '█▄'.includes(c))]);
  const [width, height] = [(lit[0]?.length ?? 0) * pixelsPerModule, lit.length * pixelsPerModule];
  const data = new Uint8Array(width * height * 4).map((_, i) => {
    const pixel = Math.floor(i / 4);
    const row = lit[Math.floor(pixel / width / pixelsPerModule)];
    return i % 4 === 3 || row?.[Math.floor((pixel % width) / pixelsPerModule)] ? 0xff : 0;
  });
  return decodeQR({ width, height, data });
}

describe('QR codes', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mesh-qr-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('[R154] a reader finds the EARL in what the terminal shows', async () => {
    expect(readBlocks(await qrText(earl))).toBe(earl);
  });

  it('[R154] a reader finds the EARL in the picture', async () => {
    const path = join(folder, 'label.png');
    await writeQrPng(path, earl);
    const { width, height, data } = PNG.sync.read(await readFile(path));
    expect(decodeQR({ width, height, data })).toBe(earl);
  });

  it('refuses what no code can hold, and a place where nothing can be written, in a sentence', async () => {
    await expect(qrText('x'.repeat(3000))).rejects.toThrow(CommandError);
    await expect(writeQrPng(join(folder, 'none', 'label.png'), earl)).rejects.toThrow(/cannot write .*label\.png/);
  });
});
