/** Who may write to a shard: one process at a time, whose lease the database itself compares. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { append, makeAccount, shardDatabase, type TestDatabase, TestStores, testFrame } from './test-kit.js';

let database: TestDatabase;
let stores: TestStores;
beforeAll(async () => {
  database = await shardDatabase();
  stores = new TestStores(database);
});
afterEach(() => stores.stop());
afterAll(() => database.drop());

describe('a stale shard cannot write', () => {
  it('is refused by the database, learns of it and stops reading', async () => {
    const lost: string[] = [];
    const stale = await stores.open({ onLeaseLost: (reason) => lost.push(reason) });
    await makeAccount(stale, 'lease@example.com');
    await database.query(`UPDATE shard_lease SET renewed_at = '-infinity'`);
    const fresh = await stores.open();
    expect(fresh.epoch).toBe(stale.epoch + 1);
    await append(fresh, 'lease@example.com', 'mmm_Credential', [testFrame()]);
    await expect(append(stale, 'lease@example.com', 'mmm_Credential', [testFrame()])).rejects.toMatchObject({
      code: 'lease-lost',
    });
    expect(lost).toHaveLength(1);
    await expect(stale.readAccount('lease@example.com', () => {})).rejects.toMatchObject({ code: 'lease-lost' });
    expect(stale.problems()).toHaveLength(1);
    expect(await stores.leavesOf('lease@example.com', 'mmm_Credential')).toHaveLength(2);
  });

  it('does not get the lease while it is held, and gets it when it was given back', async () => {
    const first = await stores.open();
    await expect(stores.open({ leaseWaitMsMax: 300 })).rejects.toMatchObject({ code: 'lease-lost' });
    await first.stop();
    const second = await stores.open({ leaseWaitMsMax: 0 });
    expect(second.epoch).toBe(first.epoch + 1);
  });

  it('takes over at once from a process of this machine that is no more', async () => {
    const first = await stores.open();
    const [row] = await database.query<{ owner: string }>('SELECT owner FROM shard_lease');
    const [host] = row?.owner.split('/') ?? [];
    await database.query('UPDATE shard_lease SET owner = $1', [`${host}/4194303/dead`]);
    const second = await stores.open({ leaseWaitMsMax: 0 });
    expect(second.epoch).toBe(first.epoch + 1);
  });

  it('a takeover waits for a transaction under way', async () => {
    const store = await stores.open();
    const writer = new pg.Client({ connectionString: database.url });
    await writer.connect();
    await writer.query('BEGIN');
    await writer.query('SELECT lease_expect($1, $2)', ['shard-0', store.epoch]);
    await database.query(`UPDATE shard_lease SET renewed_at = '-infinity'`); // a renewal does not wait
    let taken = false;
    const taking = stores.open().then((other) => {
      taken = true;
      return other;
    });
    const blocked = `SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%lease%'`;
    await expect.poll(async () => (await database.query(blocked)).length).toBe(1);
    expect(taken).toBe(false);
    await writer.query('COMMIT');
    await writer.end();
    expect((await taking).epoch).toBe(store.epoch + 1);
  });
});
