import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { outboxLeaseRowsMax } from '@meshd/limits/limits';
import { failureCharactersMax } from '@meshd/limits/outbox';
import { MeshError } from '@meshd/schema/status';
import type { ShardContext } from '../context.js';
import type { OutboxRow } from '../storage/outbox-store.js';
import type { DeliveryEnd } from './delivery-marks.js';
import { type AttemptOutcome, afterAttempt } from './destination.js';
import { endRows } from './ending.js';
import { type LaneOutlook, laneOutlook } from './lane-outlook.js';

/** What became of a leased row. */
export type RowOutcome =
  | { readonly kind: 'delivered'; readonly receipt: EnvelopeOctets | undefined }
  | { readonly kind: 'refused'; readonly statusExtended: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'released' };

/** What a worker tells. */
export interface SettleRequest {
  readonly owner: string;
  readonly domain: string;
  readonly lane: number;
  readonly rows: readonly { readonly id: number; readonly outcome: RowOutcome }[];
  /** Undefined: nobody was asked. */
  readonly destination: AttemptOutcome | undefined;
}

/**
 * Settles leased rows and what was learnt of their destination. What was delivered or refused is over, whoever tells it:
 * a lease that has ended does not undo what happened. Only the holder of a lease can give rows back.
 *
 * @throws MeshError `malformed` for more rows than can be leased; StorageError
 */
export async function settleOutbox(context: ShardContext, request: SettleRequest): Promise<LaneOutlook> {
  const { owner, domain, lane, rows, destination } = request;
  if (rows.length > outboxLeaseRowsMax) throw new MeshError('malformed', 'more rows than are leased at once');
  const { destinations, store, clock } = context;
  const wasFailing = (await destinations.stateOf(domain)).failures > 0;
  if (destination !== undefined) await destinations.change(domain, (before) => attempted(context, before, destination));
  await store.outbox.giveBack(owner, rows.flatMap(givenBack));
  await endSettled(context, domain, rows);
  destinations.endProbe(domain, owner, lane);
  const state = await destinations.stateOf(domain);
  if (wasFailing && state.failures === 0) await wakeDestination(context, domain);
  const nowMs = clock();
  return laneOutlook(state, await store.outbox.laneRest({ domain, lane }, nowMs), nowMs);
}

function attempted(
  { clock, random }: ShardContext,
  before: Parameters<typeof afterAttempt>[0],
  outcome: AttemptOutcome,
) {
  const chance = new DataView(random(4).slice().buffer).getUint32(0) / 2 ** 32;
  return afterAttempt(before, { ...outcome, failure: shortened(outcome.failure) }, clock(), chance);
}

function givenBack({ id, outcome }: SettleRequest['rows'][number]): { id: number; failure: string | undefined }[] {
  if (outcome.kind === 'released') return [{ id, failure: undefined }];
  return outcome.kind === 'failed' ? [{ id, failure: shortened(outcome.reason) }] : [];
}

function shortened(reason: string): string {
  return reason.replaceAll('\0', '').slice(0, failureCharactersMax);
}

async function endSettled(context: ShardContext, domain: string, rows: SettleRequest['rows']): Promise<void> {
  const ends = new Map<number, DeliveryEnd>();
  for (const { id, outcome } of rows) {
    const end = endOf(outcome);
    if (end !== undefined) ends.set(id, end);
  }
  if (ends.size === 0) return;
  const found = await context.store.outbox.rowsOf([...ends.keys()]);
  // A worker that mixes up its destinations ends nothing of others.
  const own = found.filter((row: OutboxRow) => row.domain === domain);
  await endRows(
    context,
    own.map((row) => ({ row, end: ends.get(row.id) as DeliveryEnd })),
  );
}

function endOf(outcome: RowOutcome): DeliveryEnd | undefined {
  if (outcome.kind === 'refused') return { relationship: 'Reject', statusExtended: outcome.statusExtended };
  if (outcome.kind !== 'delivered') return undefined;
  const { receipt } = outcome;
  return receipt === undefined ? { relationship: 'Sent' } : { relationship: 'Received', receipt };
}

/** Wakes every lane of a destination that has rows. */
export async function wakeDestination({ store, wakeUps }: ShardContext, domain: string): Promise<void> {
  const lanes = await store.outbox.lanesOf(domain);
  wakeUps.wake(lanes.map((lane) => ({ domain, lane, dueMs: 0 })));
}
