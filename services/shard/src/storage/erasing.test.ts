/** Bodies that are removed (S64), in the database: gone from every table, and nothing else can be changed that way. */
import { hash, randomBytes } from 'node:crypto';
import { erasedHeader } from '@meshd/dare/erased-header';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CatalogKey, ContainerState, FrameRow, FrameWrite, Store } from './store.js';
import {
  append,
  makeAccount,
  openTestStore,
  shardDatabase,
  type TestDatabase,
  testBatch,
  testFrame,
} from './test-kit.js';

const address = 'alice@example.com';
let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await shardDatabase();
  store = await openTestStore(database.url);
});
afterAll(async () => {
  await store.stop();
  await database.drop();
});

const header = () => Buffer.from(`{"enc":"A256GCM", "Salt" : "${randomBytes(16).toString('base64url')}","X":"ü"}`);
const sealed = (more: Partial<FrameWrite> = {}) =>
  testFrame(300, { header: header(), uniqueId: 'diary', event: 'New', ...more });
const key = (latestIndex: number, deleted: boolean): CatalogKey => ({
  ...{ uniqueId: 'diary', latestIndex, firstIndex: 1, deleted },
});

async function stateOf(name: string): Promise<ContainerState> {
  const found = await store.readAccount(address, ({ state }) => state?.containers.get(name));
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

/** What another process finds. */
async function reopened(): Promise<ContainerState> {
  await store.stop();
  store = await openTestStore(database.url);
  return stateOf('my_Notes');
}

async function framesOf(name: string): Promise<FrameRow[]> {
  const state = await stateOf(name);
  return store.readAccount(address, async (reader) => {
    const found: FrameRow[] = [];
    for await (const chunk of reader.frames(state, { from: 0, to: 100 })) found.push(...chunk);
    return found;
  });
}

/** A container whose entry, in frames 1 and 2, is deleted by frame 3. */
async function deletedIn(name: string, last: Partial<FrameWrite> = { event: 'Delete' }): Promise<FrameRow[]> {
  const deletes = last.event === 'Delete';
  await store.transactAccount(address, async ({ state, commit }) => {
    if (state?.containers.has(name)) return;
    await commit({ containers: [testBatch(name, undefined, [testFrame(0)])] });
  });
  await store.transactAccount(address, async (transactor) => {
    const frames = [
      sealed(),
      sealed({ event: 'Update' }),
      sealed({ payload: Buffer.alloc(0), ...emptyDigest, ...last }),
    ];
    const batch = testBatch(name, transactor.state?.containers.get(name), frames, [key(3, deletes)]);
    await transactor.commit({ containers: [batch], erasures: deletes ? [{ container: name, frameIndex: 2 }] : [] });
  });
  return framesOf(name);
}
const emptyDigest = { payloadDigest: hash('sha512', Buffer.alloc(0), 'buffer') };

const erase = (container: string, rows: readonly FrameRow[], more: object = {}) =>
  store.transactAccount(address, (transactor) =>
    transactor.commit({
      erased: {
        erasure: { container, frameIndex: 2 },
        frames: rows.map(({ index: frameIndex, header: before, payloadBytes }) => {
          const after = erasedHeader(before);
          return { frameIndex, header: after, bytesFreed: payloadBytes + before.length - after.length, ...more };
        }),
        next: undefined,
      },
    }),
  );

describe('[S64] in the database', () => {
  beforeAll(() => makeAccount(store, address, []));

  it('the body is in no table afterwards; leaves, digests and order are as before, and its octets count no more', async () => {
    const before = await deletedIn('my_Notes');
    expect((await store.erasures(undefined, 10)).map(({ container, frameIndex }) => [container, frameIndex])).toEqual([
      ['my_Notes', 2],
    ]);
    const { bytesUsed, ...proved } = await reopened();
    await erase('my_Notes', before.slice(1, 3));
    const after = await framesOf('my_Notes');
    expect(after.map(({ payload }) => payload?.length ?? null)).toEqual([0, null, null, 0]);
    for (const [at, { payload: _, payloadBytes: __, header: ___, ...stays }] of before.entries()) {
      expect(after[at]).toMatchObject(stays);
    }
    expect(Buffer.from(after[1]?.header ?? [])).toEqual(Buffer.from(erasedHeader(before[1]?.header ?? Buffer.of())));
    const { bytesUsed: bytesLeft, ...left } = await reopened();
    expect(left).toEqual(proved);
    const sizes = after.map(
      ({ header: head, payloadBytes, trailer }) => head.length + payloadBytes + (trailer?.length ?? 0),
    );
    expect([bytesLeft, bytesLeft < bytesUsed]).toEqual([sizes.reduce((sum, size) => sum + size, 0), true]);
    expect(await store.erasures(undefined, 10)).toEqual([]);
    const tables = await database.query<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
    );
    for (const { name } of tables) {
      for (const { payload } of before.slice(1, 3)) {
        const needle = Buffer.from(payload ?? []).toString('hex');
        const found = await database.query(`SELECT 1 FROM "${name}" AS t WHERE strpos(t::text, $1) > 0`, [needle]);
        expect([name, found.length]).toEqual([name, 0]);
      }
    }
  });

  it('no other body takes its place, no header but the one without the salt, and nothing else changes', async () => {
    const rows = await deletedIn('my_Letters');
    const { id } = await stateOf('my_Letters');
    const where = `WHERE container_id = ${id} AND frame_index = 1`;
    const sets = [
      `payload = 'other'`,
      `payload = NULL, header = '{}'`,
      `payload = NULL, header = header || ' '::bytea`,
      'payload = NULL, leaf = tree_digest',
      `payload = NULL, unique_id = 'other'`,
      'payload = NULL, trailer = NULL',
      `header = frame_erased_header(header)`,
    ];
    for (const set of sets)
      await expect(database.query(`UPDATE frame SET ${set} ${where}`)).rejects.toThrow('never changed');
    await expect(erase('my_Letters', rows.slice(1, 2), { header: Buffer.from('{"Malt":""}') })).rejects.toThrow();
    expect(await framesOf('my_Letters')).toEqual(rows);
    await erase('my_Letters', rows.slice(1, 3));
    for (const set of [`payload = 'other'`, 'payload = payload', `header = ''`]) {
      await expect(database.query(`UPDATE frame SET ${set} ${where}`)).rejects.toThrow('never changed');
    }
  });

  it('an entry that lives keeps its body, and so do deletions themselves and the device catalog', async () => {
    const living = await deletedIn('my_Life', { event: 'Update' });
    await expect(erase('my_Life', living.slice(1, 2))).rejects.toThrow();
    const ended = await deletedIn('my_End', { event: 'Delete', ...testFrame(20) });
    await expect(erase('my_End', ended.slice(3, 4))).rejects.toThrow();
    const devices = await deletedIn('mmm_Device');
    await expect(erase('mmm_Device', devices.slice(1, 2))).rejects.toThrow();
    for (const [name, rows] of Object.entries({ my_Life: living, my_End: ended, mmm_Device: devices })) {
      expect(await framesOf(name)).toEqual(rows);
      expect(await append(store, address, name, [testFrame()])).toBe(5);
    }
  });

  it('its form of the header is that of the service', async () => {
    const salts = Array.from({ length: 8 }, (_, at) => randomBytes(14 + at).toString('base64url'));
    const texts = [
      ...salts.map((salt) => `{"Salt":"${salt}"}`),
      ...salts.map((salt) => `{"a":"é\\u0000", "Salt" : "${salt}"\n}`),
      `{"Salt":"${salts[0]}","X":{"Salt":"AAAA"}}`,
      `{"Salt":"${salts[0]}","Malt":""}`,
      '{"dig":"S512"}',
    ];
    for (const text of texts) {
      const [row] = await database.query<{ header: Buffer }>('SELECT frame_erased_header($1) AS header', [
        Buffer.from(text),
      ]);
      expect(row?.header.toString()).toBe(Buffer.from(erasedHeader(Buffer.from(text))).toString());
    }
  });
});
