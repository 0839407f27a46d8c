import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ClientMaker } from './database.js';
import type { FrameWrite, Store } from './store.js';
import type { StoreOptions } from './store-options.js';
import {
  append,
  makeAccount,
  makeService,
  openTestStore,
  shardDatabase,
  type TestDatabase,
  testBatch,
  testFields,
  testFrame,
  testSeen,
} from './test-kit.js';

let database: TestDatabase;
const stores: Store[] = [];
beforeAll(async () => {
  database = await shardDatabase();
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.stop();
});
afterAll(() => database.drop());

async function open(options: Partial<StoreOptions> = {}): Promise<Store> {
  const store = await openTestStore(database.url, options);
  stores.push(store);
  return store;
}

/** What to do to the connections that write, from the moment it is armed. */
interface Fault {
  /** Counts down; the statement at which it reaches zero fails in the server. */
  failStatement: number;
  /** Counts down; after the reply at which it reaches zero the connection is cut. */
  cutAfterReply: number;
}

interface Inner {
  readonly connection: { on(event: 'readyForQuery', listener: () => void): void; readonly stream: Socket };
}

/** Clients that do what the fault says. */
function faultyClients(fault: Fault): ClientMaker {
  return (config) => {
    const client = new pg.Client(config);
    if (config.application_name !== 'meshd shard writer') return client;
    const { connection } = client as unknown as Inner;
    connection.on('readyForQuery', () => {
      fault.cutAfterReply -= 1;
      if (fault.cutAfterReply === 0) connection.stream.destroy();
    });
    const query = client.query.bind(client) as (config: object) => unknown;
    client.query = ((statement: object) => {
      fault.failStatement -= 1;
      return query(fault.failStatement === 0 ? { text: 'SELECT 1 / 0' } : statement);
    }) as typeof client.query;
    return client;
  };
}

const unarmed = Number.POSITIVE_INFINITY;

/** Leaves of a container's frames, in order, straight from the database. */
async function storedLeaves(address: string, name: string): Promise<string[]> {
  const rows = await database.query<{ leaf: Buffer; frame_index: string }>(
    `SELECT leaf, frame_index FROM frame JOIN container c ON c.id = container_id JOIN account a ON a.id = c.account_id
     WHERE a.address = $1 AND c.name = $2 ORDER BY frame_index`,
    [address, name],
  );
  expect(rows.map(({ frame_index: index }) => Number(index))).toEqual(rows.map((_, index) => index));
  return rows.map(({ leaf }) => leaf.toString('hex'));
}

/** What a shard does with a request: repeats it until it has an answer, by its remembered identity. */
async function upload(store: Store, address: string, frame: FrameWrite, seen = testSeen(address)): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store.transactAccount(address, async (transactor) => {
        if ((await transactor.findSeen(seen.principal, seen.id)) !== undefined) return attempt;
        const key = { uniqueId: 'k', latestIndex: 0, firstIndex: 0, deleted: false };
        const before = transactor.state?.containers.get('mmm_Credential');
        const service = [
          {
            container: 'mmm_Incident' as const,
            make: (container: Parameters<typeof testBatch>[1]) => testBatch('mmm_Incident', container, [testFrame()]),
          },
        ];
        await transactor.commit({ containers: [testBatch('mmm_Credential', before, [frame], [key])], seen, service });
        return attempt;
      });
    } catch (error) {
      if (attempt > 5) throw error;
    }
  }
}

describe('every step of one append fails in turn', () => {
  const runs = async (arm: (fault: Fault, step: number) => void, address: string) => {
    const fault = { failStatement: unarmed, cutAfterReply: unarmed };
    const store = await open({ makeClient: faultyClients(fault), writeConnections: 1 });
    await makeService(store);
    await makeAccount(store, address);
    const leaves = await storedLeaves(address, 'mmm_Credential');
    let faultyRuns = 0;
    for (let step = 1; step < 40; step += 1) {
      const frame = testFrame(3000);
      arm(fault, step);
      const attempts = await upload(store, address, frame);
      const armed = fault.failStatement > 0 && fault.cutAfterReply > 0;
      Object.assign(fault, { failStatement: unarmed, cutAfterReply: unarmed });
      leaves.push(Buffer.from(frame.leaf).toString('hex'));
      expect(await storedLeaves(address, 'mmm_Credential')).toEqual(leaves);
      // one entry of the service with each append, never one without the other
      expect((await storedLeaves('@service', 'mmm_Incident')).length % 100).toBe((serviceBefore + step) % 100);
      if (armed) return faultyRuns;
      expect(attempts).toBeGreaterThan(0);
      faultyRuns += 1;
    }
    throw new Error('there was no end to the steps');
  };
  let serviceBefore = 0;

  it('statement after statement: exactly one copy after the repetition', async () => {
    serviceBefore = 1;
    const steps = await runs((fault, step) => {
      fault.failStatement = step;
    }, 'statements@example.com');
    // BEGIN, lease, heads, frames (two, of the account and the service), keys, remembered request, COMMIT
    expect(steps).toBeGreaterThanOrEqual(7);
  });

  it('reply after reply the connection is cut: exactly one copy after the repetition', async () => {
    serviceBefore = (
      await database.query('SELECT 1 FROM frame JOIN container c ON c.id = container_id WHERE c.name = $1', [
        'mmm_Incident',
      ])
    ).length;
    const steps = await runs((fault, step) => {
      fault.cutAfterReply = step;
    }, 'replies@example.com');
    expect(steps).toBeGreaterThanOrEqual(7);
  });
});

it('every connection is ended by the server at once: work goes on, nothing is written twice', async () => {
  const store = await open();
  await makeService(store);
  const addresses = Array.from({ length: 8 }, (_, at) => `ended-${at}@example.com`);
  for (const address of addresses) await makeAccount(store, address);
  let uploadCount = 0;
  const working = addresses.map(async (address) => {
    const leaves = await storedLeaves(address, 'mmm_Credential');
    for (let turn = 0; turn < 30; turn += 1) {
      const frame = testFrame();
      leaves.push(Buffer.from(frame.leaf).toString('hex'));
      await upload(store, address, frame);
      uploadCount += 1;
    }
    expect(await storedLeaves(address, 'mmm_Credential')).toEqual(leaves);
  });
  const ending = (async () => {
    for (const count of [20, 80, 140]) {
      await expect.poll(() => uploadCount, { interval: 1, timeout: 20_000 }).toBeGreaterThan(count);
      await database.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      );
    }
  })();
  await Promise.all([...working, ending]);
  expect(store.problems()).toEqual([]);
});

describe('a stale shard cannot write', () => {
  it('is refused by the database, learns of it and stops reading', async () => {
    const lost: string[] = [];
    const stale = await open({ onLeaseLost: (reason) => lost.push(reason) });
    await makeAccount(stale, 'lease@example.com');
    await database.query(`UPDATE shard_lease SET renewed_at = '-infinity'`);
    const fresh = await open();
    expect(fresh.epoch).toBe(stale.epoch + 1);
    await append(fresh, 'lease@example.com', 'mmm_Credential', [testFrame()]);
    await expect(append(stale, 'lease@example.com', 'mmm_Credential', [testFrame()])).rejects.toMatchObject({
      code: 'lease-lost',
    });
    expect(lost).toHaveLength(1);
    await expect(stale.readAccount('lease@example.com', () => {})).rejects.toMatchObject({ code: 'lease-lost' });
    expect(stale.problems()).toHaveLength(1);
    expect(await storedLeaves('lease@example.com', 'mmm_Credential')).toHaveLength(2);
  });

  it('does not get the lease while it is held, and gets it when it was given back', async () => {
    const first = await open();
    await expect(open({ leaseWaitMsMax: 300 })).rejects.toMatchObject({ code: 'lease-lost' });
    await first.stop();
    const second = await open({ leaseWaitMsMax: 0 });
    expect(second.epoch).toBe(first.epoch + 1);
  });

  it('takes over at once from a process of this machine that is no more', async () => {
    const first = await open();
    const [row] = await database.query<{ owner: string }>('SELECT owner FROM shard_lease');
    const [host] = row?.owner.split('/') ?? [];
    await database.query('UPDATE shard_lease SET owner = $1', [`${host}/4194303/dead`]);
    const second = await open({ leaseWaitMsMax: 0 });
    expect(second.epoch).toBe(first.epoch + 1);
  });

  it('a takeover waits for a transaction under way', async () => {
    const store = await open();
    const writer = new pg.Client({ connectionString: database.url });
    await writer.connect();
    await writer.query('BEGIN');
    await writer.query('SELECT lease_expect($1, $2)', ['shard-0', store.epoch]);
    await database.query(`UPDATE shard_lease SET renewed_at = '-infinity'`); // a renewal does not wait
    let taken = false;
    const taking = open().then((other) => {
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

describe('the database refuses', () => {
  let containerId: string;
  beforeAll(async () => {
    const store = await openTestStore(database.url);
    await makeAccount(store, 'raw@example.com');
    await append(store, 'raw@example.com', 'mmm_Credential', [testFrame(), testFrame()]);
    await store.stop();
    const [row] = await database.query<{ id: string }>(
      `SELECT c.id FROM container c JOIN account a ON a.id = c.account_id WHERE a.address = 'raw@example.com'`,
    );
    containerId = row?.id ?? '';
  });
  const insert = (index: number, more: Record<string, unknown> = {}) => {
    const row = {
      container_id: containerId,
      frame_index: index,
      stored_at_ms: 1,
      header: Buffer.from('{}'),
      ...digests(),
      ...more,
    };
    const names = Object.keys(row);
    return database.query(
      `INSERT INTO frame (${names.join(', ')}) VALUES (${names.map((_, at) => `$${at + 1}`).join(', ')})`,
      Object.values(row),
    );
  };
  const digests = () => ({ payload_digest: randomBytes(64), tree_digest: randomBytes(64), leaf: randomBytes(32) });
  const raise = (count: number) =>
    database.query('UPDATE container SET frame_count = $2 WHERE id = $1', [containerId, count]);

  it('a gap, a frame beyond the count, a second frame at an index, a frame of no container', async () => {
    await expect(insert(3)).rejects.toThrow('do not continue');
    await expect(insert(4)).rejects.toThrow('do not continue');
    await expect(insert(2)).rejects.toThrow('frame_pkey');
    await expect(insert(0, { container_id: 999_999_999 })).rejects.toThrow('do not continue');
    await expect(insert(-1)).rejects.toThrow('frame_frame_index_check');
    await database.query('BEGIN');
    await raise(9);
    await expect(insert(4)).rejects.toThrow('do not continue');
    await database.query('ROLLBACK');
  });

  it('digests of another size', async () => {
    for (const name of ['payload_digest', 'tree_digest', 'leaf']) {
      await expect(insert(3, { [name]: randomBytes(20) })).rejects.toThrow(`frame_${name}_check`);
    }
  });

  it('to change or delete frames, or to shorten a container', async () => {
    for (const text of ['UPDATE frame SET stored_at_ms = 2', `UPDATE frame SET payload = ''`, 'TRUNCATE frame']) {
      await expect(database.query(text)).rejects.toThrow('never changed');
    }
    await expect(database.query('DELETE FROM frame WHERE container_id = $1', [containerId])).rejects.toThrow('expired');
    await expect(database.query('DELETE FROM container WHERE id = $1', [containerId])).rejects.toThrow('expired');
    await expect(raise(2)).rejects.toThrow('shortened');
    await expect(database.query(`UPDATE container SET log_id = log_id || ''::bytea, name = 'x'`)).rejects.toThrow(
      'identity',
    );
  });

  it('frames of a container that was found damaged', async () => {
    await database.query('UPDATE container SET damaged = true, frame_count = 4 WHERE id = $1', [containerId]);
    await expect(insert(3)).rejects.toThrow('do not continue');
  });

  it('an append that was made for another frame count, however the memory came to it', async () => {
    const store = await open();
    await makeAccount(store, 'behind@example.com');
    await store.readAccount('behind@example.com', () => {});
    // somebody else writes behind the back of the cache: ahead of it, then without frames at all
    await database.query(
      `UPDATE container SET frame_count = frame_count + 1 FROM account a
       WHERE a.id = account_id AND a.address = 'behind@example.com'`,
    );
    const frame = testFrame();
    await expect(append(store, 'behind@example.com', 'mmm_Credential', [frame])).rejects.toMatchObject({
      code: 'stale',
    });
    await expect(append(store, 'behind@example.com', 'mmm_Credential', [frame])).rejects.toMatchObject({
      code: 'stale',
    });
    expect(await storedLeaves('behind@example.com', 'mmm_Credential')).toHaveLength(1);
  });
});

describe('neighbours', () => {
  it('64 accounts write at once; a write that the database refuses costs nobody else', async () => {
    const groups: number[] = [];
    const store = await open({ onGroup: ({ writeCount }) => groups.push(writeCount) });
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
    for (const address of addresses) expect(await storedLeaves(address, 'mmm_Credential')).toHaveLength(21);
    expect(Math.max(...groups)).toBeGreaterThan(8);
  });

  it('writers of one account take turns, and wait in a bounded line', async () => {
    const store = await open();
    await makeAccount(store, 'line@example.com');
    const results = await Promise.allSettled(
      Array.from({ length: 300 }, () => append(store, 'line@example.com', 'mmm_Credential', [testFrame()])),
    );
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    expect(refused).toHaveLength(300 - 256);
    for (const error of refused) {
      expect(error).toMatchObject({ code: 'overloaded', resource: 'requests waiting for the account' });
    }
    expect(await storedLeaves('line@example.com', 'mmm_Credential')).toHaveLength(257);
  });
});

describe('bounds', () => {
  it('refuses octets beyond what may wait, while the database stands still', async () => {
    const store = await open();
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
    const store = await open();
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
    const store = await open({
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
    expect(await Promise.all([migrateShard(database.url), migrateShard(database.url)])).toEqual([2, 2]);
    const accounts = await database.query('SELECT 1 FROM account');
    expect(accounts.length).toBeGreaterThan(0);
  });

  it('stops after what waits is committed, and takes nothing more', async () => {
    const store = await open();
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
