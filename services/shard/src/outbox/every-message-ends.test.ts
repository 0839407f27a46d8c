import { createHash } from 'node:crypto';
import { messageMsMax, outboxLeaseMs } from '@meshd/limits/limits';
import { laneOfRecipient } from '@meshd/schema/address';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LeasedRow } from '../storage/outbox-store.js';
import { each, OutboxShard, type Sender } from '../testing/outbox-kit.js';
import { expireMessages } from './expiry.js';
import { changeDestination } from './operate.js';
import { peerSpoke } from './peer-spoke.js';
import type { RowOutcome } from './settle.js';

/*
 * Whatever workers, operators, clocks and restarts do to the outbox, in any order: each delivery that was accepted ends
 * with exactly one mark. The order comes from a seed, which a failure names.
 */

let shard: OutboxShard;
let senders: Sender[];

beforeEach(async () => {
  shard = await OutboxShard.open();
  senders = [await shard.person('alice'), await shard.person('dora')];
});

afterEach(() => shard.close());

/** Numbers from 0 up to a bound, the same for the same seed. */
function dice(seed: string): (bound: number) => number {
  let count = 0;
  return (bound) => createHash('sha256').update(`${seed}/${count++}`).digest().readUInt32BE(0) % bound;
}

const recipients = ['bob@beta.test', 'carol@beta.test', 'erin@gamma.test', 'frank@example.com'];
const domains = ['beta.test', 'gamma.test', 'example.com'];
const outcomes: readonly RowOutcome[] = [
  { kind: 'delivered', receipt: undefined },
  { kind: 'refused', statusExtended: 0 },
  { kind: 'failed', reason: 'timeout' },
  { kind: 'released' },
];

interface Held {
  readonly owner: string;
  readonly domain: string;
  readonly lane: number;
  readonly rows: readonly LeasedRow[];
}

test.each(['one', 'two', 'three'])(
  'every message ends once, whatever happens (seed %s)',
  { timeout: 60_000 },
  async (seed) => {
    const roll = dice(seed);
    const pick = <T>(from: readonly T[]): T => from[roll(from.length)] as T;
    const accepted: string[] = [];
    const held: Held[] = [];
    const actions: Record<string, () => Promise<unknown>> = {
      send: async () => {
        const sender = pick(senders);
        const to = recipients.filter(() => roll(2) === 0);
        if (to.length === 0) return;
        const { entries } = await sender.send(...to);
        for (const { account, indexContainer } of entries) {
          accepted.push(`${sender.person.address} ${indexContainer} ${account}`);
        }
      },
      lease: async () => {
        const recipient = pick(recipients);
        const lane = laneOfRecipient(recipient);
        const [owner, domain] = [pick(['one', 'two']), recipient.split('@')[1] as string];
        const { rows } = await shard.lease(domain, lane, { owner, rowsMax: 1 + roll(3) });
        if (rows.length > 0) held.push({ owner, domain, lane, rows });
      },
      settle: async () => {
        if (held.length === 0) return;
        // Some settle twice.
        const { owner, domain, lane, rows } =
          roll(4) === 0 ? pick(held) : (held.splice(roll(held.length), 1)[0] as Held);
        const failure = pick(['', 'timeout']);
        const destination = { reached: failure === '', failure, retryAfterMs: undefined };
        await shard.settle(domain, lane, { owner, rows: each(rows, pick(outcomes)), destination });
      },
      wait: async () => {
        shard.nowMs += pick([1000, 10_000, outboxLeaseMs, messageMsMax / 8]);
      },
      expire: () => expireMessages(shard.context),
      spoke: () => peerSpoke(shard.context, pick(domains)),
      operate: () =>
        changeDestination(shard.context, pick(['hold', 'release', 'retry', 'drop']), { domain: pick(domains) }),
      restart: () => (roll(4) === 0 ? shard.restart() : Promise.resolve()),
    };
    const names = ['send', 'send', 'lease', 'lease', 'lease', 'settle', 'settle', ...Object.keys(actions)];
    for (let step = 0; step < 120; step += 1) {
      // Two at a time, so that they meet.
      const [one, other] = [pick(names), pick(names)];
      if (one === 'restart' || other === 'restart') await actions.restart?.();
      else await Promise.all([actions[one]?.(), actions[other]?.()]);
    }
    shard.nowMs += messageMsMax + outboxLeaseMs;
    await expireMessages(shard.context);
    expect(await shard.rows()).toEqual([]);
    const ended: string[] = [];
    for (const sender of senders) {
      const index = new Map((await sender.frames()).map((frame) => [frame.uniqueId, frame.index]));
      for (const { MessageID, Account } of await sender.marks()) {
        ended.push(`${sender.person.address} ${index.get(MessageID ?? '')} ${Account}`);
      }
    }
    expect(accepted.length).toBeGreaterThan(20);
    expect(ended.sort()).toEqual(accepted.sort());
  },
);
