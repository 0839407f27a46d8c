/** Large files at a shard with a real database: begun, filled, fetched, bounded, ended. */
import { randomBytes } from 'node:crypto';
import {
  largeFilesPerAccountMax,
  largeKeptMsDefault,
  largeSliceBytesMax,
  largeSweepRowsMax,
  largeUnfinishedMs,
} from '@meshd/limits/large';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ShardContext } from '../context.js';
import { OutboxShard, type Sender } from '../testing/outbox-kit.js';
import { Person, testKey } from '../testing/person.js';
import { deleteAccount } from './delete-account.js';
import { fetchLarge } from './fetch-large.js';
import { type LargeStep, storeLarge } from './store-large.js';

const bytesMax = 10_000_000;
let nowMs = 1_767_225_600_000;
let shard: OutboxShard;
let alice: Sender;
let context: ShardContext;
const reader = testKey('reader').publicKey.raw;

beforeAll(async () => {
  shard = await OutboxShard.open({ now: () => nowMs });
  alice = await shard.person('alice');
});
afterAll(() => shard?.close());

let files = 0;
let identifier: string;
beforeEach(() => {
  identifier = `M-TEST-${++files}`;
  context = { ...shard.context, clock: () => nowMs, largeBytesMax: bytesMax };
});

const store = (step: LargeStep, of = identifier, by = alice) =>
  storeLarge(context, { principal: by.device.principal, identifier: of, step });
const begin = (bytesTotal: number, of = identifier) => store({ kind: 'begin', bytesTotal, reader }, of);
const slice = (offset: number, data: Uint8Array, of = identifier) => store({ kind: 'slice', offset, data }, of);
const withdraw = (of = identifier) => store({ kind: 'withdraw' }, of);
const fetch = (offset = 0, max = 0, more: Partial<Parameters<typeof fetchLarge>[1]> = {}) =>
  fetchLarge(context, { account: alice.person.address, identifier, reader, offset, bytesMax: max, ...more });
const refused = (code: string) => expect.objectContaining({ name: 'MeshError', code });
const slicesLeft = async () => (await shard.database.query('SELECT 1 FROM large_slice')).length;
const filesLeft = async () => (await shard.database.query('SELECT 1 FROM large_file')).length;

/** Begins and fills a file. */
async function whole(content: Uint8Array, sliceBytes = 1000, of = identifier): Promise<void> {
  await begin(content.length, of);
  for (let at = 0; at < content.length; at += sliceBytes) await slice(at, content.subarray(at, at + sliceBytes), of);
}

describe('[R158] a large file', () => {
  test('is there all at once, with its last slice, and is read from any octet as far as a slice goes', async () => {
    const content = randomBytes(2500);
    await begin(2500);
    await slice(0, content.subarray(0, 1000));
    await slice(1000, content.subarray(1000, 2499));
    await expect(fetch()).rejects.toEqual(refused('not-found'));
    const { files: told } = await slice(2499, content.subarray(2499));
    expect(told).toEqual([
      { identifier, bytesTotal: 2500, bytesStored: 2500, expiresAtMs: nowMs + largeKeptMsDefault },
    ]);
    const parts = [0, 1, 999, 1000, 2498, 2499].map(async (offset) => {
      const { data, bytesTotal } = await fetch(offset);
      expect(bytesTotal).toBe(2500);
      const end = [1000, 2499, 2500].find((place) => place > offset);
      expect(Buffer.compare(data, content.subarray(offset, end))).toBe(0);
    });
    await Promise.all(parts);
    expect(Buffer.compare((await fetch(10, 7)).data, content.subarray(10, 17))).toBe(0);
  });

  test('takes each slice once, whatever is repeated, and only where it continues; the answer says where to go on', async () => {
    await begin(30);
    await begin(30);
    const stored = async (offset: number, data: Uint8Array) => (await slice(offset, data)).files[0]?.bytesStored;
    expect(await stored(10, randomBytes(10))).toBe(0);
    expect(await stored(0, Buffer.alloc(10, 'a'))).toBe(10);
    expect(await stored(0, Buffer.alloc(10, 'b'))).toBe(10);
    expect(await stored(5, Buffer.alloc(10, 'c'))).toBe(10);
    expect(await stored(10, Buffer.alloc(21, 'd'))).toBe(10);
    const both = [stored(10, Buffer.alloc(20, 'e')), stored(10, Buffer.alloc(20, 'f'))];
    expect(await Promise.all(both)).toEqual([30, 30]);
    const { data } = await fetch(0);
    expect(Buffer.from(data).toString()).toBe('a'.repeat(10));
    expect(Buffer.from((await fetch(10)).data).toString()).toBe('e'.repeat(20));
    await expect(begin(31)).rejects.toEqual(refused('event-conflict'));
    const other = { kind: 'begin', bytesTotal: 30, reader: testKey('other').publicKey.raw } as const;
    await expect(store(other)).rejects.toEqual(refused('event-conflict'));
  });

  test('is given to the key of its locator alone, and tells nobody else whether it exists', async () => {
    const bob = await shard.person(`bob${files}`);
    await whole(randomBytes(10));
    const answers = [
      () => fetch(0, 0, { reader: testKey('other').publicKey.raw }),
      () => fetch(0, 0, { account: bob.person.address }),
      () => fetch(0, 0, { account: 'nobody@example.com' }),
      () => fetch(0, 0, { identifier: 'M-NONE' }),
      () => fetch(10),
    ];
    for (const answer of answers) {
      await expect(answer()).rejects.toEqual(expect.objectContaining({ code: 'not-found', detail: '' }));
    }
    expect((await store({ kind: 'look' }, identifier, bob)).files).toEqual([]);
    await expect(store({ kind: 'slice', offset: 0, data: randomBytes(1) }, identifier, bob)).rejects.toEqual(
      refused('not-found'),
    );
    await store({ kind: 'withdraw' }, identifier, bob);
    expect((await fetch()).data.length).toBe(10);
  });

  test("is nobody else's to store, and only whoever may post stores any", async () => {
    const { principal } = new Person('stranger').device();
    const asked = { principal, identifier, step: { kind: 'look' } } as const;
    await expect(storeLarge(context, asked)).rejects.toEqual(refused('not-authenticated'));
  });

  test('and a slice have bounds', async () => {
    await expect(begin(0)).rejects.toEqual(refused('malformed'));
    await begin(2 * largeSliceBytesMax);
    await expect(slice(0, new Uint8Array(largeSliceBytesMax + 1))).rejects.toEqual(refused('too-large'));
    await expect(slice(0, new Uint8Array(0))).rejects.toEqual(refused('malformed'));
    await expect(slice(-1, new Uint8Array(1))).rejects.toEqual(refused('malformed'));
    await expect(fetch(-1)).rejects.toEqual(refused('malformed'));
    await expect(begin(1, 'M'.repeat(129))).rejects.toEqual(refused('malformed'));
    await expect(store({ kind: 'begin', bytesTotal: 1, reader: randomBytes(56) })).rejects.toEqual(
      refused('malformed'),
    );
    expect((await slice(0, new Uint8Array(largeSliceBytesMax))).files[0]?.bytesStored).toBe(largeSliceBytesMax);
    await withdraw();
  });
});

describe('[R018] the room that an account has', () => {
  beforeEach(async () => {
    for (const file of (await store({ kind: 'look' }, '')).files) await withdraw(file.identifier);
    await shard.context.store.sweep();
    expect([await filesLeft(), await slicesLeft()]).toEqual([0, 0]);
  });

  test('is taken by what is announced, from the beginning, and given back when it is freed', async () => {
    await begin(bytesMax - 10);
    await expect(begin(11, 'M-OTHER')).rejects.toEqual(refused('quota'));
    await begin(10, 'M-OTHER');
    expect(await store({ kind: 'look' }, '')).toMatchObject({ room: { bytesUsed: bytesMax, bytesMax } });
    await withdraw();
    await expect(begin(11, 'M-THIRD')).rejects.toEqual(refused('quota'));
    await shard.context.store.sweep();
    await begin(11, 'M-THIRD');
  });

  test('is bounded in files too', async () => {
    await begin(1);
    await shard.database.query(
      `INSERT INTO large_file (id, account_id, identifier, reader, bytes_total, kept_ms, expires_at_ms)
       SELECT 1000000 + n, account_id, 'M-FILE-' || n, reader, 1, kept_ms, expires_at_ms
       FROM large_file, generate_series(2, $1::int) AS n`,
      [largeFilesPerAccountMax],
    );
    await expect(begin(1, 'M-ONE-MORE')).rejects.toEqual(refused('quota'));
    await begin(1, 'M-FILE-3');
  });

  test('is bounded in slices that wait: no account fills the memory of the shard', async () => {
    await begin(bytesMax);
    const slices = Array.from({ length: 12 }, () => slice(0, new Uint8Array(1000)));
    const settled = await Promise.allSettled(slices);
    const failed = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : []));
    expect(failed).toEqual(Array.from({ length: 8 }, () => 'overloaded'));
    expect((await slice(1000, new Uint8Array(1))).files[0]?.bytesStored).toBe(1001);
  });

  test('is freed when a file expires, complete or unfinished, a withdrawn one, and those of a deleted account', async () => {
    await whole(randomBytes(10_000), 1000);
    // As of many more slices than one statement frees.
    await shard.database.query(
      "INSERT INTO large_slice SELECT id, 10000 + n, 'x' FROM large_file, generate_series(1, $1::int) AS n",
      [2 * largeSweepRowsMax],
    );
    await begin(5000, 'M-UNFINISHED');
    await slice(0, randomBytes(1000), 'M-UNFINISHED');
    nowMs += largeUnfinishedMs - 1;
    await slice(1000, randomBytes(1000), 'M-UNFINISHED');
    nowMs += largeUnfinishedMs - 1;
    expect((await slice(2000, randomBytes(1), 'M-UNFINISHED')).files[0]?.bytesStored).toBe(2001);
    nowMs += largeUnfinishedMs;
    await expect(slice(2001, randomBytes(1), 'M-UNFINISHED')).rejects.toEqual(refused('not-found'));
    await expect(begin(5000, 'M-UNFINISHED')).rejects.toEqual(refused('not-found'));
    expect((await fetch()).data.length).toBe(1000);
    await shard.context.store.sweep();
    expect(await filesLeft()).toBe(1);
    nowMs += largeKeptMsDefault;
    await expect(fetch()).rejects.toEqual(refused('not-found'));
    await shard.context.store.sweep();
    expect([await filesLeft(), await slicesLeft()]).toEqual([0, 0]);
  });

  test('[S84] is gone with the account, at once for readers', async () => {
    const carol = await shard.person('carol');
    context = { ...context, clock: () => nowMs };
    const principal = carol.device.principal;
    const step = (each: LargeStep) => storeLarge(context, { principal, identifier, step: each });
    await step({ kind: 'begin', bytesTotal: 3, reader });
    await step({ kind: 'slice', offset: 0, data: randomBytes(3) });
    const account = carol.person.address;
    expect((await fetch(0, 0, { account })).data.length).toBe(3);
    const { authentication: key, connection } = carol.device;
    const signers = [{ key, connection }, { key: carol.person.admin }];
    const request = await carol.person.request('DeleteAccount', { Account: account }, signers, shard.nowMs);
    await deleteAccount(shard.context, account, request);
    await expect(fetch(0, 0, { account })).rejects.toEqual(refused('not-found'));
    await shard.context.store.sweep();
    expect([await filesLeft(), await slicesLeft()]).toEqual([0, 0]);
  });
});

test('slices are never changed', async () => {
  await whole(randomBytes(10));
  await expect(shard.database.query("UPDATE large_slice SET octets = 'x'")).rejects.toThrow('never changed');
});
