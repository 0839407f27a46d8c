/**
 * The project's own client, seen by another implementer: what `mesh` stores is read with this suite's code alone, from
 * the database and the files of the device.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isSignedBy, type Opened, onlyMember, open, type Wire } from './kit/dare.js';
import { readShard, type StoredContainer, wireOf } from './kit/database.js';
import { blindedKey, decrypt } from './kit/decrypt.js';
import { type Key, newKey } from './kit/keys.js';
import { readManifest } from './kit/manifest.js';
import { b64, unb64 } from './kit/octets.js';
import { type Running, startProvider } from './kit/provider.js';
import { selfSigned } from './kit/response.js';
import { coreOf, leafOf, rootOf } from './kit/trees.js';

const launcher = fileURLToPath(new URL('../../packages/cli/bin/mesh.mjs', import.meta.url));
let running: Running;
let folder: string;
let home: string;
const address = 'casey@example.com';
beforeAll(async () => {
  running = await startProvider();
  folder = await mkdtemp(join(tmpdir(), 'meshd-interop-'));
  home = join(folder, 'home');
  const service = ['--url', running.provider.url, '--ca', running.provider.caFile];
  await mesh('account', 'create', address, ...service);
  for (const name of ['one.txt', 'two.txt']) {
    const file = join(folder, name);
    await writeFile(file, `secret of ${name}`);
    await mesh('container', 'upload', 'app_Files', file);
  }
});
afterAll(async () => {
  await running?.stop();
  await rm(folder, { recursive: true, force: true });
});

function mesh(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [launcher, ...args, '--json', '--home', home], (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${args.join(' ')}: ${stderr}`));
    });
  });
}

interface Keys {
  readonly keys: Readonly<Record<string, { readonly seed: string }>>;
  readonly keyBlind: string;
}
let keys: Keys;
let containers: StoredContainer[];
beforeAll(async () => {
  keys = JSON.parse(await readFile(join(home, 'keys.json'), 'utf8')) as Keys;
  const all = (await Promise.all(running.provider.databases.shards.map(readShard))).flat();
  containers = all.filter((container) => container.address === address);
});
const seedOf = (name: string): Uint8Array => unb64(keys.keys[name]?.seed as string);
const keyOf = (name: string): Key => newKey(seedOf(name));
const framesOf = (name: string): Opened[] => {
  const found = containers.find((container) => container.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found.frames.map((frame) => open(wireOf(frame)));
};

/** Manifests must tile all frames, each over the root of those before it, each by this key (S43). */
function expectTiles(name: string, signer: Key, subject: string): void {
  const frames = framesOf(name);
  const leaves = frames.map((frame, index) => leafOf(index, frame));
  let covered = 0;
  frames.forEach((frame, index) => {
    const entry = frame.trailer.signatures?.find(({ alg }) => alg === 'S512-MAN1');
    if (entry?.Manifest === undefined) return;
    expect(entry).toEqual({ alg: 'S512-MAN1', kid: signer.udf, Manifest: entry.Manifest });
    const manifest = readManifest(unb64(entry.Manifest), signer.raw, coreOf(frame));
    expect(manifest).toMatchObject({ version: 1, kind: 1, from: covered, index, subject, object: name });
    expect(b64(manifest?.root as Uint8Array)).toBe(b64(rootOf(leaves.slice(0, index))));
    covered = index + 1;
  });
  expect(covered).toBe(frames.length);
}

describe('what the client of this project stores', () => {
  it('[R111] [S42] the device catalog: frame 0 and this device, under an administrator’s manifests', () => {
    const account = keyOf('accountOffline').udf;
    expectTiles('mmm_Device', keyOf('meshOnline'), account);
    const [zero, first] = framesOf('mmm_Device') as [Opened, Opened];
    expect(zero.header.ContainerInfo).toMatchObject({ DataEncoding: 'JSON', Index: 0, ContainerType: 'Merkle' });
    expect(zero.meta).toMatchObject({ cty: 'application/mmm-catalog', UniqueID: expect.stringMatching(/^N/) });
    expect(first.meta).toMatchObject({ Event: 'New', UniqueID: keyOf('deviceOffline').udf });
    const [tag, device] = onlyMember(JSON.parse(Buffer.from(first.payload as Uint8Array).toString('utf8')));
    expect(tag).toBe('CatalogedDevice');
    const { DeviceUDF, EnvelopedProfileDevice, EnvelopedConnectionDevice, Accounts } = device as CatalogedDevice;
    expect(DeviceUDF).toBe(keyOf('deviceOffline').udf);
    expect(selfSigned(EnvelopedProfileDevice, 'ProfileDevice').udf).toBe(DeviceUDF);
    const mesh = keyOf('meshOnline');
    if (EnvelopedConnectionDevice) expect(isSignedBy(EnvelopedConnectionDevice, mesh.raw, mesh.udf)).toBe(true);
    const [entry] = Accounts ?? [];
    const online = keyOf('accountOnline');
    expect(entry?.AccountUDF).toBe(account);
    expect(isSignedBy(entry?.EnvelopedConnectionAccount ?? [], online.raw, online.udf)).toBe(true);
    expect(entry?.EnvelopedActivationAccount).toBeUndefined();
    const profile = entry?.EnvelopedProfileAccount ?? [];
    expect(selfSigned(profile, 'ProfileAccount').udf).toBe(account);
    expect(isSignedBy(profile, mesh.raw, mesh.udf)).toBe(true);
  });

  it('[S42] [S44] entries: under manifests of the connection’s signature key', () => {
    expectTiles('app_Files', keyOf('connectionSignature'), keyOf('accountOffline').udf);
    expect(framesOf('app_Files')).toHaveLength(3);
  });

  it('[R001] [S60] entries are encrypted to the account: fresh salts, padded, and readable with its key alone', () => {
    const kid = keyOf('accountEncryption').udf;
    const entries = framesOf('app_Files').slice(1);
    expect(new Set(entries.map(({ header }) => header.Salt)).size).toBe(entries.length);
    entries.forEach((frame, at) => {
      const name = ['one.txt', 'two.txt'][at] as string;
      expect(frame.header).toMatchObject({ enc: 'A256GCM', dig: 'S512' });
      expect(unb64(frame.header.Salt as string)).toHaveLength(16);
      const { plain } = decrypt(frame, kid, seedOf('accountEncryption'));
      expect(plain.length % 256).toBe(0);
      const [tag, file] = onlyMember(JSON.parse(Buffer.from(plain).toString('utf8'))) as [
        string,
        { Name: string; Content: string },
      ];
      expect([tag, file.Name]).toEqual(['CatalogedFile', name]);
      expect(Buffer.from(unb64(file.Content)).toString('utf8')).toBe(`secret of ${name}`);
      expect(() =>
        decrypt({ ...frame, payload: flipped(frame.payload as Uint8Array) }, kid, seedOf('accountEncryption')),
      ).toThrow();
      expect(() => decrypt(frame, kid, seedOf('connectionEncryption'))).toThrow();
    });
  });

  it('[S63] keys of items are blinded; nothing at the service tells names or contents', () => {
    const expected = ['one.txt', 'two.txt'].map((name) => blindedKey(unb64(keys.keyBlind), 'app_Files', name));
    expect(
      framesOf('app_Files')
        .slice(1)
        .map(({ meta }) => meta.UniqueID),
    ).toEqual(expected);
    for (const container of containers) {
      for (const { header, payload, trailer } of container.frames) {
        const stored = Buffer.concat([header, payload ?? Buffer.alloc(0), trailer ?? Buffer.alloc(0)]).toString(
          'latin1',
        );
        for (const word of ['secret of', 'one.txt', b64(Buffer.from('one.txt'))]) expect(stored).not.toContain(word);
      }
    }
  });

  it('[R310] no private key of the device is stored', () => {
    const stored = containers.flatMap(({ frames }) =>
      frames.flatMap(({ header, payload, trailer }) => [header, payload, trailer]),
    );
    const all = Buffer.concat(stored.map((part) => part ?? Buffer.alloc(0)));
    for (const [name, { seed }] of Object.entries(keys.keys)) {
      expect([name, all.includes(Buffer.from(unb64(seed))), all.includes(seed)]).toEqual([name, false, false]);
    }
    expect(all.includes('PrivateKeyECDH')).toBe(false);
  });
});

interface CatalogedDevice {
  readonly DeviceUDF?: string;
  readonly EnvelopedProfileDevice?: Wire;
  readonly EnvelopedConnectionDevice?: Wire;
  readonly Accounts?: readonly {
    readonly AccountUDF?: string;
    readonly EnvelopedProfileAccount?: Wire;
    readonly EnvelopedConnectionAccount?: Wire;
    readonly EnvelopedActivationAccount?: Wire;
  }[];
}

const flipped = (octets: Uint8Array): Uint8Array => {
  const copy = octets.slice();
  copy[0] = (copy[0] as number) ^ 1;
  return copy;
};
