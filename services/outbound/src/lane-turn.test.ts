import { destinationRestMsMin } from '@meshd/limits/limits';
import { controllerLimitStart } from '@meshd/limits/outbound';
import { describe, expect, it } from 'vitest';
import type { Batch, Carrier, CarryFailure, CarryOutcome, LeasedRow, RowResult } from './carrier.js';
import { LaneTurns, type Outbox, type Settlement } from './lane-turn.js';
import { leasedRow } from './leased-row.fixture.js';
import { Lines } from './lines.js';

const lane = { shard: 's', domain: 'beta.test', lane: 0 };
const rowsOf = (...recipients: string[]): LeasedRow[] =>
  recipients.map((name, id) => leasedRow(id, `${name}@beta.test`));
const delivered: RowResult = { kind: 'delivered', receipt: undefined };
const broken: CarryFailure = { kind: 'failed', failure: 'connection', reached: false, retryAfterMs: undefined };
const taken = (batch: Batch): CarryOutcome => {
  return { kind: 'answered', results: new Map(batch.map((row) => [row, delivered])) };
};

/** One lease of rows, carried by a function; what was carried and settled is kept. */
function turnsOver(rows: LeasedRow[], carry: (batch: Batch) => CarryOutcome, chains?: Batch[][]) {
  const carried: number[][] = [];
  const settled: Settlement[] = [];
  const stopping = new AbortController();
  const onFree = (): void => undefined;
  const lines = new Lines({ clock: () => 1000, onDecision: () => undefined, onFree });
  let isLeased = false;
  const outbox: Outbox = {
    lease: async () => {
      const leased = isLeased ? [] : rows;
      isLeased = true;
      return { rows: leased, nextAttemptMs: undefined };
    },
    settle: async (_lane, settlement) => {
      settled.push(settlement);
      return { more: false, nextAttemptMs: undefined };
    },
  };
  const carrier: Carrier = {
    plan: async () => ({ kind: 'plan', chains: chains ?? [[rows]], refused: new Map() }),
    carry: async (_domain, batch) => {
      carried.push(batch.map(({ id }) => id));
      return carry(batch);
    },
  };
  const turns = new LaneTurns({
    ...{ clock: () => 1000, lines, outbox, signal: stopping.signal },
    carrierFor: () => carrier,
    onCarried: () => undefined,
  });
  const resultOf = (row: LeasedRow | undefined): string => (row && settled[0]?.results.get(row)?.kind) ?? 'uncharged';
  return { turns, lines, carried, settled, stopping, results: () => rows.map(resultOf) };
}

describe('a turn of a lane', () => {
  it('carries, settles and has nothing more to do', async () => {
    const { turns, settled, results } = turnsOver(rowsOf('bob', 'bob'), taken);
    expect(await turns.turn(lane)).toEqual({ kind: 'none' });
    expect(results()).toEqual(['delivered', 'delivered']);
    expect(settled[0]?.destination).toMatchObject({ reached: true });
  });

  it('begins nothing more after a failure, and charges only what was begun', async () => {
    const rows = rowsOf('bob', 'bob', 'bob');
    const chain = rows.map((row) => [row]);
    const { turns, carried, results } = turnsOver(rows, () => broken, [chain]);
    expect(await turns.turn(lane)).toEqual({ kind: 'none' });
    expect(carried).toEqual([[0]]);
    expect(results()).toEqual(['failed', 'uncharged', 'uncharged']);
  });

  it('learns nothing of the line from a service that does not know ours yet', async () => {
    const unknown: CarryFailure = { kind: 'failed', failure: 'service-unverified', reached: true, retryAfterMs: 3000 };
    const slotsAfter = async (failure: CarryFailure) => {
      const rows = rowsOf('bob');
      const { turns, lines } = turnsOver(rows, () => failure);
      await turns.turn(lane);
      return Array.from({ length: controllerLimitStart }, () => lines.tryEnter(lane.domain)).filter(Boolean).length;
    };
    expect(await slotsAfter(unknown)).toBe(controllerLimitStart);
    expect(await slotsAfter(broken)).toBe(1);
  });

  it('tries each message alone where a whole batch was refused', async () => {
    const rows = rowsOf('bob', 'bob', 'bob');
    const refused: CarryOutcome = { kind: 'refused', statusExtended: 0, reason: 'status 400' };
    const carry = (batch: Batch): CarryOutcome => (batch.some(({ id }) => id === 1) ? refused : taken(batch));
    const { turns, carried, results } = turnsOver(rows, carry);
    await turns.turn(lane);
    expect(carried).toEqual([[0, 1, 2], [0], [1], [2]]);
    expect(results()).toEqual(['delivered', 'refused', 'delivered']);
  });

  it('keeps the order of messages for one recipient', async () => {
    const rows = rowsOf('bob', 'carol', 'bob', 'carol');
    const chains = [
      [rows[0], rows[2]],
      [rows[1], rows[3]],
    ].map((chain) => chain.map((row) => [row as LeasedRow]));
    const { turns, carried } = turnsOver(rows, taken, chains);
    await turns.turn(lane);
    const order = carried.flat();
    expect(order.indexOf(0)).toBeLessThan(order.indexOf(2));
    expect(order.indexOf(1)).toBeLessThan(order.indexOf(3));
  });

  it('charges no attempt to what a stop kept from beginning', async () => {
    const rows = rowsOf('bob', 'bob');
    const chain = rows.map((row) => [row]);
    const held = turnsOver(
      rows,
      (batch) => {
        held.stopping.abort();
        return taken(batch);
      },
      [chain],
    );
    await held.turns.turn(lane);
    expect(held.carried).toEqual([[0]]);
    expect(held.results()).toEqual(['delivered', 'uncharged']);
  });

  it('reads silence about a row as a failure of that row', async () => {
    const rows = rowsOf('bob', 'bob');
    const some = (batch: Batch): CarryOutcome => ({
      kind: 'answered',
      results: new Map([[batch[0] as LeasedRow, delivered]]),
    });
    const { turns, results } = turnsOver(rows, some);
    await turns.turn(lane);
    expect(results()).toEqual(['delivered', 'failed']);
  });

  it('waits where the destination has no free slot, and gives its own slot back', async () => {
    const { turns, lines, carried } = turnsOver(rowsOf('bob'), taken);
    const slots = Array.from({ length: 100 }, () => lines.tryEnter(lane.domain)).filter((slot) => slot !== undefined);
    expect(await turns.turn(lane)).toEqual({ kind: 'parked' });
    expect(carried).toEqual([]);
    for (const slot of slots) slot.leave();
    await turns.turn(lane);
    expect(lines.inWork).toBe(0);
  });

  it('gives its slot back when the shard cannot be talked to', async () => {
    const { turns, lines } = turnsOver(rowsOf('bob'), () => {
      throw new Error('a defect');
    });
    await expect(turns.turn(lane)).rejects.toThrow('a defect');
    expect(lines.inWork).toBe(0);
  });

  it('does not try again at once what failed, whatever the shard says', async () => {
    const rows = rowsOf('bob');
    const lines = new Lines({ clock: () => 1000, onDecision: () => undefined, onFree: () => undefined });
    const impatient = new LaneTurns({
      ...{ clock: () => 1000, lines, signal: new AbortController().signal },
      outbox: {
        lease: async () => ({ rows, nextAttemptMs: undefined }),
        settle: async () => ({ more: true, nextAttemptMs: 0 }),
      },
      carrierFor: () => ({
        plan: async () => ({ kind: 'plan', chains: [[rows]], refused: new Map() }),
        carry: async () => broken,
      }),
      onCarried: () => undefined,
    });
    expect(await impatient.turn(lane)).toEqual({ kind: 'at', timeMs: 1000 + destinationRestMsMin });
  });
});
