/**
 * Puts the parts together that carry messages: queue, turns of lanes, carriers, sweeper and the calls that find out keys of
 * other services. Everything that decides is in these parts; here is who tells whom, what is counted and what is logged.
 */
import { randomUUID } from 'node:crypto';
import type { PeerConnectionOptions } from '@meshd/binding/peer-connection';
import { publicationSweepMs } from '@meshd/limits/hailing';
import { destinationRestMsMin } from '@meshd/limits/limits';
import { outboxSweepMs, peerSweepMs } from '@meshd/limits/outbound';
import type { Clock } from '@meshd/process/clock';
import type { Lane } from '@meshd/rpc/delivery-jobs';
import { RpcError } from '@meshd/rpc/errors';
import { MeshError } from '@meshd/schema/status';
import type { Logger } from '@meshd/telemetry/logger';
import type { Batch, Carrier, CarryOutcome } from './carrier.js';
import { tellDecision } from './controller-decisions.js';
import { type LaneNext, LaneTurns, type Outbox } from './lane-turn.js';
import { Lines } from './lines.js';
import { localCarrier } from './local-carrier.js';
import type { Figures } from './metrics.js';
import { rpcOutbox } from './outbox.js';
import { fetchPeers } from './peer-fetcher.js';
import { PeerPins } from './peer-pins.js';
import { Peers } from './peers.js';
import { postCarrier } from './post-carrier.js';
import { handOverPublications } from './publications.js';
import type { WakeUps } from './queue.js';
import { ReceiptError } from './receipt.js';
import { repeat } from './repeat.js';
import type { Shards } from './shards.js';
import { sweepShard } from './sweeper.js';

/** What {@link Worker} needs. */
export interface WorkerOptions extends Pick<PeerConnectionOptions, 'locator' | 'host' | 'ca'> {
  readonly shards: Shards;
  readonly wakeUps: WakeUps;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly figures: Figures;
}

/** Carries messages for as long as it lives. */
export class Worker {
  readonly #options: WorkerOptions;
  /** Rows are leased in this name. A new one with every start: leases of an earlier life end by themselves. */
  readonly #owner = `outbound-${randomUUID()}`;
  readonly #stopping = new AbortController();
  readonly #peers: Peers;
  readonly #lines: Lines;
  readonly #turns: LaneTurns;
  #repeating: Promise<unknown> = Promise.resolve();

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { shards, wakeUps, clock, locator, host, ca = undefined } = options;
    const pins = new PeerPins(shards, clock);
    this.#peers = new Peers({ locator, host, pins, ca, clock });
    const onFree = (lane: Lane): void => wakeUps.free(lane);
    this.#lines = new Lines({ clock, onDecision: (decision) => tellDecision(options, decision), onFree });
    const toPeers = postCarrier({
      peers: this.#peers,
      onReceipt: (domain, receipt) => this.#receiptCame(domain, receipt),
    });
    const toOwn = localCarrier({ shards, clock });
    this.#turns = new LaneTurns({
      ...{ clock, lines: this.#lines, outbox: this.#countedOutbox(), signal: this.#stopping.signal },
      carrierFor: (domain): Carrier => (this.#isOwn(domain) ? toOwn : toPeers),
      onCarried: (domain, outcome, batch, tookMs) => this.#carried(domain, outcome, batch, tookMs),
    });
  }

  /** Posts in work. */
  get inWork(): number {
    return this.#lines.inWork;
  }

  /** Begins to take work. */
  start(): void {
    const { wakeUps, logger } = this.#options;
    const { signal } = this.#stopping;
    wakeUps.work((lane) => this.#turn(lane));
    const onError = (error: unknown): void => logger.warn({ err: error }, 'shards cannot be asked');
    this.#repeating = Promise.all([
      repeat(() => this.sweep(), { everyMs: outboxSweepMs, onError, signal }),
      repeat(() => this.#fetch(), { everyMs: peerSweepMs, onError, signal }),
      repeat(() => this.#handOver(), { everyMs: publicationSweepMs, onError, signal }),
    ]);
  }

  /** Makes missing wake-ups of all shards again; one that does not answer keeps no other from it. */
  async sweep(): Promise<void> {
    const { shards, wakeUps, figures, logger } = this.#options;
    const counts = await Promise.all(
      shards.names.map(async (shard) => {
        try {
          return await sweepShard(shards, shard, (lanes) => wakeUps.add(lanes));
        } catch (error) {
          logger.warn({ err: error, shard }, 'the outbox cannot be swept');
          return 0;
        }
      }),
    );
    figures.lanes.set(counts.reduce((sum, count) => sum + count, 0));
  }

  /** Begins nothing more, waits for what is on its way, and gives back what was not begun. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#options.wakeUps.stop();
    await this.#repeating;
    this.#peers.stop();
  }

  async #turn(lane: Lane): Promise<LaneNext> {
    const { shards, clock, logger, figures } = this.#options;
    // A shard that has gone leaves jobs behind; one that is not known yet is waited for.
    const isGone = shards.names.length > 0 && !shards.names.includes(lane.shard);
    if (isGone) return { kind: 'none' };
    try {
      const next = await this.#turns.turn(lane);
      figures.turns.inc({ next: next.kind });
      return next;
    } catch (error) {
      if (!(error instanceof RpcError || error instanceof MeshError)) throw error;
      figures.turns.inc({ next: 'failed' });
      logger.warn({ err: error, ...lane }, 'a lane could not be worked on');
      return { kind: 'at', timeMs: clock() + destinationRestMsMin };
    }
  }

  async #fetch(): Promise<void> {
    const { shards, clock, locator, host, ca = undefined, figures, logger } = this.#options;
    if (shards.names.length === 0) return;
    const onFetched = (domain: string, failure: string): void => {
      figures.peerCalls.inc({ result: failure || 'pinned' });
      logger.info({ domain, failure }, 'another service was called');
    };
    await fetchPeers({ shards, owner: this.#owner, locator, host, ca, clock, onFetched });
  }

  /** Publications of all shards; one that does not answer keeps no other from it. */
  async #handOver(): Promise<void> {
    const { shards, figures, logger } = this.#options;
    const onFailed = (error: unknown): void => logger.warn({ err: error }, 'a publication could not be handed over');
    const onHandedOver = (result: string): void => figures.publications.inc({ result });
    const one = (shard: string) => handOverPublications({ shards, onHandedOver, onFailed }, shard).catch(onFailed);
    await Promise.all(shards.names.map(one));
  }

  #isOwn(domain: string): boolean {
    return this.#options.host().domains.includes(domain);
  }

  #countedOutbox(): Outbox {
    const { shards, figures } = this.#options;
    const outbox = rpcOutbox(shards, this.#owner);
    return {
      lease: outbox.lease,
      settle: async (lane, settlement) => {
        const settled = await outbox.settle(lane, settlement);
        const { rows, results } = settlement;
        figures.settled(results.values(), rows.length - results.size);
        return settled;
      },
    };
  }

  #carried(domain: string, outcome: CarryOutcome, batch: Batch, tookMs: number): void {
    const { figures, logger } = this.#options;
    figures.carried(this.#isOwn(domain) ? 'own' : 'peer', outcome, tookMs);
    if (outcome.kind === 'answered') return;
    const { kind, ...why } = outcome;
    logger.info(
      { domain, messages: batch.length, tookMs, ...why },
      `a Post was ${kind === 'failed' ? 'lost' : 'refused'}`,
    );
  }

  #receiptCame(domain: string, receipt: 'valid' | 'absent' | ReceiptError): void {
    const { figures, logger } = this.#options;
    figures.receipts.inc({ result: receipt instanceof ReceiptError ? 'invalid' : receipt });
    if (receipt instanceof ReceiptError) logger.warn({ domain, err: receipt }, 'a receipt is no proof');
  }
}
