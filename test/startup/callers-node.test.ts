/**
 * The import check of keys under the Node that called, which on most machines is not the pinned one: older libraries verify a
 * constant under bad keys, and the check must not lean on any of them (S10).
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, isAbsolute, join, sep } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const urlOf = (path: string) => new URL(`../../${path}`, import.meta.url).href;

/** npm names the Node it runs on; else the first on the path counts that was not installed here; else our own is the one. */
function callersNode(): string {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  const candidates = [process.env.npm_node_execpath ?? '', ...onPath];
  const isForeign = (path: string) => isAbsolute(path) && !path.includes(`${sep}node_modules${sep}`);
  return candidates.find((path) => isForeign(path) && existsSync(path)) ?? process.execPath;
}

/** Prints what the compiled check says of every key and signature of the vectors, beside what they demand. */
const judge = `
  import { readFileSync } from 'node:fs';
  const [ed448, vectorFile] = process.argv.slice(1);
  const { importPublicKey, verify } = await import(ed448);
  const { vectors } = JSON.parse(readFileSync(new URL(vectorFile), 'utf8'));
  const octets = (text, form = 'base64url') => Buffer.from(text, form);
  const imported = (text) => {
    try {
      return importPublicKey(octets(text));
    } catch (error) {
      if (error.code === 'key-refused') return undefined;
      throw error;
    }
  };
  const found = [];
  for (const { name, kind, input, expected } of vectors) {
    if (kind === 'keyImport') {
      for (const { why, public: key } of input.keys) {
        const accepted = imported(key) !== undefined;
        found.push({ name, kind, of: why, accepted, expected: expected.accept });
      }
    }
    if (kind === 'signatureForms') {
      const key = imported(input.public);
      for (const [at, { signature }] of input.cases.entries()) {
        const accepted = key !== undefined && verify(key, octets(input.messageHex, 'hex'), octets(signature));
        found.push({ name, kind, of: at, accepted, expected: expected.accept[at] });
      }
    }
  }
  console.log(JSON.stringify({ version: process.versions.node, found }));
`;

interface Judged {
  readonly version: string;
  readonly found: readonly { readonly kind: string; readonly accepted: boolean; readonly expected: boolean }[];
}

it('[S10] [S11] bad keys are refused and forgeries fail under the Node of the caller, whatever its version', async () => {
  const files = [urlOf('packages/crypto/dist/ed448.js'), urlOf('test/vectors/security.json')];
  const run = promisify(execFile);
  const { stdout } = await run(callersNode(), ['--input-type=module', '-e', judge, ...files]);
  const { version, found } = JSON.parse(stdout) as Judged;
  expect(Number.parseInt(version, 10)).toBeGreaterThanOrEqual(20);
  for (const kind of ['keyImport', 'signatureForms']) expect(found.map((each) => each.kind)).toContain(kind);
  expect(found.filter(({ accepted, expected }) => accepted !== expected)).toEqual([]);
});
