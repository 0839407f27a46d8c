/**
 * Looking for secrets in octets, in whatever form a program may have written them down: as they are, in JSON strings, in
 * base64 and hexadecimal, and inside each other, as envelopes lie in envelopes.
 */
import { parseUdf } from '@meshd/crypto/udf';

/** Something that is looked for. */
export interface Secret {
  /** What it is, for whoever reads that it was found. */
  readonly what: string;
  readonly octets: Uint8Array;
}

/** Shorter ones would be found by chance. */
const secretBytesMin = 6;
/** How deep texts lie in texts: an envelope in an entry in a frame in a message in a row is five. */
const layersMax = 6;
/** Runs that may be an encoding of something; shorter ones hide nothing that is looked for. */
const base64Run = /[A-Za-z0-9+/_-]{8,}/g;
const hexRun = /(?:[0-9a-fA-F]{2}){6,}/g;

/** A text that somebody typed or was shown. */
export function textSecret(what: string, text: string): Secret {
  return { what, octets: Buffer.from(text, 'utf8') };
}

/** A PIN, a share, the key of a code: as it is shown, without its dashes, and what it stands for. */
export function udfSecrets(what: string, text: string): Secret[] {
  const plain = text.replaceAll('-', '');
  return [
    textSecret(what, text),
    textSecret(`${what}, without dashes`, plain),
    { what: `${what}, its octets`, octets: parseUdf(text).data },
  ];
}

/** A private key as raw octets, and as the number written the other way round. */
export function keySecrets(what: string, octets: Uint8Array): Secret[] {
  return [
    { what, octets },
    { what: `${what}, reversed`, octets: Uint8Array.from(octets).reverse() },
  ];
}

/** A form of a secret. */
interface Form {
  readonly what: string;
  readonly octets: Buffer;
}

/**
 * Makes what finds secrets: all of them in one walk over the octets, as there are thousands of forms.
 *
 * @returns given octets, what is found in them, each once
 * @throws Error for a secret too short to be looked for
 */
export function secretFinder(secrets: readonly Secret[]): (octets: Uint8Array) => string[] {
  const forms = new Map<number, Form[]>();
  // Nearly every place in the octets is passed over by its two last octets alone.
  const mayEnd = new Uint8Array(0x10000);
  for (const { what, octets } of secrets.flatMap(formsOf)) {
    const start = octets.readUInt32BE(0);
    forms.set(start, [...(forms.get(start) ?? []), { what, octets }]);
    mayEnd[start & 0xffff] = 1;
  }
  const findIn = (layer: Buffer, found: Set<string>): void => {
    let window = 0;
    for (let at = 0; at < layer.length; at += 1) {
      window = ((window << 8) | (layer[at] as number)) >>> 0;
      if (at < 3 || mayEnd[window & 0xffff] === 0) continue;
      for (const { what, octets } of forms.get(window) ?? []) {
        if (layer.subarray(at - 3, at - 3 + octets.length).equals(octets)) found.add(what);
      }
    }
  };
  return (octets) => {
    const found = new Set<string>();
    for (const layer of layersOf(Buffer.from(octets))) findIn(layer, found);
    return [...found];
  };
}

/** What stands there, and what that encodes, down to the last. */
function layersOf(octets: Buffer): Buffer[] {
  const layers: Buffer[] = [];
  let layer = octets;
  for (let depth = 0; depth < layersMax && layer.length > 0; depth += 1) {
    layers.push(layer);
    layer = decoded(layer);
  }
  return layers;
}

/** Everything in it that reads as base64 or hexadecimal, decoded, one after the other. */
function decoded(octets: Buffer): Buffer {
  const text = octets.toString('latin1');
  const between = Buffer.from('\n');
  const parts: Buffer[] = [];
  for (const [run] of text.matchAll(base64Run)) parts.push(Buffer.from(run, 'base64'), between);
  for (const [run] of text.matchAll(hexRun)) parts.push(Buffer.from(run, 'hex'), between);
  return Buffer.concat(parts);
}

/** A secret as it may stand in octets that were not written to be decoded from their beginning. */
function formsOf({ what, octets }: Secret): Form[] {
  if (octets.length < secretBytesMin) throw new Error(`${what} is too short to be looked for`);
  const raw = Buffer.from(octets);
  const hex = raw.toString('hex');
  const texts = [...escapedForms(raw), hex, hex.toUpperCase(), ...[0, 1, 2].flatMap((at) => base64Forms(raw, at))];
  const forms = new Map([[hex, raw], ...texts.map((text) => [`text ${text}`, Buffer.from(text, 'utf8')] as const)]);
  return [...forms.values()].map((form) => ({ what, octets: form }));
}

/** As JSON writes it in a string, in a string in a string, and in ASCII alone. */
function escapedForms(raw: Buffer): string[] {
  const text = raw.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(raw)) return [];
  const escaped = (plain: string) => JSON.stringify(plain).slice(1, -1);
  const ascii = escaped(text).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return [escaped(text), escaped(escaped(text)), ascii];
}

/** Base64 of it behind `before` octets of something else, without the characters that depend on neighbours. */
function base64Forms(raw: Buffer, before: number): string[] {
  const whole = Buffer.concat([Buffer.alloc(before), raw]).toString('base64url');
  const first = Math.ceil((before * 8) / 6);
  const last = Math.floor(((before + raw.length) * 8) / 6);
  const url = whole.slice(first, last);
  return [url, url.replaceAll('-', '+').replaceAll('_', '/')];
}
