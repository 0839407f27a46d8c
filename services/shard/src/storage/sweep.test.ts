import { deletedNameMs } from '@meshd/limits/limits';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from './store.js';
import {
  append,
  makeAccount,
  openServiceStore,
  shardDatabase,
  type TestDatabase,
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

describe('remembered requests, and accounts that were deleted', () => {
  it('go when their time is over', async () => {
    await makeAccount(store, 'purge@example.com');
    await append(store, 'purge@example.com', 'mmm_Credential', [testFrame()]);
    const old = testSeen('p');
    Buffer.from(old.id.buffer, old.id.byteOffset, 8).writeBigUInt64BE(BigInt(Date.now() - 901_000));
    const young = testSeen('p');
    await store.transactAccount('purge@example.com', async (transactor) => {
      await transactor.commit({ seen: old });
      await transactor.commit({ seen: young });
      await transactor.commit({ remove: true });
    });
    const [deleted] = await database.query<{ id: string }>(
      `SELECT id FROM account WHERE address = 'purge@example.com' AND deleted_at_ms IS NOT NULL`,
    );
    await store.sweep();
    const frames = () =>
      database.query('SELECT 1 FROM frame JOIN container c ON c.id = container_id WHERE account_id = $1', [
        deleted?.id,
      ]);
    expect(await frames()).toHaveLength(2);
    await expect(database.query('DELETE FROM frame WHERE true')).rejects.toThrow('only deleted with a whole');
    await database.query('UPDATE account SET deleted_at_ms = 1, purge_after_ms = 2 WHERE id = $1', [deleted?.id]);
    await store.sweep();
    expect(await frames()).toHaveLength(0);
    expect(await database.query('SELECT 1 FROM account WHERE id = $1', [deleted?.id])).toHaveLength(0);
    const left = await database.query<{ request_id: Buffer }>(
      `SELECT request_id FROM request_seen WHERE principal = 'p'`,
    );
    expect(left.map(({ request_id }) => request_id.toString('hex'))).toEqual([Buffer.from(young.id).toString('hex')]);
  });
});

describe('[R027] accounts that have left', () => {
  it('end when their notice is over, and their name is free; others stay', async () => {
    const leave = (address: string, sinceMs: number) =>
      store.transactAccount(address, (transactor) =>
        transactor.commit({ create: testFields({ status: 'moved', away: { to: 'there@example.net', sinceMs } }) }),
      );
    await leave('long-ago@example.com', Date.now() - deletedNameMs - 1000);
    await leave('lately@example.com', Date.now() - deletedNameMs + 60_000);
    await store.sweep();
    const look = (address: string) => store.readAccount(address, ({ state, name }) => ({ state, name }));
    expect((await look('long-ago@example.com')).state).toBeUndefined();
    await makeAccount(store, 'long-ago@example.com');
    expect((await look('lately@example.com')).state).toMatchObject({ status: 'moved' });
  });
});
