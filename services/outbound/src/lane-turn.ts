/**
 * One turn of a lane: rows are leased, arranged, carried in as many Posts at a time as the destination's controller allows,
 * and settled. What the next turn waits for comes from the shard, which keeps the state of destinations.
 *
 * Messages to one recipient go one Post after the other. After the first failure nothing more is begun, and what was not
 * begun goes back without an attempt being charged; so it does when the process stops or the lease runs out.
 */
import {
  destinationRestMsMin,
  outboundTransactionMsMax,
  outboxLeaseLeftMsMin,
  outboxLeaseMs,
  outboxLeaseRowsMax,
} from '@meshd/limits/limits';
import { laneTurnMsMax, postBytesMax } from '@meshd/limits/outbound';
import type { Clock } from '@meshd/process/clock';
import type { Lane } from '@meshd/rpc/delivery-jobs';
import type { DestinationOutcome } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ErrorCode } from '@meshd/schema/status';
import type { Batch, Carrier, CarryFailure, CarryOutcome, LeasedRow, RowResult } from './carrier.js';
import type { Lines, Slot } from './lines.js';

/** Rows of a lane, or when there may be some. */
export interface Lease {
  readonly rows: readonly LeasedRow[];
  /** Unix time in milliseconds; undefined: nothing waits. */
  readonly nextAttemptMs: number | undefined;
}

/** What became of leased rows; those without result go back uncharged. */
export interface Settlement {
  readonly rows: readonly LeasedRow[];
  readonly results: ReadonlyMap<LeasedRow, RowResult>;
  /** Undefined: nothing was learnt of the destination. */
  readonly destination: DestinationOutcome | undefined;
}

/** The outbox, as a turn sees it. */
export interface Outbox {
  /** @throws RpcError, MeshError */
  lease(lane: Lane, rowsMax: number, bytesMax: number): Promise<Lease>;
  /** Repeats while it may; what stays unsettled is leased again when the lease has ended. @throws as `lease` */
  settle(
    lane: Lane,
    settlement: Settlement,
  ): Promise<{ readonly more: boolean; readonly nextAttemptMs: number | undefined }>;
}

/** What {@link LaneTurns} needs. */
export interface LaneTurnsOptions {
  readonly clock: Clock;
  readonly lines: Lines;
  readonly outbox: Outbox;
  /** Who carries to a domain. */
  readonly carrierFor: (domain: string) => Carrier;
  /** Told of every batch. */
  readonly onCarried: (domain: string, outcome: CarryOutcome, batch: Batch, tookMs: number) => void;
  /** Fires when the process stops: nothing more is begun. */
  readonly signal: AbortSignal;
}

/** When the lane is to be looked at again. */
export type LaneNext =
  /** Nothing waits: whoever adds something says so. */
  | { readonly kind: 'none' }
  | { readonly kind: 'at'; readonly timeMs: number }
  /** No slot was free; the lane is woken when one is. */
  | { readonly kind: 'parked' };

/** Works on lanes. Knows nothing of queues. */
export class LaneTurns {
  readonly #options: LaneTurnsOptions;

  constructor(options: LaneTurnsOptions) {
    this.#options = options;
  }

  /**
   * Works on a lane until it is empty, must wait, or others should have their turn.
   *
   * @throws RpcError, MeshError where the shard cannot be talked to; what was leased is free again when its lease ends
   */
  async turn(lane: Lane): Promise<LaneNext> {
    const { clock, lines, signal } = this.#options;
    const slot = lines.tryEnter(lane.domain);
    if (slot === undefined) {
      lines.park(lane);
      return { kind: 'parked' };
    }
    const endMs = clock() + laneTurnMsMax;
    try {
      for (;;) {
        const next = await this.#round(lane, slot);
        if (next !== 'more') return next;
        if (clock() >= endMs || signal.aborted) return { kind: 'at', timeMs: clock() };
      }
    } finally {
      slot.leave();
    }
  }

  async #round(lane: Lane, slot: Slot): Promise<LaneNext | 'more'> {
    const { clock, outbox } = this.#options;
    const leasedMs = clock();
    const { rows, nextAttemptMs } = await outbox.lease(lane, outboxLeaseRowsMax, 2 * postBytesMax);
    if (rows.length === 0)
      return nextAttemptMs === undefined ? { kind: 'none' } : { kind: 'at', timeMs: nextAttemptMs };
    const work = new Round(this.#options, lane.domain, rows, leasedMs + outboxLeaseMs - outboxLeaseLeftMsMin);
    await work.run(slot);
    const { results, destination, hasFailed } = work;
    const settled = await outbox.settle(lane, { rows, results, destination });
    // What failed is not tried again at once, whatever the shard thinks of the destination.
    const notBeforeMs = hasFailed ? clock() + destinationRestMsMin : 0;
    if (settled.more && !hasFailed) return 'more';
    if (settled.more) return { kind: 'at', timeMs: notBeforeMs };
    if (settled.nextAttemptMs === undefined) return { kind: 'none' };
    return { kind: 'at', timeMs: Math.max(settled.nextAttemptMs, notBeforeMs) };
  }
}

/** The rows of one lease on their way. */
class Round {
  readonly results = new Map<LeasedRow, RowResult>();
  readonly #options: LaneTurnsOptions;
  readonly #carrier: Carrier;
  readonly #domain: string;
  readonly #rows: readonly LeasedRow[];
  readonly #beginUntilMs: number;
  /** Chains of which no batch is in work. */
  readonly #waiting: Batch[][] = [];
  readonly #helpers = new Set<Promise<void>>();
  #failure: CarryFailure | undefined;
  /** A defect of ours, thrown when all have ended. */
  #error: unknown;
  /** A failed batch was late while others were answered: too much at once, and no outage. */
  #isLateAlone = false;
  #hasAnswer = false;

  constructor(options: LaneTurnsOptions, domain: string, rows: readonly LeasedRow[], beginUntilMs: number) {
    this.#options = options;
    this.#carrier = options.carrierFor(domain);
    this.#domain = domain;
    this.#rows = rows;
    this.#beginUntilMs = beginUntilMs;
  }

  /** Whether a row is to be tried again later. */
  get hasFailed(): boolean {
    return this.#failure !== undefined || [...this.results.values()].some(({ kind }) => kind === 'failed');
  }

  /** What was learnt of the destination. */
  get destination(): DestinationOutcome | undefined {
    const failure = this.#isLateAlone ? undefined : this.#failure;
    if (failure !== undefined) {
      return { reached: failure.reached, failure: failure.failure, retryAfterMs: failure.retryAfterMs };
    }
    return this.#hasAnswer ? { reached: true, failure: '', retryAfterMs: undefined } : undefined;
  }

  /** Carries what can be carried. @throws a defect of ours */
  async run(slot: Slot): Promise<void> {
    const { clock, lines } = this.#options;
    slot.begin();
    const deadlineMs = clock() + outboundTransactionMsMax;
    const planned = await this.#carrier.plan(this.#domain, this.#rows, lines.postBytesMax(this.#domain), deadlineMs);
    if (planned.kind === 'failed') {
      this.#note(this.#rows, planned, slot);
      return;
    }
    if (planned.kind === 'refused') {
      for (const row of this.#rows) this.results.set(row, planned);
      return;
    }
    for (const [row, result] of planned.refused) this.results.set(row, result);
    this.#waiting.push(...planned.chains.map((chain) => [...chain]));
    while (this.#waiting.length > 0 && this.#mayBegin) {
      await this.#carryAll(slot, false);
      while (this.#helpers.size > 0) await Promise.all(this.#helpers);
    }
    if (this.#error !== undefined) throw this.#error;
  }

  /** Carries batches one after the other, and lets others help while there are chains and slots. */
  async #carryAll(slot: Slot, isHelper: boolean): Promise<void> {
    while (this.#mayBegin && !(isHelper && this.#options.lines.isOver(this.#domain))) {
      const chain = this.#waiting.shift();
      const batch = chain?.shift();
      if (chain === undefined || batch === undefined) return;
      this.#callHelp();
      const outcome = await this.#carry(batch, slot);
      // Perhaps one message was meant: each is tried alone before it is given up.
      if (outcome.kind === 'refused' && batch.length > 1) chain.unshift(...batch.map((row) => [row]));
      if (chain.length > 0) this.#waiting.unshift(chain);
    }
  }

  #callHelp(): void {
    for (let wanted = this.#waiting.length; wanted > 0; wanted -= 1) {
      const slot = this.#options.lines.tryEnter(this.#domain);
      if (slot === undefined) return;
      const helper: Promise<void> = this.#carryAll(slot, true)
        .catch((error: unknown) => {
          this.#error ??= error;
        })
        .finally(() => {
          slot.leave();
          this.#helpers.delete(helper);
        });
      this.#helpers.add(helper);
    }
  }

  get #mayBegin(): boolean {
    const { clock, signal } = this.#options;
    return this.#failure === undefined && this.#error === undefined && !signal.aborted && clock() < this.#beginUntilMs;
  }

  async #carry(batch: Batch, slot: Slot): Promise<CarryOutcome> {
    const { clock } = this.#options;
    slot.begin();
    const outcome = await this.#carrier.carry(this.#domain, batch, clock() + outboundTransactionMsMax);
    this.#note(batch, outcome, slot);
    return outcome;
  }

  #note(batch: Batch, outcome: CarryOutcome, slot: Slot): void {
    const { clock, lines, onCarried } = this.#options;
    const startedMs = slot.startedMs;
    const isLate = outcome.kind === 'failed' && outcome.failure === 'timeout';
    if (!isStranger(outcome)) {
      slot.ended(isLate ? 'late' : outcome.kind === 'failed' ? 'failed' : 'done', bytesOf(batch));
    }
    onCarried(this.#domain, outcome, batch, clock() - startedMs);
    switch (outcome.kind) {
      case 'answered':
        this.#hasAnswer = true;
        for (const row of batch) this.results.set(row, outcome.results.get(row) ?? unsaid);
        break;
      case 'refused':
        this.#hasAnswer = true;
        if (batch.length === 1) for (const row of batch) this.results.set(row, outcome);
        break;
      case 'failed':
        this.#isLateAlone = isLate && this.#failure === undefined && lines.answeredSince(this.#domain, startedMs);
        this.#failure ??= outcome;
        for (const row of batch) this.results.set(row, { kind: 'failed', reason: outcome.failure });
    }
  }
}

/** A service that does not know ours yet says so at once (S70) and takes what comes a moment later: no outage, and no measure. */
const isStranger = (outcome: CarryOutcome): boolean =>
  outcome.kind === 'failed' && outcome.failure === ('service-unverified' satisfies ErrorCode);

const unsaid: RowResult = { kind: 'failed', reason: 'the answer says nothing of it' };

const bytesOf = (batch: Batch): number => batch.reduce((sum, { bytes }) => sum + bytes, 0);
