import { mkdtemp, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BindingError } from '@meshd/binding/errors';
import { systemRandom } from '@meshd/crypto/random';
import { lock } from 'proper-lockfile';
import { describe, expect, it } from 'vitest';
import { saveAccount, saveIdentity } from './account-state.js';
import { blindedId, uniqueIdFor } from './blind.js';
import { makeDeviceKeys, saveDeviceKeys } from './device-keys.js';
import { fileBody, readBody } from './entry-body.js';
import { FakeService } from './fake-service.fixture.js';
import { Home } from './home.js';
import { makeIdentity } from './identity.js';
import { splitBatches } from './operations/upload.js';
import { Replay } from './replay.js';
import { homePins } from './service-pin.js';
import { Session } from './session.js';

const folder = () => mkdtemp(join(tmpdir(), 'mesh-home-'));

describe('[S63] blinded keys', () => {
  const vectors = new URL('../../../test/vectors/security.json', import.meta.url);

  it('are those of the vectors', async () => {
    const { vectors: all } = JSON.parse(await readFile(vectors, 'utf8'));
    const found = all.filter(({ kind }: { kind: string }) => kind === 'blindKey');
    expect(found).not.toEqual([]);
    for (const { input, expected } of found) {
      const key = Buffer.from(input.keyBlindHex, 'hex');
      expect(blindedId(key, input.container, input.plainKey)).toBe(expected.UniqueID);
    }
  });

  it('are the default everywhere but for devices and contacts', () => {
    const key = new Uint8Array(32);
    expect(uniqueIdFor(key, 'mmm_Device', 'plain')).toBe('plain');
    expect(uniqueIdFor(key, 'mmm_Contact', 'plain')).toBe('plain');
    expect(uniqueIdFor(key, 'mmm_Bookmark', 'plain')).not.toContain('plain');
    expect(uniqueIdFor(key, 'mmm_Bookmark', 'plain')).not.toBe(uniqueIdFor(key, 'mmm_Network', 'plain'));
  });
});

describe('a home', () => {
  it('lets one process in at a time', async () => {
    const home = new Home(await folder());
    const order: string[] = [];
    const entered = Promise.withResolvers<void>();
    const mayLeave = Promise.withResolvers<void>();
    const first = home.exclusively(async () => {
      entered.resolve();
      await mayLeave.promise;
      order.push('first');
    });
    await entered.promise;
    const second = home.exclusively(async () => void order.push('second'));
    const outsider = lock(home.folder, { lockfilePath: home.path('.lock') });
    await expect(outsider).rejects.toMatchObject({ code: 'ELOCKED' });
    mayLeave.resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
  });

  it('replaces files as a whole and keeps them private', async () => {
    const home = new Home(await folder());
    await home.write('old', 'a', 'b.json');
    await home.write('new', 'a', 'b.json');
    expect(await readFile(home.path('a', 'b.json'), 'utf8')).toBe('new');
    expect((await stat(home.path('a', 'b.json'))).mode & 0o777).toBe(0o600);
    expect(await home.list('a')).toEqual(['b.json']);
  });

  it('[S26] keeps pins with the raw key', async () => {
    const pins = homePins(new Home(await folder()));
    const pin = {
      domain: 'example.com',
      serviceKey: new Uint8Array(57).fill(7),
      profileService: new Uint8Array(9),
      features: ['auth-1'],
      pinnedMs: 5,
    };
    await pins.put(pin);
    expect(await pins.get('example.com')).toEqual(pin);
    expect(await pins.get('example.org')).toBeUndefined();
  });
});

describe('event replay', () => {
  const rules = { kind: 'catalog', keyed: true } as const;

  it('takes New, Update, Delete and New again', () => {
    const replay = new Replay(rules);
    replay.apply(1, { UniqueID: 'k', Event: 'New' });
    replay.apply(2, { UniqueID: 'k', Event: 'Update', First: 1, Previous: 1 });
    replay.apply(3, { UniqueID: 'k', Event: 'Delete', First: 1, Previous: 2 });
    replay.apply(4, { UniqueID: 'k', Event: 'New' });
    expect(replay.items.get('k')).toEqual({ first: 4, current: 4 });
  });

  it('refuses what contradicts the frames before', () => {
    const faults = [
      { Event: 'New' },
      { UniqueID: 'k' },
      { UniqueID: 'k', Event: 'Update', First: 1, Previous: 1 },
      { UniqueID: 'k', Event: 'Delete', First: 1, Previous: 1 },
      { UniqueID: 'k', Event: 'Rename' },
      {},
    ];
    for (const meta of faults) expect(() => new Replay(rules).apply(1, meta)).toThrow('false history');
  });

  it('lets applications have entries without a key', () => {
    expect(() => new Replay({ kind: 'catalog', keyed: false }).apply(1, {})).not.toThrow();
  });

  it('wants every entry of a spool to have a name of its own', () => {
    const replay = new Replay({ kind: 'spool', keyed: false });
    replay.apply(1, { UniqueID: 'm' });
    expect(() => replay.apply(2, { UniqueID: 'm' })).toThrow('already');
    expect(() => replay.apply(2, {})).toThrow('UniqueID');
  });
});

describe('bodies of entries', () => {
  it('give files back octet for octet, padding or not', () => {
    const content = Uint8Array.from(systemRandom(1000));
    const padded = Buffer.concat([fileBody('a name', content, 0), Buffer.from('     ')]);
    expect(readBody(padded)).toEqual({ name: 'a name', content, plainKey: 'a name' });
  });

  it('know the keys of catalog entries', () => {
    const body = Buffer.from('{"CatalogedCredential":{"Service":"ftp.example.com"}}   ');
    expect(readBody(body)).toMatchObject({ name: 'CatalogedCredential', plainKey: ':ftp.example.com' });
  });
});

describe('batches', () => {
  const entry = (size: number) => ({
    uniqueId: `${size}`,
    name: 'n',
    body: { header: {}, payload: new Uint8Array(size), witness: () => new Uint8Array(0) },
  });

  it('stay within both bounds of the service', () => {
    const bounds = { entriesMax: 4, payloadBytesMax: 100 };
    const sizes = [10, 10, 10, 10, 60, 60].map(entry);
    expect(splitBatches(sizes, bounds).map((batch) => batch.length)).toEqual([3, 2, 1]);
  });

  it('refuse an entry that no batch can hold', () => {
    expect(() => splitBatches([entry(101)], { entriesMax: 4, payloadBytesMax: 100 })).toThrow('too large');
  });
});

describe('a session', () => {
  it('repeats a request under the same ID until an authenticated answer comes', async () => {
    const home = new Home(await folder());
    const keys = makeDeviceKeys(systemRandom);
    const identity = makeIdentity(keys, 'alice@example.com', 0, 'test');
    const { meshUdf, deviceUdf, accountUdf } = identity;
    const address = 'alice@example.com';
    const state = {
      version: 1,
      address,
      url: 'https://example.com',
      stage: 'ready',
      meshUdf,
      deviceUdf,
      accountUdf,
    } as const;
    await saveDeviceKeys(home, keys);
    await saveIdentity(home, identity);
    await saveAccount(home, state);
    const service = new FakeService();
    const ids: (Uint8Array | undefined)[] = [];
    const faults = [new BindingError('transport', 'gone'), new BindingError('timeout', 'late')];
    const environment = {
      ...service.environment(),
      connect: () => ({
        ...service.connect(),
        call: async (...args: Parameters<ReturnType<typeof service.connect>['call']>) => {
          ids.push(args[3]?.id);
          const fault = faults.shift();
          if (fault !== undefined) throw fault;
          return service.connect().call(...args);
        },
      }),
    };
    const session = await Session.open(home, environment as never, state);
    const { status } = await session.call('Status', {});
    expect(status).toBe(201);
    expect(ids).toHaveLength(3);
    expect(ids[1]).toEqual(ids[0]);
    expect(ids[2]).toEqual(ids[0]);
  });
});
