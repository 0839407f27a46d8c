/** What it costs to look somebody up for a stranger (S80). */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeAccount, shardDatabase, type TestDatabase, TestStores } from './test-kit.js';

let database: TestDatabase;
let stores: TestStores;
beforeAll(async () => {
  database = await shardDatabase();
  stores = new TestStores(database);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await stores.stop();
});
afterAll(() => database.drop());

/** Statements of a look-up, in order. The spy only listens. */
async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const query = vi.spyOn(pg.Client.prototype, 'query');
  await work();
  const texts = query.mock.calls.map(([statement]: readonly unknown[]) => {
    const { name, text } = (typeof statement === 'object' ? statement : {}) as pg.QueryConfig;
    return name ?? text ?? String(statement);
  });
  query.mockRestore();
  return texts.filter((text) => !text.includes('lease'));
}

describe('[S80] an address that a stranger writes to', () => {
  it('is read alike, whether its account is in use, was idle since the start, or does not exist', async () => {
    const earlier = await stores.open();
    await makeAccount(earlier, 'idle@example.com', ['mmm_Credential', 'mmm_Inbound']);
    await stores.stop();
    const store = await stores.open();
    await makeAccount(store, 'used@example.com');
    await store.readAccount('used@example.com', () => undefined);
    const costs: string[][] = [];
    for (const name of ['used', 'idle', 'nobody']) {
      costs.push(await statementsOf(() => store.approachAccount(`${name}@example.com`)));
    }
    expect(costs[0]).toContain('account-select');
    expect(costs[1]).toEqual(costs[0]);
    expect(costs[2]).toEqual(costs[0]);
    for (const name of ['used', 'idle', 'nobody']) {
      expect(await statementsOf(() => store.approachAccount(`${name}@example.com`))).toEqual([]);
    }
  });

  it('changes nothing of what is known of the account', async () => {
    const store = await stores.open();
    await makeAccount(store, 'alice@example.com');
    const before = await store.readAccount('alice@example.com', ({ state }) => state);
    await store.approachAccount('alice@example.com');
    expect(await store.readAccount('alice@example.com', ({ state }) => state)).toBe(before);
  });
});
