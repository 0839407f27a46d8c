/** The outbox of a shard as its neighbours see it: a router posts, a worker leases and settles, Redis is told where to look. */
import type { LeaseOutboxResult } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ShardConnection } from '@meshd/rpc/shard-client';
import { laneOfRecipient } from '@meshd/schema/address';
import { messageOf } from '@meshd/shard/testing/outbox-kit';
import { Person } from '@meshd/shard/testing/person';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identity, rpcEnvelope, rpcPrincipal, ShardKit, type Transaction } from './shard-kit.js';

let kit: ShardKit;
let worker: ShardConnection;
const alice = new Person('alice');
const device = alice.device();
const bob = 'bob@beta.test';
const lane = { domain: 'beta.test', lane: laneOfRecipient(bob) };

async function start(): Promise<void> {
  worker = await kit.connect(await kit.start(), 'outbound');
}

beforeAll(async () => {
  kit = await ShardKit.make();
  await start();
  await kit.join(alice, device);
});

afterAll(async () => {
  worker.close();
  await kit.remove();
});

const ask = (transaction: Transaction) =>
  worker.transact({ mapVersion: 0, identity: identity(), describePrincipal: false, transaction }, 5000);

async function send() {
  const messages = [rpcEnvelope(messageOf(alice, device, Date.now(), { to: [bob] }))];
  return kit.transact({
    $case: 'post',
    value: { principal: rpcPrincipal(device), accounts: [bob], messages, self: [] },
  });
}

async function lease(): Promise<LeaseOutboxResult> {
  const value = { owner: 'worker', ...lane, rowsMax: 64, bytesMax: 2 ** 20, leaseMs: 30_000 };
  const { result } = await ask({ $case: 'leaseOutbox', value });
  return result?.$case === 'leaseOutbox' ? result.value : expect.fail('no lease');
}

describe('a posted message', () => {
  test('[R171] is leased as it was sent, delivered, and its sender told', async () => {
    expect(await send()).toMatchObject({
      outcome: { status: 201 },
      result: { $case: 'post', value: { entries: [{ account: bob, result: 'Accept', indexContainer: 1 }] } },
    });
    const { rows } = await lease();
    expect(rows).toMatchObject([{ sender: alice.address, recipient: bob, attempts: 0 }]);
    expect(new TextDecoder().decode(rows[0]?.message?.header)).not.toContain('ContainerInfo');
    const delivered = { id: rows[0]?.id as number, outcome: { $case: 'delivered', value: {} } } as const;
    const value = { owner: 'worker', ...lane, rows: [delivered], destination: { reached: true, failure: '' } };
    expect(await ask({ $case: 'settleOutbox', value })).toMatchObject({
      outcome: { status: 201 },
      result: { $case: 'settleOutbox', value: { more: false } },
    });
    const outbound = (await kit.status(device)).containers.find(({ container }) => container === 'mmm_Outbound');
    expect(outbound?.index).toBe(3);
    expect((await lease()).rows).toEqual([]);
  });

  test('is announced in Redis by identifiers alone', async () => {
    const redis = new Redis(kit.redisUrl);
    const keys = () => redis.keys('meshd-*deliveries:*');
    await expect
      .poll(async () => {
        await send();
        const hashes = (await keys()).filter((key) => /:\d+$/.test(key));
        const data = await Promise.all(hashes.map((key) => redis.hget(key, 'data')));
        return data.map((text) => JSON.parse(text ?? 'null'));
      })
      .toContainEqual({ shard: kit.names[0], ...lane });
    redis.disconnect();
  });

  test('[R169] outlives the shard', async () => {
    const before = (await lease()).rows;
    expect(before.length).toBeGreaterThan(0);
    const rows = before.map(({ id }) => ({ id, outcome: { $case: 'released', value: {} } as const }));
    await ask({ $case: 'settleOutbox', value: { owner: 'worker', ...lane, rows } });
    worker.close();
    await kit.stop();
    await start();
    expect((await lease()).rows.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
    expect(await ask({ $case: 'listWork', value: { afterDomain: '', afterLane: 0, lanesMax: 10 } })).toMatchObject({
      result: { $case: 'listWork', value: { lanes: [{ ...lane, dueMs: 0 }], more: false } },
    });
  });

  test('[S91] is given to nobody but outbound workers, who post nothing', async () => {
    const asRouter = await kit.transact({ $case: 'listWork', value: { afterDomain: '', afterLane: 0, lanesMax: 10 } });
    expect(asRouter.outcome).toMatchObject({ status: 403, error: 'policy' });
    const value = { principal: rpcPrincipal(device), accounts: [bob], messages: [], self: [] };
    expect((await ask({ $case: 'post', value })).outcome).toMatchObject({ status: 403, error: 'policy' });
  });
});
