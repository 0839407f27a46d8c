import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { udfOfKey } from '@meshd/crypto/key-udf';
import { frameZero, sealBatch } from '@meshd/dare/batch';
import { type EnvelopeOctets, writeEnvelope } from '@meshd/dare/envelope';
import { emptyLog } from '@meshd/dare/log-tree';
import { emptyDareTree } from '@meshd/dare/merkle';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandIo, type IoSettings, processIo } from '../command-io.js';
import { registerContainerFileCommands } from './container-file.js';
import { registerDareCommands } from './dare.js';
import { registerJsonCommands } from './json.js';
import { registerKeyCommands } from './key.js';

interface Vector {
  readonly name: string;
  readonly kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is the kind's
  readonly input: any;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is the kind's
  readonly expected: any;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mesh-dare-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const vectors = (file: string): Vector[] =>
  JSON.parse(readFileSync(new URL(`../../../../test/vectors/${file}`, import.meta.url), 'utf8')).vectors;
const path = (name: string): string => join(folder, name);
function file(name: string, content: string | Uint8Array): string {
  writeFileSync(path(name), content);
  return path(name);
}

interface Outcome {
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own result
  result: any;
  human: string;
  exitCode: number;
  output: Buffer;
}

async function run(json: boolean, args: readonly string[]): Promise<Outcome> {
  const settings: IoSettings = { json, home: folder, exitCode: 0 };
  const outcome: Outcome = { result: undefined, human: '', exitCode: 0, output: Buffer.alloc(0) };
  const world = processIo(settings);
  const io: CommandIo = Object.create(world, {
    note: { value: () => undefined },
    print: {
      value: (result: unknown, human: string | (() => string)) => {
        outcome.result = JSON.parse(
          JSON.stringify(result, (_, value) => (value instanceof Uint8Array ? 'octets' : value)),
        );
        outcome.human = typeof human === 'string' ? human : human();
      },
    },
    writeFile: {
      value: async (target: string, octets: Uint8Array, options: object) => {
        if (target === '-') outcome.output = Buffer.from(octets);
        else await world.writeFile(target, octets, options);
      },
    },
  });
  const program = new Command('mesh').exitOverride();
  registerDareCommands(program, io);
  registerJsonCommands(program, io);
  registerContainerFileCommands(program, io);
  registerKeyCommands(program, io);
  for (const group of program.commands) {
    for (const command of group.commands) command.exitOverride().configureOutput({ writeErr: () => undefined });
  }
  await program.parseAsync([...args], { from: 'user' });
  return { ...outcome, exitCode: settings.exitCode };
}

const mesh = (...args: string[]): Promise<Outcome> => run(true, args);

describe('mesh dare verify', () => {
  for (const { name, input, expected } of vectors('envelope.json')) {
    test(`[R072] ${name}`, async () => {
      const envelope = file(`${name}.dare`, JSON.stringify(input.envelope));
      const key = `Ed448:${input.signerPublicKey ?? vectors('envelope.json')[0]?.input.signerPublicKey}`;
      const { result, exitCode, human } = await mesh('dare', 'verify', envelope, '--key', key);
      if (expected.accept === false) {
        expect(exitCode).toBe(1);
        expect(result.valid).toBe(false);
        expect(result.failure).toMatch(/PayloadDigest/);
        expect(result.signatures[0].valid).toBe(false);
        return;
      }
      expect(exitCode).toBe(0);
      expect(human).toMatch(/^valid/);
      expect(result).toEqual({
        valid: true,
        payloadDigest: expected.payloadDigest,
        signatures: [{ kid: expected.kid, valid: true, trusted: true }],
        failure: null,
      });
    });
  }

  test('without keys a self-signed profile is checked against its own, an account has none of its own', async () => {
    const of = (name: string) => path(`seed-${name}.dare`);
    expect((await mesh('dare', 'verify', of('EnvelopedProfileHost'))).result.valid).toBe(true);
    const account = await mesh('dare', 'verify', of('SignedAssertionAccount'));
    expect(account.exitCode).toBe(1);
    expect(account.result).toMatchObject({ valid: false, signatures: [{ valid: false, trusted: false }] });
    expect(account.human).toMatch(/not trusted/);
  });

  test('a key counts only for the kid that is its UDF, unless names are ignored', async () => {
    const [host, service] = [vectors('envelope.json')[1], vectors('envelope.json')[0]];
    const renamed = JSON.stringify(host?.input.envelope).replace(host?.expected.kid, service?.expected.kid);
    const envelope = file('renamed.dare', renamed);
    const key = ['--key', `Ed448:${host?.input.signerPublicKey}`];
    expect((await mesh('dare', 'verify', envelope, ...key)).result.signatures[0]).toMatchObject({ trusted: false });
    expect((await mesh('dare', 'verify', envelope, ...key, '--ignore-kid')).result.valid).toBe(true);
    const other = ['--key', `Ed448:${service?.input.signerPublicKey}`];
    const wrong = await mesh('dare', 'verify', envelope, ...other, '--ignore-kid');
    expect(wrong.result).toMatchObject({ valid: false, signatures: [{ valid: false, trusted: true }] });
    const bare = host?.expected.kid.replaceAll('-', '').toLowerCase();
    const written = file('bare.dare', JSON.stringify(host?.input.envelope).replace(host?.expected.kid, bare));
    expect((await mesh('dare', 'verify', written, ...key)).result).toMatchObject({ valid: true });
    // with other keys given, the profile's own key says whether the signature holds, not that it is to be trusted
    const untrusted = await mesh('dare', 'verify', path('seed-EnvelopedProfileHost.dare'), ...other);
    expect(untrusted.result).toMatchObject({ valid: false, signatures: [{ valid: true, trusted: false }] });
    await expect(mesh('dare', 'verify', envelope, '--ignore-kid')).rejects.toThrow(/needs --key/);
  });

  for (const { name, input, expected } of vectors('messages.json')) {
    test(`[R070] every envelope of the draft's message: ${name}`, async () => {
      const { result, exitCode } = await mesh('dare', 'verify', file(`${name}.json`, input.text));
      expect(exitCode).toBe(expected.envelopes > 0 ? 0 : 1);
      expect(result.envelopes?.length ?? 0).toBe(expected.envelopes);
      expect(result.signatures.every((one: { valid: boolean; trusted: boolean }) => one.valid && one.trusted)).toBe(
        true,
      );
    });
  }

  test('an Ed25519 signature counts in the contextual form alone', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url');
    const kid = udfOfKey('Ed25519', raw);
    const signature = sign(null, createHash('sha512').update('x').digest(), privateKey).toString('base64url');
    const envelope = JSON.stringify([{}, 'eA', { signatures: [{ alg: 'S512', kid, signature }] }]);
    const key = `Ed25519:${raw.toString('base64url')}`;
    const { result } = await mesh('dare', 'verify', file('ed25519', envelope), '--key', key);
    expect(result.signatures).toEqual([{ kid, valid: false, trusted: true }]);
  });

  test('[S41] a frame whose only proof is a manifest is verified by it', async () => {
    const key = signingKeyFromSeed(Buffer.alloc(57, 3));
    const draft = frameZero({ contentType: 'application/mmm-catalog', uniqueId: 'NAAA', createdMs: 0 });
    const context = { signer: key, accountUdf: 'MAAA', container: 'mmm_Credential', createdMs: 0 };
    const { envelopes } = sealBatch([draft], { ...context, tree: emptyDareTree, log: emptyLog });
    const frame = file('frame', writeEnvelope(envelopes[0] as EnvelopeOctets));
    const trust = `Ed448:${Buffer.from(key.publicKey.raw).toString('base64url')}`;
    expect((await mesh('dare', 'verify', frame, '--key', trust)).result).toMatchObject({ valid: true, failure: null });
    const moved = file('moved', readFileSync(frame, 'utf8').replace('"ContentMetaData":"ey', '"ContentMetaData":"eyA'));
    expect((await mesh('dare', 'verify', moved, '--key', trust)).result.valid).toBe(false);
  });

  test('[S03] a signature over nothing, no signature, no envelope', async () => {
    const kid = vectors('envelope.json')[0]?.expected.kid;
    const key = ['--key', `Ed448:${vectors('envelope.json')[0]?.input.signerPublicKey}`];
    const empty = JSON.stringify([{}, '', { signatures: [{ alg: 'S512', kid, signature: 'A'.repeat(152) }] }]);
    expect((await mesh('dare', 'verify', file('a', empty), ...key)).result.failure).toMatch(/empty payload/);
    expect((await mesh('dare', 'verify', file('b', '[{},"QQ"]'))).result.failure).toMatch(/no signature/);
    expect((await mesh('dare', 'verify', file('c', 'no envelope'))).result).toMatchObject({
      valid: false,
      payloadDigest: null,
    });
    expect((await mesh('dare', 'verify', file('d', '[{},"QQ",{},{}]'))).exitCode).toBe(1);
    expect((await mesh('dare', 'verify', file('e', '[{"dig":"X"},"QQ",{}]'))).result.failure).toMatch(/algorithm/);
    await expect(mesh('dare', 'verify', path('absent'))).rejects.toThrow(/does not exist/);
    await expect(mesh('dare', 'verify', path('a'), '--key', `Ed448:AQ${'A'.repeat(74)}`)).rejects.toThrow(/refused/);
    await expect(mesh('dare', 'verify', path('a'), '--key', 'Ed448')).rejects.toThrow(/CURVE:BASE64URL/);
  });
});

describe('mesh dare encode and decode', () => {
  test('[R204] signed and encrypted content comes back, and its signature verifies', async () => {
    const alice = await mesh('key', 'new', path('alice.key'));
    const bob = await mesh('key', 'new', path('bob.key'));
    const bobSeed = JSON.parse(readFileSync(path('bob.key'), 'utf8')).seed;
    const text = '{"Text":"ok?"}\n';
    const to = `Ed448:${bob.result.public}`;
    const common = ['--sign', path('alice.key'), '--to', to, '--type', 'application/mmm'];
    const made = await mesh('dare', 'encode', file('content', text), ...common, '--out', path('sealed.dare'));
    expect(made.result.signers).toEqual([alice.result.udf]);
    const verdict = await mesh('dare', 'verify', path('sealed.dare'), '--key', `Ed448:${alice.result.public}`);
    expect(verdict.result.valid).toBe(true);
    const opened = await mesh('dare', 'decode', path('sealed.dare'), '--private', `Ed448:${bobSeed}`);
    expect(Buffer.from(opened.result.content, 'base64url').toString()).toBe(text);
    expect(opened.result).toMatchObject({ contentType: 'application/mmm', encrypted: true });
    const raw = await run(false, ['dare', 'decode', path('sealed.dare'), '--private', `Ed448:${bobSeed}`]);
    expect(raw.output.toString()).toBe(text);
    await expect(mesh('dare', 'decode', path('sealed.dare'))).rejects.toThrow(/--private/);
    const aliceSeed = JSON.parse(readFileSync(path('alice.key'), 'utf8')).seed;
    await expect(mesh('dare', 'decode', path('sealed.dare'), '--private', `Ed448:${aliceSeed}`)).rejects.toThrow(
      /not encrypted to/,
    );
  });

  test('[R204] plain content of any octets; the envelope is the one JSON document', async () => {
    const octets = Uint8Array.from({ length: 256 }, (_, at) => at);
    const made = await mesh('dare', 'encode', file('octets', octets));
    expect(JSON.parse(made.human)).toEqual(made.result);
    file('plain.dare', made.human);
    await mesh('dare', 'decode', path('plain.dare'), '--out', path('octets.out'));
    expect(Buffer.compare(readFileSync(path('octets.out')), octets)).toBe(0);
  });

  test('[R072] a changed payload is not decoded', async () => {
    const { result } = await mesh('dare', 'encode', file('x', 'x'));
    await expect(mesh('dare', 'decode', file('y.dare', JSON.stringify([result[0], 'eQ', result[2]])))).rejects.toThrow(
      /digest/,
    );
  });

  for (const { name, input, expected } of vectors('encryption.json')) {
    test(`vector ${name}`, async () => {
      const seed =
        input.recipientPrivateEd448Seed === undefined
          ? `Ed25519:${input.recipientPrivateEd25519Seed}`
          : `Ed448:${input.recipientPrivateEd448Seed}`;
      const envelope = file(`${name}.dare`, JSON.stringify(input.envelope));
      const { result } = await mesh('dare', 'decode', envelope, '--private', seed);
      expect(Buffer.from(result.content, 'base64url').toString('utf8')).toBe(expected.plaintextUtf8);
      const annotations = result.annotations.map((one: string) => Buffer.from(one, 'base64url').toString('utf8'));
      expect(annotations).toEqual(
        (expected.annotations ?? []).map((one: { plaintextUtf8: string }) => one.plaintextUtf8),
      );
    });
  }

  test('keys that sign or receive nothing are refused by name', async () => {
    await mesh('key', 'new', path('x448.key'), '--curve', 'X448');
    await expect(mesh('dare', 'encode', path('x'), '--sign', path('x448.key'))).rejects.toThrow(/signed with Ed448/);
    const { result } = await mesh('key', 'show', path('x448.key'));
    await expect(mesh('dare', 'encode', path('x'), '--to', `X448:${result.public}`)).rejects.toThrow(/use Ed448/);
  });
});

describe('mesh json convert', () => {
  for (const { name, input, expected } of vectors('jsonb.json')) {
    test(`[R091] vector ${name}`, async () => {
      const hex = input.hex ?? expected.hex;
      const value = input.value ?? expected.value;
      if (expected?.accept === false || value === undefined || hex === undefined) return;
      const args = [
        'json',
        'convert',
        '--from',
        'json-b',
        '--to',
        'json',
        file('in.jsonb', Buffer.from(hex, 'hex')),
        '-',
      ];
      const { output } = await mesh(...args);
      expect(JSON.parse(output.toString('utf8'))).toEqual(value);
    });
  }

  test('[R091] there and back, octets included; a file gets a summary, standard output does not', async () => {
    const text = '{"a":[1,-2,9007199254740993,true,null,"ü"],"b":{"$binary":"AAEC"},"c":1.5}';
    const there = await mesh(
      'json',
      'convert',
      '--from',
      'json',
      '--to',
      'json-b',
      file('v.json', text),
      path('v.jsonb'),
    );
    expect(there.result).toMatchObject({ from: 'json', to: 'json-b', bytesIn: Buffer.byteLength(text) });
    expect(readFileSync(path('v.jsonb')).includes(Buffer.from('8803000102', 'hex'))).toBe(true);
    const back = await mesh('json', 'convert', '--from', 'json-b', '--to', 'json', path('v.jsonb'), '-');
    expect(back.output.toString('utf8')).toBe(text);
    expect(back.result).toBeUndefined();
    await expect(mesh('json', 'convert', '--from', 'json', '--to', 'json', file('w', '{'), '-')).rejects.toThrow();
    await expect(mesh('json', 'convert', '--from', 'xml', '--to', 'json', path('w'), '-')).rejects.toThrow(/xml/);
  });
});

describe('mesh container on files', () => {
  test('[R116] create, append, list, verify, and a torn end', async () => {
    const container = path('mail.dcon');
    await mesh('container', 'create', container, '--type', 'application/mmm-catalog');
    await expect(mesh('container', 'create', container)).rejects.toThrow(/exists already/);
    const appended = await mesh('container', 'append', container, file('1', 'one'), file('2', 'two'));
    expect(appended.result.frames.map((frame: { index: number }) => frame.index)).toEqual([1, 2]);
    const listed = await mesh('container', 'list', container);
    expect(listed.result.map((frame: { index: number }) => frame.index)).toEqual([0, 1, 2]);
    expect(listed.result[2]).toMatchObject({
      offset: appended.result.frames[1].offset,
      payloadLength: 3,
      treePosition: expect.any(Number),
    });
    const verified = await mesh('container', 'verify', container);
    expect(verified).toMatchObject({
      exitCode: 0,
      result: { valid: true, kind: 'Merkle', frameCount: 3, tornBytes: 0 },
    });

    const whole = readFileSync(container);
    writeFileSync(container, whole.subarray(0, whole.length - 5));
    expect((await mesh('container', 'verify', container)).result).toMatchObject({ valid: true, frameCount: 2 });
    await mesh('container', 'append', container, file('3', 'three'));
    expect((await mesh('container', 'verify', container)).result).toMatchObject({ frameCount: 3, tornBytes: 0 });
  });

  test.each(['List', 'Digest', 'Chain', 'Tree', 'merkle'])('[R116] kind %s', async (kind) => {
    const container = path(`${kind}.dcon`);
    await mesh('container', 'create', container, '--kind', kind);
    await mesh('container', 'append', container, path('1'), path('2'));
    expect((await mesh('container', 'verify', container)).result.valid).toBe(true);
    await expect(mesh('container', 'create', path('z'), '--kind', 'Heap')).rejects.toThrow(/one of List/);
  });

  test('[R116] signed and encrypted frames, and envelopes as they are', async () => {
    const container = path('signed.dcon');
    await mesh('container', 'create', container);
    await mesh('container', 'append', container, path('1'), '--sign', path('alice.key'), '--type', 'text/plain');
    await mesh('container', 'append', container, path('sealed.dare'), '--envelope');
    const { result, human } = await mesh('container', 'list', container);
    expect(result[1].signatures.length).toBe(1);
    expect(result[2]).toMatchObject({ encryption: 'A256GCM', contentType: 'application/mmm' });
    expect(human.split('\n').length).toBe(3);
  });

  test('[R116] damage is told, not repaired', async () => {
    const damaged = readFileSync(path('mail.dcon'));
    damaged[damaged.indexOf('one')] = 0;
    const { result, exitCode } = await mesh('container', 'verify', file('damaged', damaged));
    expect(exitCode).toBe(1);
    expect(result.failure).toMatch(/PayloadDigest/);
    await expect(mesh('container', 'list', path('damaged'))).rejects.toThrow(/no sound container/);
    await expect(mesh('container', 'append', path('1'), path('2'))).rejects.toThrow(/no whole frame/);
  });

  test('[R229] digests by both rules', async () => {
    for (const { kind, input, expected } of vectors('container.json')) {
      if (kind !== 'chain' && kind !== 'merkle') continue;
      const { result } = await mesh(
        'container',
        'digests',
        '--rule',
        kind,
        file('digests', JSON.stringify(input.payloadDigests)),
      );
      expect(result).toEqual(expected);
    }
    await expect(mesh('container', 'digests', '--rule', 'chain', file('n', '{}'))).rejects.toThrow(/array/);
    await expect(mesh('container', 'digests', '--rule', 'chain', file('n', 'x'))).rejects.toThrow(/no JSON/);
    await expect(mesh('container', 'digests', '--rule', 'chain', file('n', '["QQ"]'))).rejects.toThrow(/64 expected/);
  });
});
