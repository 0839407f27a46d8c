import { RpcError } from '@meshd/rpc/errors';
import type { Outcome, SlotMap, TransactRequest, TransactResponse } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { SlotMapCopy } from '@meshd/rpc/slot-map';
import { silentLogger } from '@meshd/telemetry/logger';
import { afterEach, describe, expect, it } from 'vitest';
import type { ShardLink } from './shard-link.js';
import { type ShardCall, ShardRouter } from './shard-router.js';

const account = 'alice@example.com'; // slot 4088
const map = (version: number, last: string, exceptions: SlotMap['exceptions'] = []): SlotMap => ({
  version,
  ranges: [
    { first: 0, last: 2047, shard: 'one' },
    { first: 2048, last: 4095, shard: last },
  ],
  exceptions,
  shards: ['one', 'two'].map((shard) => ({ shard, address: `${shard}:1` })),
});
const outcome = (error = ''): Outcome => ({
  status: error === '' ? 201 : 503,
  error,
  detail: '',
  retryAfterMs: 0,
  correlation: '',
  mapVersion: 0,
});
const answer = (error = ''): TransactResponse => ({ number: 1, outcome: outcome(error), result: undefined });

interface Fake {
  readonly router: ShardRouter;
  readonly asked: string[];
  /** Resolves once the router has taken it and asks for the next. */
  publish(version: SlotMap): Promise<void>;
}

let running: Fake | undefined;
afterEach(() => running?.router.stop());

/** Shards that answer as told; the map is published by hand. */
async function start(reply: (address: string, count: number) => TransactResponse): Promise<Fake> {
  const asked: string[] = [];
  let deliver: ((version: SlotMap) => void) | undefined;
  const untilAsked = () => expect.poll(() => deliver !== undefined, { interval: 1 }).toBe(true);
  const open = (address: string): ShardLink => ({
    transact: async ({ transaction }) => {
      if (transaction?.$case === 'describeService') return answer();
      asked.push(address);
      return reply(address, asked.length);
    },
    download: async function* () {
      yield { part: { $case: 'outcome', value: outcome() } };
    },
    watchMap: async function* (_known, signal) {
      for (;;) {
        yield await new Promise<SlotMap>((resolve, reject) => {
          deliver = resolve;
          signal?.addEventListener('abort', () => reject(new Error('stopped')));
        });
      }
    },
    close: () => undefined,
  });
  const router = new ShardRouter({ open, seeds: ['seed:1'], clock: Date.now, logger: silentLogger() });
  router.start();
  await untilAsked();
  const publish = async (version: SlotMap) => {
    const give = deliver;
    deliver = undefined;
    give?.(version);
    await untilAsked();
  };
  running = { router, asked, publish };
  return running;
}

const call = (leftMs = 5000): ShardCall => ({
  account,
  identity: { id: Buffer.alloc(24), payloadDigest: Buffer.alloc(64) },
  deadlineMs: Date.now() + leftMs,
});
const status: NonNullable<TransactRequest['transaction']> = {
  $case: 'status',
  value: {
    principal: undefined,
    deviceUdf: '',
    profileMasterDigest: Buffer.alloc(0),
    containers: [],
    known: [],
    heads: false,
  },
};

describe('slot map', () => {
  it('finds shards by slot, and single accounts elsewhere', () => {
    const copy = new SlotMapCopy(map(1, 'two', [{ account: 'bob@example.com', shard: 'one' }]));
    expect(copy.placeOf(account)).toEqual({ shard: 'two', address: 'two:1' });
    expect(copy.placeOf('bob@example.com')?.shard).toBe('one');
    expect(copy.isComplete).toBe(true);
  });

  it('knows its gaps, and shards that nobody names', () => {
    const copy = new SlotMapCopy({ ...map(1, 'three'), ranges: [{ first: 2048, last: 4095, shard: 'three' }] });
    expect(copy.placeOf(account)).toBeUndefined();
    expect(copy.isComplete).toBe(false);
  });
});

describe('routing', () => {
  it('is not ready without a map, and sends nothing', async () => {
    const { router, asked } = await start(() => answer());
    expect(router.problems()).toEqual(['the slot map is not known yet']);
    await expect(router.transact(call(), status)).rejects.toMatchObject({ code: 'overloaded', resource: 'slot map' });
    expect(asked).toEqual([]);
  });

  it('asks the shard of the slot, and is ready once all shards answered', async () => {
    const { router, asked, publish } = await start(() => answer());
    await publish(map(1, 'two'));
    await router.transact(call(), status);
    expect(asked).toEqual(['two:1']);
    await expect.poll(() => router.problems(), { interval: 1 }).toEqual([]);
  });

  it('waits for a newer map when a shard is the wrong one, and repeats once', async () => {
    const { router, asked, publish } = await start((address) => answer(address === 'two:1' ? 'wrong-shard' : ''));
    await publish(map(1, 'two'));
    const transacted = router.transact(call(), status);
    await expect.poll(() => asked, { interval: 1 }).toHaveLength(1);
    await publish(map(2, 'one'));
    await transacted;
    expect(asked).toEqual(['two:1', 'one:1']);
    expect(router.mapVersion).toBe(2);
    await publish(map(1, 'two'));
    expect(router.mapVersion).toBe(2);
  });

  it('gives up when the second shard is wrong too', async () => {
    const { router, asked, publish } = await start(() => answer('wrong-shard'));
    await publish(map(1, 'two'));
    const transacted = router.transact(call(), status);
    await expect.poll(() => asked, { interval: 1 }).toHaveLength(1);
    await Promise.all([
      expect(transacted).rejects.toMatchObject({ code: 'overloaded', resource: 'slot map' }),
      publish(map(2, 'one')),
    ]);
    expect(asked).toHaveLength(2);
  });

  it('repeats over a broken connection while there is time', async () => {
    const broken = new RpcError('unavailable', 'gone');
    const { router, asked, publish } = await start((_address, count) => {
      if (count < 3) throw broken;
      return answer();
    });
    await publish(map(1, 'two'));
    await router.transact(call(), status);
    expect(asked).toHaveLength(3);
    const late = await start(() => {
      throw broken;
    });
    await late.publish(map(1, 'two'));
    await expect(late.router.transact(call(900), status)).rejects.toMatchObject({ status: 503, resource: 'shard' });
  });

  it('says 504 when the shard does not answer in time', async () => {
    const { router, publish } = await start(() => {
      throw new RpcError('deadline', 'late');
    });
    await publish(map(1, 'two'));
    await expect(router.transact(call(), status)).rejects.toMatchObject({ status: 504 });
  });
});
