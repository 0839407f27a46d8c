/** Statements that fail and connections that end, at every step: exactly one copy, and the account and the service agree. */
import type { Socket } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ClientMaker } from './database.js';
import type { FrameWrite, Store } from './store.js';
import {
  makeAccount,
  makeService,
  shardDatabase,
  type TestDatabase,
  TestStores,
  testBatch,
  testFrame,
  testSeen,
} from './test-kit.js';

let database: TestDatabase;
let stores: TestStores;
beforeAll(async () => {
  database = await shardDatabase();
  stores = new TestStores(database);
});
afterEach(() => stores.stop());
afterAll(() => database.drop());

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
    const store = await stores.open({ makeClient: faultyClients(fault), writeConnections: 1 });
    await makeService(store);
    await makeAccount(store, address);
    const leaves = await stores.leavesOf(address, 'mmm_Credential');
    let faultyRuns = 0;
    for (let step = 1; step < 40; step += 1) {
      const frame = testFrame(3000);
      arm(fault, step);
      const attempts = await upload(store, address, frame);
      const armed = fault.failStatement > 0 && fault.cutAfterReply > 0;
      Object.assign(fault, { failStatement: unarmed, cutAfterReply: unarmed });
      leaves.push(Buffer.from(frame.leaf).toString('hex'));
      expect(await stores.leavesOf(address, 'mmm_Credential')).toEqual(leaves);
      // one entry of the service with each append, never one without the other
      expect((await stores.leavesOf('@service', 'mmm_Incident')).length % 100).toBe((serviceBefore + step) % 100);
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
  const store = await stores.open();
  await makeService(store);
  const addresses = Array.from({ length: 8 }, (_, at) => `ended-${at}@example.com`);
  for (const address of addresses) await makeAccount(store, address);
  let uploadCount = 0;
  const working = addresses.map(async (address) => {
    const leaves = await stores.leavesOf(address, 'mmm_Credential');
    for (let turn = 0; turn < 30; turn += 1) {
      const frame = testFrame();
      leaves.push(Buffer.from(frame.leaf).toString('hex'));
      await upload(store, address, frame);
      uploadCount += 1;
    }
    expect(await stores.leavesOf(address, 'mmm_Credential')).toEqual(leaves);
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
