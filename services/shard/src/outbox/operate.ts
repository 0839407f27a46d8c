import { destinationsListedMax, outboxAgesMs, outboxEndedAtOnceMax, waitingListedMax } from '@meshd/limits/outbox';
import { MeshError, statusRegistry } from '@meshd/schema/status';
import type { ShardContext } from '../context.js';
import type { WaitingRow } from '../storage/outbox-store.js';
import { awakened, type DestinationState, type DestinationWord, wordOf } from './destination.js';
import { endRows } from './ending.js';
import { wakeDestination } from './settle.js';

/** A destination as operators see it. Times are Unix milliseconds. */
export interface DestinationReport {
  readonly domain: string;
  readonly word: DestinationWord;
  readonly state: DestinationState;
  readonly rows: number;
  readonly leased: number;
  readonly oldestQueuedMs: number;
  /** By `outboxAgesMs`, and older. */
  readonly rowsByAge: readonly number[];
}

/** One of them, or all in order. */
export type DestinationChoice = { readonly domain: string } | { readonly after: string; readonly max: number };

/**
 * Destinations with messages or a past.
 *
 * @throws StorageError
 */
export async function listDestinations(
  context: ShardContext,
  choice: DestinationChoice,
): Promise<{ readonly destinations: readonly DestinationReport[]; readonly more: boolean }> {
  if ('domain' in choice) return { destinations: [await reportOf(context, choice.domain)], more: false };
  const max = Math.min(Math.max(choice.max, 1), destinationsListedMax);
  const domains = await context.store.outbox.domains(choice.after, max + 1);
  const destinations = [];
  for (const domain of domains.slice(0, max)) destinations.push(await reportOf(context, domain));
  return { destinations, more: domains.length > max };
}

async function reportOf({ store, destinations, clock }: ShardContext, domain: string): Promise<DestinationReport> {
  const nowMs = clock();
  const state = await destinations.stateOf(domain);
  return { ...(await store.outbox.count(domain, nowMs, outboxAgesMs)), state, word: wordOf(state, nowMs) };
}

/**
 * Single messages that wait for a destination, in the order in which they were queued, those on their way included.
 *
 * @param afterId number of the row before the first one; 0: from the beginning
 * @param max at most `waitingListedMax` are told of
 * @throws StorageError
 */
export async function listWaiting(
  { store, clock }: ShardContext,
  domain: string,
  afterId: number,
  max: number,
): Promise<{ readonly messages: readonly WaitingRow[]; readonly more: boolean }> {
  const wanted = Math.min(Math.max(max, 1), waitingListedMax);
  const rows = await store.outbox.waiting({ domain, afterId, nowMs: clock() }, wanted + 1);
  return { messages: rows.slice(0, wanted), more: rows.length > wanted };
}

/** What an operator can do. `retry`: now, whatever the rest; `drop`: its messages end, and their senders are told. */
export type DestinationAction = 'hold' | 'release' | 'retry' | 'drop';
const actions: ReadonlySet<string> = new Set<DestinationAction>(['hold', 'release', 'retry', 'drop']);

/**
 * Changes one destination, or all that are known.
 *
 * @returns how many rows it concerned.
 * @throws MeshError `malformed`; StorageError
 */
export async function changeDestination(
  context: ShardContext,
  action: string,
  choice: { readonly domain: string } | 'all',
): Promise<number> {
  if (!isAction(action)) throw new MeshError('malformed', 'hold, release, retry or drop');
  if (choice !== 'all') return changeOne(context, action, choice.domain);
  let rows = 0;
  for (let after = ''; ; ) {
    const domains = await context.store.outbox.domains(after, destinationsListedMax);
    for (const domain of domains) rows += await changeOne(context, action, domain);
    if (domains.length < destinationsListedMax) return rows;
    after = domains.at(-1) as string;
  }
}

function isAction(action: string): action is DestinationAction {
  return actions.has(action);
}

async function changeOne(context: ShardContext, action: DestinationAction, domain: string): Promise<number> {
  if (action === 'drop') return dropRows(context, domain);
  const { destinations, store, clock } = context;
  const held = { hold: true, release: false, retry: undefined }[action];
  await destinations.change(domain, (before) => ({
    ...(action === 'hold' ? before : awakened(before)),
    held: held ?? before.held,
  }));
  if (action !== 'hold') await wakeDestination(context, domain);
  return (await store.outbox.count(domain, clock(), [])).rows;
}

/** Those on their way are left to their workers. */
async function dropRows(context: ShardContext, domain: string): Promise<number> {
  const { store, clock } = context;
  const statusExtended = statusRegistry.policy.extended ?? 0;
  let dropped = 0;
  for (;;) {
    const rows = await store.outbox.rows({ domain, nowMs: clock() }, outboxEndedAtOnceMax);
    dropped += await endRows(
      context,
      rows.map((row) => ({ row, end: { relationship: 'Reject', statusExtended } })),
    );
    if (rows.length < outboxEndedAtOnceMax) return dropped;
  }
}
