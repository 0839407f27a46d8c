/** Reads the vector files of `test/vectors` for the tests of this package. */
import { readFileSync } from 'node:fs';
import { decodeBase64Url } from '@meshd/encoding/base64url';
import { parseJson } from '@meshd/encoding/json-reader';
import { writeJson } from '@meshd/encoding/json-writer';

/** One vector; inputs and expectations differ by kind, so their shapes are those the tests read. */
export interface Vector {
  readonly name: string;
  readonly kind: string;
  readonly status?: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is the kind's
  readonly input: any;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is the kind's
  readonly expected: any;
}

const folder = new URL('../../../test/vectors/', import.meta.url);

/** The vectors of a file, all of them or those of one kind. */
export function vectorsOf(file: string, kind?: string): Vector[] {
  const { vectors } = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as { vectors: Vector[] };
  return kind === undefined ? vectors : vectors.filter((vector) => vector.kind === kind);
}

/** Octets of a base64url member. */
export const b64 = (text: string): Uint8Array => decodeBase64Url(text);

/** Octets of a hexadecimal member. */
export const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');

/** Lower case hexadecimal. */
export const toHex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

/** Octets of a text. */
export const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');

/** A value of a vector file as JSON octets, raw line feeds inside strings left raw, as the source printed them. */
export function asPrinted(value: unknown): Uint8Array {
  const escaped = Buffer.from(writeJson(parseJson(utf8(JSON.stringify(value))))).toString('utf8');
  return utf8(escaped.replaceAll('\\n', '\n'));
}
