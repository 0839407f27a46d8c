/** Many writers at once, bounds of what waits and what is read, commits that wait for the disk, and what a stop leaves. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  append,
  makeAccount,
  shardDatabase,
  type TestDatabase,
  TestStores,
  testBatch,
  testFields,
  testFrame,
} from './test-kit.js';

let database: TestDatabase;
let stores: TestStores;
beforeAll(async () => {
  database = await shardDatabase();
  stores = new TestStores(database);
});
afterEach(() => stores.stop());
afterAll(() => database.drop());

describe('neighbours', () => {
  it('64 accounts write at once; a write that the database refuses costs nobody else', async () => {
    const groups: number[] = [];
    const store = await stores.open({ onGroup: ({ writeCount }) => groups.push(writeCount) });
    const addresses = Array.from({ length: 64 }, (_, at) => `many-${at}@example.com`);
    await Promise.all(addresses.map((address) => makeAccount(store, address)));
    const work = addresses.map(async (address, at) => {
      for (let turn = 0; turn < 10; turn += 1)
        await append(store, address, 'mmm_Credential', [testFrame(), testFrame()]);
      if (at % 8 !== 0) return;
      // goes through our own checks and is refused by the database
      const bad = {
        ...testBatch('bad', undefined, [testFrame(0)]),
        open: { kind: 'catalog', legacy: false, logId: randomBytes(31) },
      };
      await expect(
        store.transactAccount(address, (transactor) => transactor.commit({ containers: [bad as never] })),
      ).rejects.toMatchObject({ code: 'invalid' });
    });
    await Promise.all(work);
    for (const address of addresses) expect(await stores.leavesOf(address, 'mmm_Credential')).toHaveLength(21);
    expect(Math.max(...groups)).toBeGreaterThan(8);
  });

  it('writers of one account take turns, and wait in a bounded line', async () => {
    const store = await stores.open();
    await makeAccount(store, 'line@example.com');
    const results = await Promise.allSettled(
      Array.from({ length: 300 }, () => append(store, 'line@example.com', 'mmm_Credential', [testFrame()])),
    );
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    expect(refused).toHaveLength(300 - 256);
    for (const error of refused) {
      expect(error).toMatchObject({ code: 'overloaded', resource: 'requests waiting for the account' });
    }
    expect(await stores.leavesOf('line@example.com', 'mmm_Credential')).toHaveLength(257);
  });
});

describe('bounds', () => {
  it('refuses octets beyond what may wait, while the database stands still', async () => {
    const store = await stores.open();
    const addresses = Array.from({ length: 20 }, (_, at) => `wait-${at}@example.com`);
    for (const address of addresses) await makeAccount(store, address);
    const blocker = new pg.Client({ connectionString: database.url });
    await blocker.connect();
    await blocker.query('BEGIN');
    await blocker.query('LOCK TABLE frame IN EXCLUSIVE MODE');
    const frame = testFrame(8 << 20);
    const writing = addresses.map((address) => append(store, address, 'mmm_Credential', [frame]));
    const settled = Promise.allSettled(writing);
    await expect(Promise.race(writing)).rejects.toMatchObject({
      ...{ code: 'overloaded', resource: 'octets waiting to be written at the shard' },
    });
    await blocker.query('ROLLBACK');
    await blocker.end();
    const accepted = (await settled).filter(({ status }) => status === 'fulfilled');
    expect(accepted).toHaveLength(15);
    // what was refused can be sent again
    for (const address of addresses.slice(15)) await append(store, address, 'mmm_Credential', [testFrame()]);
  });

  it('reads a large container in chunks', async () => {
    const store = await stores.open();
    await makeAccount(store, 'large@example.com');
    for (let batch = 0; batch < 8; batch += 1) {
      await append(
        store,
        'large@example.com',
        'mmm_Credential',
        Array.from({ length: 64 }, () => testFrame(64 << 10)),
      );
    }
    await store.readAccount('large@example.com', async (reader) => {
      const container = reader.state?.containers.get('mmm_Credential');
      if (container === undefined) throw new Error('no container');
      let largest = 0;
      let frames = 0;
      for await (const chunk of reader.frames(container, { from: 0, to: 1000 })) {
        const bytes = chunk.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0);
        largest = Math.max(largest, bytes);
        frames += chunk.length;
      }
      expect(frames).toBe(513);
      expect(largest).toBeLessThanOrEqual(1 << 20);
    });
  });
});

describe('durability', () => {
  it('waits for the disk whatever the database is set to', async () => {
    const [{ name } = { name: '' }] = await database.query<{ name: string }>('SELECT current_database() AS name');
    await database.query(`ALTER DATABASE ${name} SET synchronous_commit = off`);
    const settings: string[] = [];
    const store = await stores.open({
      makeClient: (config) => {
        const client = new pg.Client(config);
        const query = client.query.bind(client) as (config: unknown) => Promise<pg.QueryResult>;
        client.query = ((statement: { text?: string }) => {
          if (statement.text === 'BEGIN' && config.application_name === 'meshd shard writer') {
            void query('SHOW synchronous_commit').then(({ rows }) => settings.push(rows[0].synchronous_commit));
          }
          return query(statement);
        }) as typeof client.query;
        return client;
      },
    });
    await makeAccount(store, 'durable@example.com');
    await database.query(`ALTER DATABASE ${name} RESET synchronous_commit`);
    expect(settings).toEqual(['on']);
  });

  it('migrations run once, whoever starts them', async () => {
    const { migrateShard } = await import('./migrate.js');
    expect(await Promise.all([migrateShard(database.url), migrateShard(database.url)])).toEqual([12, 12]);
    const accounts = await database.query('SELECT 1 FROM account');
    expect(accounts.length).toBeGreaterThan(0);
  });

  it('has bodies vacuumed for what was deleted, not for having grown: that would write each into the log again', async () => {
    const rows = await database.query<{ relname: string; options: string[] | null }>(
      `SELECT c.relname, t.reloptions AS options FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid
       WHERE c.relname IN ('frame', 'large_slice') ORDER BY c.relname`,
    );
    const options = ['autovacuum_vacuum_insert_threshold=-1'];
    expect(rows).toEqual(['frame', 'large_slice'].map((relname) => ({ relname, options })));
  });

  it('[R008] where an account is when it is not here is read back', async () => {
    const fields = testFields({ status: 'moved', away: { to: 'away@example.net', sinceMs: 1_767_225_600_000 } });
    const store = await stores.open();
    await store.transactAccount('away@example.com', (transactor) => transactor.commit({ create: fields }));
    await makeAccount(store, 'present@example.com');
    await store.stop();
    const again = await stores.open();
    const stateOf = (address: string) => again.readAccount(address, ({ state }) => state);
    const { status, away, quota, ticketsFromMs, meshUpdatedMs } = fields;
    expect(await stateOf('away@example.com')).toMatchObject({ status, away, quota, ticketsFromMs, meshUpdatedMs });
    expect((await stateOf('present@example.com'))?.away).toBeNull();
  });

  it('stops after what waits is committed, and takes nothing more', async () => {
    const store = await stores.open();
    await makeAccount(store, 'stop@example.com');
    const writing = Array.from({ length: 20 }, (_, at) => makeAccount(store, `stop-${at}@example.com`));
    await new Promise((resolve) => setImmediate(resolve));
    const stopping = store.stop();
    const results = await Promise.allSettled(writing);
    await stopping;
    for (const [at, { status }] of results.entries()) {
      const rows = await database.query('SELECT 1 FROM account WHERE address = $1', [`stop-${at}@example.com`]);
      expect(rows).toHaveLength(status === 'fulfilled' ? 1 : 0);
    }
    await expect(
      store.transactAccount('stop@example.com', (one) => one.commit({ replace: testFields() })),
    ).rejects.toThrow();
  });
});
