/** What must always hold (accepted is not lost, filed once, told once, one destination costs nobody else), after days of it. */
import { createHash } from 'node:crypto';
import { messageMsMax, outboxLeaseMs } from '@meshd/limits/limits';
import { beforeAll, describe, expect, it } from 'vitest';
import { lookMs, type OutagesResult, simulateOutages } from './outages.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const postedMs = 1.5 * dayMs;
/** Three for each destination; each costs a signature of the shard. */
const messageCount = 1500;

describe('[R170] five hundred destinations over days of outages', () => {
  let world: OutagesResult;
  const fateOf = (domain: string) => world.peers.peers.get(domain)?.fate;
  const tookMs = (fate: string) =>
    world.posted
      .filter(({ domain }) => fateOf(domain) === fate && !world.operated.has(domain))
      .map(({ name, postedMs }) => (world.peers.seen.get(name)?.filedMs ?? Number.POSITIVE_INFINITY) - postedMs)
      .filter(Number.isFinite)
      .sort((a, b) => a - b);

  beforeAll(async () => {
    world = await simulateOutages({ seed: 1, destinationCount: 500, messageCount, postedMs });
  }, 600_000);

  it('every message ends, whatever queue it was in', () => {
    expect(world.posted).toHaveLength(messageCount);
    expect(world.rowsLeft).toBe(0);
  });

  it('every sender is told of every message, once', () => {
    const told = world.posted.map(({ name, recipient }) => [
      world.marks.get(name)?.length,
      world.marks.get(name)?.[0]?.Account === recipient,
    ]);
    expect(told.filter(([count, isRight]) => count !== 1 || isRight !== true)).toEqual([]);
    expect(world.marks.size).toBe(world.posted.length);
  });

  it('what they are told is what happened', () => {
    const kinds = new Set<string>();
    for (const { name, domain } of world.posted) {
      const { filedMs, told } = world.peers.seen.get(name) ?? { filedMs: undefined, told: undefined };
      const relationship = world.marks.get(name)?.[0]?.Relationship ?? '';
      kinds.add(relationship);
      if (relationship === 'Sent') expect([name, told, filedMs !== undefined]).toEqual([name, 'Accept', true]);
      // Rejected by the peer, by what it says it takes, or by an operator.
      if (relationship === 'Reject' && told !== 'Reject') {
        const isNarrow = (world.peers.peers.get(domain)?.messageBytesMax ?? 0) < 65_536;
        expect([name, isNarrow || world.operated.has(domain)]).toEqual([name, true]);
      }
    }
    expect([...kinds].sort()).toEqual(['Expired', 'Reject', 'Sent']);
  });

  it('nothing is sent again once its sender was told', () => {
    expect(world.sentAfterEnd).toEqual([]);
  });

  it('nothing for a service that is always there expires', () => {
    const lost = world.posted.filter(
      ({ name, domain }) =>
        fateOf(domain) === 'steady' &&
        !world.operated.has(domain) &&
        world.marks.get(name)?.[0]?.Relationship === 'Expired',
    );
    expect(lost).toEqual([]);
  });

  it('messages to one person arrive in the order in which they were posted', () => {
    const at = new Map(world.posted.map(({ name }, index) => [name, index]));
    for (const [recipient, names] of world.peers.filed) {
      const indexes = names.map((name) => at.get(name) as number);
      expect([recipient, indexes]).toEqual([recipient, indexes.toSorted((a, b) => a - b)]);
    }
  });

  it('services that are there get theirs at once, whatever the others do', () => {
    const times = tookMs('steady');
    expect(times.length).toBeGreaterThan(messageCount / 3);
    const share = (part: number) => times[Math.floor(times.length * part)] ?? Number.POSITIVE_INFINITY;
    expect(share(0.5)).toBeLessThan(1000);
    // A wake-up in two hundred is lost, and found again by the next look.
    expect(share(0.99)).toBeLessThan(10_000);
    expect(times.at(-1)).toBeLessThan(2 * (lookMs + outboxLeaseMs));
  });

  it('a dead one is asked about once an hour', () => {
    for (const { fate, triedInVain } of world.peers.peers.values()) {
      // Until the last has expired; a dozen tries until the rest is an hour, shortened by its jitter.
      if (fate === 'dead') expect(triedInVain).toBeLessThan((postedMs + messageMsMax) / hourMs / 0.75 + 40);
    }
  });
});

it('the same seed gives the same days', { timeout: 600_000 }, async () => {
  const digest = async () => {
    const small = { seed: 7, destinationCount: 20, messageCount: 60, postedMs: dayMs / 4 };
    const { marks, turnCount, posted, peers } = await simulateOutages(small);
    const told = posted.map(({ name }) => [name, marks.get(name)?.[0]?.Relationship, peers.seen.get(name)]);
    return createHash('sha256')
      .update(JSON.stringify([told, turnCount]))
      .digest('hex');
  };
  expect(await digest()).toBe(await digest());
});
