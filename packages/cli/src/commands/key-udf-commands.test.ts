import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { registerKeyCommands } from './key.js';
import { runCommands } from './run-commands.fixture.js';
import { registerUdfCommands } from './udf.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mesh-key-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const mesh = (...args: string[]) =>
  runCommands({ register: [registerKeyCommands, registerUdfCommands], home: folder }, args);

async function file(content: string): Promise<string> {
  const path = join(folder, `content-${content.length}`);
  const { writeFile } = await import('node:fs/promises');
  await writeFile(path, content);
  return path;
}

describe('mesh udf', () => {
  test('digest and authenticator', async () => {
    const path = await file('UDF Data Value');
    const digest = await mesh('udf', 'digest', path, '--type', 'text/plain', '--bits', '100');
    expect(digest.result).toEqual({ udf: 'MDDK-7N6A-727A-JZNO-STRX' });
    const sha3 = await mesh('udf', 'digest', path, '--type', 'text/plain', '--sha3');
    expect(sha3.result.udf).toMatch(/^K/);
    const key = 'NDD7-6CMX-H2FW-ISAL-K4VB-DQ3E-PEDM';
    const authenticator = await mesh('udf', 'authenticator', path, '--type', 'text/plain', '--key', key);
    expect(authenticator.result.udf).toMatch(/^A/);
    await expect(mesh('udf', 'digest', path)).rejects.toThrow(/--type/);
    await expect(mesh('udf', 'digest', path, '--type', 'text/plain', '--bits', '1e3')).rejects.toThrow(/whole number/);
  });

  test('key, parse, earl, derive', async () => {
    const raw = Buffer.from('857630c42cb15198f932f680d235955e564a28e50508b39c10615e5f82bb18f7', 'hex').toString(
      'base64url',
    );
    const key = await mesh('udf', 'key', 'Ed25519', raw);
    expect(key.result.oid).toMatch(/^OAYC-4MAH/);
    expect((await mesh('udf', 'parse', key.result.udf.toLowerCase())).result.canonical).toBe(key.result.udf);
    const earl = await mesh('udf', 'earl', 'EBXI-SDDC-QJME-B3DV-DSSR-PP7V-QBVF-EG', '--domain', 'example.com');
    expect(earl.result.url).toMatch(/^https:\/\/example.com\/.well-known\/mmm-udf\/MA7I-5WGZ/);
    for (const none of ['a/b', 'a..b', '-a.b', '127.0.0.1']) {
      await expect(mesh('udf', 'earl', 'EBXI', '--domain', none)).rejects.toThrow(/host name/);
    }
    const derived = await mesh('udf', 'derive', 'ZAAA-ILZB-KTQV-YWUK-FO7E-MQVV-EWPR-UPA', '--curve', 'Ed448');
    expect(derived.result.seedHex).toMatch(/^df5a89b8/);
    expect(Buffer.from(derived.result.public, 'base64url')).toHaveLength(57);
  });

  test('split and recover', async () => {
    const secret = 'EALD-BHS4-SQXO-V7HJ-VPGX-36DA-JS2Q';
    const { result } = await mesh('udf', 'split', secret, '--shares', '5', '--quorum', '3');
    expect(result.shares).toHaveLength(5);
    expect((await mesh('udf', 'recover', ...result.shares.slice(2))).result).toEqual({ udf: secret });
    await expect(mesh('udf', 'recover', ...result.shares.slice(3))).rejects.toThrow(/too few/);
  });
});

describe('mesh key', () => {
  test('a new key file is for its owner alone and is never replaced', async () => {
    const path = join(folder, 'alice.key');
    const made = await mesh('key', 'new', path);
    expect(made.result.curve).toBe('Ed448');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(Object.keys(JSON.parse(readFileSync(path, 'utf8')))).toEqual(['curve', 'seed', 'public', 'udf']);
    expect((await mesh('key', 'show', path)).result).toEqual(made.result);
    await expect(mesh('key', 'new', path)).rejects.toThrow(/exists already/);
    await expect(mesh('key', 'new', '-')).rejects.toThrow(/name one/);
  });

  test.each(['Ed25519', 'X448', 'X25519'])('a key of %s', async (curve) => {
    const path = join(folder, `${curve}.key`);
    const made = await mesh('key', 'new', path, '--curve', curve);
    expect(made.result.curve).toBe(curve);
    expect((await mesh('key', 'check', curve, made.result.public)).result).toEqual({
      accepted: true,
      udf: made.result.udf,
    });
  });

  const x25519 = (beginning: string) => `${beginning.padEnd(41, 'IYzni76')}AA`;
  test.each(['-', '-h', '-V', '--', '--help', '--j'])('a key that begins with %s is no option', async (beginning) => {
    const key = x25519(beginning);
    const { udf } = (await mesh('key', 'check', 'X25519', key)).result;
    expect(udf).toMatch(/^M/);
    // The same octets in plain base64 have no dash in front.
    expect((await mesh('key', 'check', 'X25519', `+${key.slice(1)}`)).result).toEqual({ accepted: true, udf });
    expect((await mesh('key', 'check', 'X25519', '--', `${key}=`)).result).toEqual({ accepted: true, udf });
    expect((await mesh('udf', 'key', 'X25519', key)).result.udf).toBe(udf);
  });

  test('an option that nobody knows is told as such, and help is help', async () => {
    await expect(mesh('key', 'check', 'X25519', '--juggle')).rejects.toThrow(/unknown option '--juggle'/);
    await expect(mesh('key', 'check', '-h')).rejects.toMatchObject({ code: 'commander.helpDisplayed' });
  });

  test('[S10] a refused key exits 1 and says why', async () => {
    const identity = `AQ${'A'.repeat(74)}`;
    const { result, exitCode } = await mesh('key', 'check', 'Ed448', identity);
    expect(exitCode).toBe(1);
    expect(result).toEqual({ accepted: false, reason: 'the point is of small order' });
    await expect(mesh('key', 'check', 'P-256', identity)).rejects.toThrow(/one of Ed448/);
  });
});
