import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FrameRow, Store } from './store.js';
import { keyText } from './store.js';
import {
  append,
  makeAccount,
  openServiceStore,
  shardDatabase,
  type TestDatabase,
  testBatch,
  testFields,
  testFrame,
  testSeen,
} from './test-kit.js';

let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await shardDatabase();
  store = await openServiceStore(database.url);
});
afterAll(async () => {
  await store.stop();
  await database.drop();
});

async function framesOf(address: string, name: string, selection = {}): Promise<FrameRow[]> {
  return store.readAccount(address, async (reader) => {
    const container = reader.state?.containers.get(name);
    const found: FrameRow[] = [];
    if (container === undefined) return found;
    for await (const chunk of reader.frames(container, { from: 0, to: Number.MAX_SAFE_INTEGER, ...selection })) {
      found.push(...chunk);
    }
    return found;
  });
}

/** Another process's view: everything from the database. */
async function reopened<T>(look: (store: Store) => Promise<T>): Promise<T> {
  await store.stop();
  store = await openServiceStore(database.url);
  return look(store);
}

describe('accounts', () => {
  it('keeps everything of an account across a restart', async () => {
    const fields = testFields();
    const device = {
      ...{ deviceUdf: 'MDEV', keyAuthentication: randomBytes(57), keySignature: randomBytes(57) },
      ...{ connectionDigest: randomBytes(64), connectionSigner: randomBytes(57), entryIndex: 1, revokedAtMs: null },
      ...{ ticketsFromMs: 5, cuts: [{ container: 'mmm_Credential', size: 2, root: 'cm9vdA' }] },
      permissions: [{ name: 'mmm_Credential', role: 'read' }, { name: 'Messaging' }],
    };
    const revoked = randomBytes(57);
    await store.transactAccount('alice@example.com', async (transactor) => {
      expect(transactor.state).toBeUndefined();
      expect(transactor.name).toEqual({ quarantinedUntilMs: null });
      await transactor.commit({ create: fields, containers: [testBatch('mmm_Inbound', undefined, [testFrame(0)])] });
      await transactor.commit({ devices: [device], revokedKeys: [revoked], deviceCatalogBegun: true });
    });
    const before = await store.readAccount('alice@example.com', ({ state }) => state);
    const after = await reopened((other) => other.readAccount('alice@example.com', ({ state }) => state));
    expect(after?.containers.get('mmm_Inbound')?.frameCount).toBe(1);
    expect(after?.revokedKeys).toEqual(new Set([keyText(revoked)]));
    expect(plain(after)).toEqual(plain(before));
    expect(plain(after)).toMatchObject({ ...(plain(fields) as object), deviceCatalogBegun: true });
  });

  it('refuses a second account of the same name, in memory and in the database', async () => {
    await makeAccount(store, 'twice@example.com');
    await expect(makeAccount(store, 'twice@example.com')).rejects.toMatchObject({ code: 'stale' });
    const columns = await database.query<{ list: string }>(
      `SELECT string_agg(column_name, ', ') AS list FROM information_schema.columns
       WHERE table_name = 'account' AND column_name <> 'id'`,
    );
    const list = columns[0]?.list;
    await expect(
      database.query(
        `INSERT INTO account (id, ${list}) SELECT id + 1000000, ${list} FROM account WHERE address = 'twice@example.com'`,
      ),
    ).rejects.toThrow('account_living_address');
  });

  it('replaces profiles and leaves the rest', async () => {
    await makeAccount(store, 'replace@example.com');
    const fields = testFields({ accountUpdatedMs: 7 });
    await store.transactAccount('replace@example.com', (transactor) => transactor.commit({ replace: fields }));
    const state = await reopened((other) => other.readAccount('replace@example.com', (reader) => reader.state));
    expect(plain(state)).toMatchObject(plain(fields) as object);
    expect(state?.containers.size).toBe(1);
  });

  it('quarantines the name of a deleted account', async () => {
    await makeAccount(store, 'gone@example.com');
    await store.transactAccount('gone@example.com', (transactor) => transactor.commit({ remove: true }));
    const look = (other: Store) => other.readAccount('gone@example.com', ({ state, name }) => ({ state, name }));
    for (const found of [await look(store), await reopened(look)]) {
      expect(found.state).toBeUndefined();
      expect(found.name.quarantinedUntilMs).toBeGreaterThan(Date.now() + 89 * 24 * 3600 * 1000);
    }
    await expect(makeAccount(store, 'gone@example.com')).rejects.toMatchObject({ code: 'stale' });
    await expect(append(store, 'gone@example.com', 'mmm_Credential', [testFrame()])).rejects.toMatchObject({
      code: 'stale',
    });
  });
});

describe('containers', () => {
  it('gives out what was appended, octet for octet', async () => {
    await makeAccount(store, 'frames@example.com');
    const frames = [
      testFrame(10, { uniqueId: 'a\0\ud800', event: 'New' }),
      testFrame(0, { trailer: null }),
      testFrame(),
    ];
    const redacted = testFrame(20, { payload: null });
    expect(await append(store, 'frames@example.com', 'mmm_Credential', [...frames, redacted])).toBe(5);
    const found = await framesOf('frames@example.com', 'mmm_Credential', { from: 1 });
    expect(found.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
    for (const [place, frame] of [...frames, redacted].entries()) {
      const { header, payload, trailer, payloadDigest, treeDigest, leaf } = frame;
      expect(plain(found[place])).toMatchObject(
        plain({ header, payload, trailer, payloadDigest, treeDigest, leaf }) as object,
      );
    }
    expect(found[0]).toMatchObject({ event: 'New', uniqueId: 'a\0\ufffd' });
  });

  it('refuses a batch for another frame count', async () => {
    await makeAccount(store, 'count@example.com');
    await expect(
      store.transactAccount('count@example.com', async (transactor) => {
        const stale = transactor.state?.containers.get('mmm_Credential');
        await transactor.commit({ containers: [testBatch('mmm_Credential', stale, [testFrame()])] });
        await transactor.commit({ containers: [testBatch('mmm_Credential', stale, [testFrame()])] });
      }),
    ).rejects.toMatchObject({ code: 'stale' });
    expect(await framesOf('count@example.com', 'mmm_Credential')).toHaveLength(2);
  });

  it('refuses a payload that does not have its digest', async () => {
    await makeAccount(store, 'digest@example.com');
    const frame = testFrame(10, { payloadDigest: randomBytes(64) });
    await expect(append(store, 'digest@example.com', 'mmm_Credential', [frame])).rejects.toMatchObject({
      code: 'invalid',
    });
  });

  it('writes a thousand frames of one batch, and a batch larger than a statement', async () => {
    await makeAccount(store, 'batch@example.com');
    const frames = Array.from({ length: 1000 }, () => testFrame(100));
    expect(await append(store, 'batch@example.com', 'mmm_Credential', frames)).toBe(1001);
    expect(await append(store, 'batch@example.com', 'mmm_Credential', [testFrame(8 << 20), testFrame(3)])).toBe(1003);
    const found = await framesOf('batch@example.com', 'mmm_Credential');
    expect(found.map(({ index }) => index)).toEqual(Array.from({ length: 1003 }, (_, index) => index));
    expect(found[500]?.payload).toEqual(frames[499]?.payload);
  });

  it('keeps the rest of a request out when one container of it is refused', async () => {
    await makeAccount(store, 'atomic@example.com', ['one', 'two']);
    await store.transactAccount('atomic@example.com', async (transactor) => {
      const one = testBatch('one', transactor.state?.containers.get('one'), [testFrame()]);
      const two = testBatch('two', transactor.state?.containers.get('two'), [testFrame(3, { leaf: randomBytes(31) })]);
      await expect(transactor.commit({ containers: [one, two] })).rejects.toMatchObject({ code: 'invalid' });
    });
    expect(await framesOf('atomic@example.com', 'one')).toHaveLength(1);
  });

  it('remembers keys as they stand', async () => {
    await makeAccount(store, 'keys@example.com');
    const commit = (latestIndex: number, deleted: boolean) =>
      store.transactAccount('keys@example.com', (transactor) => {
        const key = { uniqueId: 'k', latestIndex, firstIndex: 1, deleted };
        const other = { uniqueId: `k${latestIndex}`, latestIndex, firstIndex: latestIndex, deleted: false };
        const before = transactor.state?.containers.get('mmm_Credential');
        return transactor.commit({ containers: [testBatch('mmm_Credential', before, [testFrame()], [key, other])] });
      });
    await commit(1, false);
    await commit(2, true);
    await store.readAccount('keys@example.com', async (reader) => {
      const container = reader.state?.containers.get('mmm_Credential');
      if (container === undefined) throw new Error('no container');
      const keys = await reader.catalogKeys(container, ['k', 'k1', 'nothing']);
      expect([...keys.values()]).toEqual([
        { uniqueId: 'k', latestIndex: 2, firstIndex: 1, deleted: true },
        { uniqueId: 'k1', latestIndex: 1, firstIndex: 1, deleted: false },
      ]);
    });
  });

  it('selects by index, time, parts and bounds', async () => {
    await makeAccount(store, 'select@example.com');
    await append(
      store,
      'select@example.com',
      'mmm_Credential',
      Array.from({ length: 9 }, () => testFrame(100)),
    );
    const indexes = async (selection: object) =>
      (await framesOf('select@example.com', 'mmm_Credential', selection)).map(({ index }) => index);
    expect(await indexes({ from: 2, to: 4 })).toEqual([2, 3, 4]);
    expect(await indexes({ from: 8, to: 400 })).toEqual([8, 9]);
    expect(await indexes({ from: 10 })).toEqual([]);
    expect(await indexes({ framesMax: 3 })).toEqual([0, 1, 2]);
    expect(await indexes({ from: 1, payloadBytesMax: 250 })).toEqual([1, 2]);
    expect(await indexes({ from: 1, payloadBytesMax: 1 })).toEqual([1]);
    expect(await indexes({ notBeforeMs: Date.now() + 60_000 })).toEqual([]);
    expect(await indexes({ beforeMs: Date.now() - 60_000 })).toEqual([]);
    const [bare] = await framesOf('select@example.com', 'mmm_Credential', { from: 1, payload: false, trailer: false });
    expect(bare).toMatchObject({ payload: null, trailer: null, payloadBytes: 100 });
  });

  it('leaves out payloads that a filter matches, gives slices of one, and nodes of the second tree', async () => {
    await makeAccount(store, 'filter@example.com');
    const node = randomBytes(32);
    const named = (uniqueId: string, more = {}) => testFrame(100, { uniqueId, ...more });
    const frames = [named('a'), named('a'), named('b', { nodes: node }), named('c'), testFrame(0, { uniqueId: 'a' })];
    const key = (uniqueId: string, firstIndex: number, latestIndex: number, more = {}) => ({
      ...{ uniqueId, firstIndex, latestIndex, deleted: false },
      ...more,
    });
    const keys = [key('a', 2, 5), key('b', 3, 3, { deleted: true }), key('c', 4, 4, { mark: 'read' as const })];
    await store.transactAccount('filter@example.com', (transactor) => {
      const before = transactor.state?.containers.get('mmm_Credential');
      return transactor.commit({ containers: [testBatch('mmm_Credential', before, frames, keys)] });
    });
    const nothing = { superseded: false, deleted: false, read: false, olderThanMs: undefined };
    const matched = async (filter: object, more = {}) => {
      const selection = { from: 1, filter: { ...nothing, ...filter }, ...more };
      const found = await framesOf('filter@example.com', 'mmm_Credential', selection);
      expect(found.every(({ filtered, payload }) => filtered === (payload === null))).toBe(true);
      return found.filter(({ filtered }) => filtered).map(({ index, payloadBytes }) => [index, payloadBytes]);
    };
    expect(await matched({})).toEqual([]);
    expect(await matched({ superseded: true })).toEqual([
      [1, 100],
      [2, 100],
    ]);
    expect(await matched({ deleted: true })).toEqual([
      [1, 100],
      [3, 100],
    ]);
    expect(await matched({ read: true })).toEqual([[4, 100]]);
    expect(await matched({ olderThanMs: Date.now() + 60_000 })).toHaveLength(4);
    expect(await matched({ superseded: true, read: true }, { payloadBytesMax: 100 })).toHaveLength(3);
    await store.readAccount('filter@example.com', async (reader) => {
      const container = reader.state?.containers.get('mmm_Credential');
      if (container === undefined) throw new Error('no container');
      const slice = await reader.frameSlice(container, 1, { offset: 90, bytes: 50 });
      expect(slice).toMatchObject({ index: 1, uniqueId: 'a', payloadBytes: 100, filtered: false });
      expect(slice?.payload).toEqual(frames[0]?.payload?.subarray(90));
      expect((await reader.frameSlice(container, 1, { offset: 2 ** 40, bytes: 50 }))?.payload).toHaveLength(0);
      expect(await reader.frameSlice(container, 6, { offset: 0, bytes: 50 })).toBeUndefined();
      const names = [0, 1].map((level) => ({ level, position: 3 - 2 * level }));
      const lookUp = await reader.logNodes(container, [...names, { level: 1, position: 0 }]);
      expect([...names, { level: 1, position: 0 }].map(lookUp)).toEqual([frames[2]?.leaf, node, undefined]);
    });
  });

  it('makes a container read-only whose frame is not what was written', async () => {
    const reports: unknown[] = [];
    await store.stop();
    store = await openServiceStore(database.url, { onDamaged: (report) => reports.push(report) });
    await makeAccount(store, 'damage@example.com', ['bad', 'good']);
    await append(store, 'damage@example.com', 'bad', [testFrame()]);
    await database.query('ALTER TABLE frame DISABLE TRIGGER frame_never_changes');
    await database.query(
      `UPDATE frame SET payload = 'other' FROM container c JOIN account a ON a.id = c.account_id
       WHERE c.id = container_id AND a.address = 'damage@example.com' AND c.name = 'bad' AND frame_index = 1`,
    );
    await database.query('ALTER TABLE frame ENABLE TRIGGER frame_never_changes');
    await expect(framesOf('damage@example.com', 'bad')).rejects.toMatchObject({ code: 'damaged' });
    expect(reports).toEqual([{ address: 'damage@example.com', container: 'bad', frameIndex: 1 }]);
    expect(store.problems()).toEqual(['damaged: bad of damage@example.com, frame 1']);
    await expect(append(store, 'damage@example.com', 'bad', [testFrame()])).rejects.toMatchObject({ code: 'damaged' });
    expect(await append(store, 'damage@example.com', 'good', [testFrame()])).toBe(2);
    await expect
      .poll(async () => (await database.query('SELECT name FROM container WHERE damaged')).map(({ name }) => name))
      .toEqual(['bad']);
    await reopened(async (other) => expect(other.problems()).toEqual(['damaged: bad of damage@example.com']));
  });
});

describe('remembered requests', () => {
  it('[S27] finds the answer of a writing request, and refuses the same identity twice', async () => {
    await makeAccount(store, 'seen@example.com');
    const seen = testSeen('seen@example.com/MDEV');
    const commit = (more = {}) =>
      store.transactAccount('seen@example.com', (transactor) => transactor.commit({ seen: { ...seen, ...more } }));
    await commit();
    const find = (principal: string) =>
      store.readAccount('seen@example.com', (reader) => reader.findSeen(principal, seen.id));
    expect(plain(await find(seen.principal))).toEqual(plain({ digest: seen.digest, result: seen.result }));
    expect(await find('other@example.com/MDEV')).toBeUndefined();
    await expect(commit()).rejects.toMatchObject({ code: 'stale' });
    await expect(commit({ digest: randomBytes(64) })).rejects.toMatchObject({ code: 'stale' });
    await commit({ principal: 'other@example.com/MDEV' });
  });
});

describe('stores of the service', () => {
  it('appends an entry in the transaction of what it records, at whatever index its turn has', async () => {
    const indexes: number[] = [];
    const create = (address: string) =>
      store.transactAccount(address, (transactor) =>
        transactor.commit({
          create: testFields(),
          service: [
            {
              container: 'mmm_Account',
              make: (container) => {
                indexes.push(container.frameCount);
                const { expectedFrameCount: _, ...batch } = testBatch('mmm_Account', container, [testFrame()]);
                return batch;
              },
            },
          ],
        }),
      );
    const addresses = Array.from({ length: 40 }, (_, at) => `service-${at}@example.com`);
    await Promise.all(addresses.map(create));
    expect(await framesOf('@service', 'mmm_Account')).toHaveLength(41);
    expect([...indexes].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
    const { frameCount } = await reopened((other) =>
      other.readAccount('@service', ({ state }) => ({ frameCount: state?.containers.get('mmm_Account')?.frameCount })),
    );
    expect(frameCount).toBe(41);
  });

  it('refuses a write whose entry cannot be made, and that one alone', async () => {
    const bad = store.transactAccount('bad-entry@example.com', (transactor) =>
      transactor.commit({
        create: testFields(),
        service: [
          {
            container: 'mmm_Incident',
            make: () => {
              throw new Error('no key');
            },
          },
        ],
      }),
    );
    const good = makeAccount(store, 'good-entry@example.com');
    await expect(bad).rejects.toMatchObject({ code: 'invalid', message: 'no key' });
    await good;
    expect(await store.readAccount('bad-entry@example.com', ({ state }) => state)).toBeUndefined();
  });
});

/** Octets of any class compare by value. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (value instanceof Set) return [...value].map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}
