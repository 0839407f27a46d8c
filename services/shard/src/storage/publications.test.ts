/** Publications on their way from the account's shard to the one that serves them, and offers that wait, in the database. */
import { publicationWithdrawnMs } from '@meshd/limits/hailing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PublicationState } from './hailing-store.js';
import type { AccountWrite, CatalogKey, Store } from './store.js';
import {
  makeAccount,
  openTestStore,
  shardDatabase,
  type TestDatabase,
  testBatch,
  testFields,
  testFrame,
} from './test-kit.js';

const catalog = 'mmm_Publication';
const leaseMs = 15_000;
let database: TestDatabase;
let store: Store;
/** As far as the clock of the shard was put forward. */
let laterMs = 0;

beforeAll(async () => {
  database = await shardDatabase();
  store = await openTestStore(database.url, { now: () => Date.now() + laterMs });
});
afterAll(async () => {
  await store.stop();
  await database.drop();
});

/** Publishes under an identifier, or withdraws; returns what is to be served. */
async function publish(address: string, identifier: string, event: 'New' | 'Delete' = 'New'): Promise<Buffer> {
  const frame = testFrame(64, { uniqueId: identifier, event });
  await store.transactAccount(address, async (transactor) => {
    const before = transactor.state?.containers.get(catalog);
    const latestIndex = before?.frameCount ?? 0;
    const key: CatalogKey = { uniqueId: identifier, latestIndex, firstIndex: latestIndex, deleted: event === 'Delete' };
    const write: AccountWrite = {
      containers: [testBatch(catalog, before, [frame], [key])],
      publications: [identifier],
    };
    await transactor.commit(write);
  });
  return Buffer.from(frame.payload ?? []);
}

const lease = () => store.publications.lease(16, leaseMs);
const said = (states: readonly PublicationState[]) =>
  states.map(({ identifier, account, payload }) => [identifier, account, payload && Buffer.from(payload)]);

/** Takes along all that is due. */
async function settleAll(): Promise<void> {
  laterMs += leaseMs;
  await store.publications.settle(await lease());
}

describe('what an account publishes', () => {
  it('[R153] is handed over as it is now, and again until it was', async () => {
    await makeAccount(store, 'one@example.com', [catalog]);
    const body = await publish('one@example.com', 'ID-1');
    expect(said(await lease())).toEqual([['ID-1', 'one@example.com', body]]);
    expect(await lease()).toEqual([]);
    laterMs += leaseMs;
    const again = await lease();
    expect(said(again)).toEqual([['ID-1', 'one@example.com', body]]);
    await store.publications.settle(again);
    laterMs += leaseMs;
    expect(await lease()).toEqual([]);
  });

  it('is handed over once more where it has changed on the way', async () => {
    await makeAccount(store, 'two@example.com', [catalog]);
    await publish('two@example.com', 'ID-2');
    const first = await lease();
    const body = await publish('two@example.com', 'ID-2');
    await store.publications.settle(first);
    const second = await lease();
    expect(said(second)).toEqual([['ID-2', 'two@example.com', body]]);
    expect(second[0]?.changedAtMs).toBeGreaterThan(first[0]?.changedAtMs as number);
    await publish('two@example.com', 'ID-2', 'Delete');
    expect(said(await lease())).toEqual([['ID-2', 'two@example.com', undefined]]);
    await settleAll();
  });

  it('is still to be handed over after a restart', async () => {
    await makeAccount(store, 'three@example.com', [catalog]);
    const body = await publish('three@example.com', 'ID-3');
    await store.stop();
    store = await openTestStore(database.url, { now: () => Date.now() + laterMs });
    expect(said(await lease())).toEqual([['ID-3', 'three@example.com', body]]);
    await settleAll();
  });

  it('is withdrawn with its account', async () => {
    await makeAccount(store, 'four@example.com', [catalog]);
    await publish('four@example.com', 'ID-4');
    await publish('four@example.com', 'ID-5');
    await publish('four@example.com', 'ID-5', 'Delete');
    await settleAll();
    await store.transactAccount('four@example.com', (transactor) => transactor.commit({ remove: true }));
    expect(said(await lease())).toEqual([['ID-4', 'four@example.com', undefined]]);
    await settleAll();
  });

  it('is counted while it is not withdrawn', async () => {
    await makeAccount(store, 'five@example.com', [catalog]);
    for (const identifier of ['ID-6', 'ID-7']) await publish('five@example.com', identifier);
    await publish('five@example.com', 'ID-6', 'Delete');
    const count = await store.readAccount('five@example.com', (reader) => {
      const container = reader.state?.containers.get(catalog);
      return container === undefined ? -1 : reader.liveKeyCount(container);
    });
    expect(count).toBe(1);
    await settleAll();
  });
});

describe('what is served under an identifier', () => {
  const state = (identifier: string, more: Partial<PublicationState> = {}): PublicationState => {
    return { identifier, account: 'alice@example.com', changedAtMs: 100, payload: Buffer.from('first'), ...more };
  };
  const put = (...given: Parameters<typeof state>) => store.publications.put(state(...given));
  const served = async (identifier: string) => {
    const payload = await store.publications.find(identifier);
    return payload && Buffer.from(payload).toString();
  };

  it('is the newest state, whatever comes late', async () => {
    expect(await served('S-1')).toBeUndefined();
    expect(await put('S-1', { changedAtMs: 200, payload: Buffer.from('second') })).toBe(true);
    expect(await put('S-1')).toBe(false);
    expect(await served('S-1')).toBe('second');
    expect(await put('S-1', { changedAtMs: 300, payload: undefined })).toBe(true);
    expect(await put('S-1', { changedAtMs: 200, payload: Buffer.from('second') })).toBe(false);
    expect(await served('S-1')).toBeUndefined();
  });

  it('is of who was first, until he withdraws it', async () => {
    await put('S-2');
    const mallet = { account: 'mallet@example.com', changedAtMs: 900 };
    expect(await put('S-2', mallet)).toBe(false);
    expect(await put('S-2', { ...mallet, payload: undefined })).toBe(false);
    expect(await served('S-2')).toBe('first');
    await put('S-2', { changedAtMs: 200, payload: undefined });
    expect(await put('S-2', { ...mallet, changedAtMs: 50 })).toBe(true);
    expect(await served('S-2')).toBe('first');
  });

  it('is forgotten by the sweeper once it was withdrawn for a day', async () => {
    const nowMs = Date.now() + laterMs;
    await put('S-3', { changedAtMs: nowMs - publicationWithdrawnMs - 1000, payload: undefined });
    await put('S-4', { changedAtMs: nowMs, payload: undefined });
    await put('S-5', { changedAtMs: 1 });
    await store.sweep();
    const rows = await database.query<{ identifier: string }>(
      `SELECT identifier FROM publication WHERE identifier LIKE 'S-_' AND identifier > 'S-2' ORDER BY 1`,
    );
    expect(rows.map(({ identifier }) => identifier)).toEqual(['S-4', 'S-5']);
  });
});

describe('[S56] offers that wait', () => {
  const waiting = (address: string, deviceUdf: string) =>
    store.readAccount(address, (reader) => reader.waitingOffers(deviceUdf));

  it('are found by device, oldest first, until their time is over', async () => {
    await makeAccount(store, 'factory@example.com', [catalog]);
    const nowMs = Date.now() + laterMs;
    const offers = [
      { deviceUdf: 'LAMP', frameIndex: 12, expiresAtMs: nowMs + 60_000 },
      { deviceUdf: 'LAMP', frameIndex: 2, expiresAtMs: nowMs + 60_000 },
      { deviceUdf: 'KETTLE', frameIndex: 3, expiresAtMs: nowMs + 60_000 },
      { deviceUdf: 'LAMP', frameIndex: 4, expiresAtMs: nowMs - 1 },
    ];
    await store.transactAccount('factory@example.com', (transactor) => transactor.commit({ offers }));
    expect(await waiting('factory@example.com', 'LAMP')).toEqual({ frameIndexes: [2, 12], count: 3 });
    expect(await waiting('factory@example.com', 'TOASTER')).toEqual({ frameIndexes: [], count: 3 });
    expect(await waiting('nobody@example.com', 'LAMP')).toEqual({ frameIndexes: [], count: 0 });
    await store.sweep();
    expect(await database.query('SELECT 1 FROM connection_offer')).toHaveLength(3);
  });

  it('go with their account once nobody can bring it back', async () => {
    await store.transactAccount('purged@example.com', (transactor) =>
      transactor.commit({
        create: testFields(),
        containers: [testBatch(catalog, undefined, [testFrame()])],
      }),
    );
    const offers = [{ deviceUdf: 'LAMP', frameIndex: 1, expiresAtMs: Number.MAX_SAFE_INTEGER }];
    await store.transactAccount('purged@example.com', async (transactor) => {
      await transactor.commit({ offers, publications: ['P-1'] });
      await transactor.commit({ remove: true });
    });
    await database.query(
      `UPDATE account SET deleted_at_ms = 1, purge_after_ms = 2 WHERE address = 'purged@example.com'`,
    );
    await store.sweep();
    expect(await database.query(`SELECT 1 FROM account WHERE address = 'purged@example.com'`)).toEqual([]);
  });
});
