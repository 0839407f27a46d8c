/**
 * Other services with moods that change by the hour: they answer, refuse connections, swallow what they get, are overloaded,
 * answer garbage, or file what they get and lose the answer. What they file, they file once.
 */
import { BindingError } from '@meshd/binding/errors';
import { messageBytesMax, outboundTransactionMsMax, postMessagesMax } from '@meshd/limits/limits';
import { arrangePosts } from '@meshd/outbound/arrange';
import type { Batch, Carrier, CarryOutcome, LeasedRow, RowResult } from '@meshd/outbound/carrier';
import { failureOf, judgeResponse, type Verdict } from '@meshd/outbound/outcome';
import type { SimulatedTime } from './simulated-time.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

const outages = ['refusing', 'silent', 'overloaded', 'garbled', 'deaf', 'unknown'] as const;
/** How a service is just now. `deaf`: it files, and the answer is lost. */
export type Mood = 'healthy' | (typeof outages)[number];

/** How a service fares over the days. */
export type Fate = 'steady' | 'wavering' | 'long-outage' | 'dead';

/** One of them. */
export interface Peer {
  readonly domain: string;
  readonly fate: Fate;
  mood: Mood;
  /** Messages larger than this it says it does not take. */
  readonly messageBytesMax: number;
  /** Posts that were tried while it was dead. */
  triedInVain: number;
}

/** What the world saw of a message. */
export interface Seen {
  /** When it was first filed. */
  filedMs: number | undefined;
  /** It was accepted, or rejected, in an answer that arrived. */
  told: 'Accept' | 'Reject' | undefined;
  /** Posts it was in. */
  sent: number;
}

/** A message in a hundred is rejected, whoever asks how often. */
const isRejected = (name: string): boolean => Number(name.slice(1)) % 100 === 7;

/** All of them. */
export class SimulatedPeers {
  readonly peers = new Map<string, Peer>();
  /** By the name of the message. */
  readonly seen = new Map<string, Seen>();
  /** Names by recipient, in the order in which they were filed. */
  readonly filed = new Map<string, string[]>();
  /** Called with each message that is sent. */
  onSent: (name: string) => void = () => undefined;
  readonly #time: SimulatedTime;
  readonly #chance: () => number;
  readonly #nameOf: (row: LeasedRow) => string;

  constructor(time: SimulatedTime, chance: () => number, nameOf: (row: LeasedRow) => string) {
    this.#time = time;
    this.#chance = chance;
    this.#nameOf = nameOf;
  }

  /** Makes one and plans its moods. `onBack` is told when an outage has ended. */
  add(domain: string, fate: Fate, untilMs: number, onBack: (domain: string) => void): void {
    const isNarrow = this.#chance() < 0.05;
    const peer: Peer = {
      ...{ domain, fate, triedInVain: 0, messageBytesMax: isNarrow ? messageBytesMax / 2 : messageBytesMax },
      mood: fate === 'dead' ? this.#pick(['refusing', 'silent', 'unknown']) : 'healthy',
    };
    this.peers.set(domain, peer);
    if (fate === 'long-outage') {
      this.#time.after(this.#chance() * 12 * hourMs, () => {
        peer.mood = this.#pick(outages);
        this.#time.after((24 + this.#chance() * 36) * hourMs, () => this.#recover(peer, onBack));
      });
    }
    if (fate === 'wavering') this.#waver(peer, untilMs, onBack);
  }

  #waver(peer: Peer, untilMs: number, onBack: (domain: string) => void): void {
    this.#time.after(this.#spread(20 * minuteMs, 24 * hourMs), () => {
      if (this.#time.nowMs > untilMs) return;
      peer.mood = this.#pick(outages);
      this.#time.after(this.#spread(2000, 10 * hourMs), () => {
        this.#recover(peer, onBack);
        this.#waver(peer, untilMs, onBack);
      });
    });
  }

  #recover(peer: Peer, onBack: (domain: string) => void): void {
    peer.mood = 'healthy';
    onBack(peer.domain);
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#chance() * from.length)] as T;
  }

  /** As many short times as long ones, by their order of magnitude. */
  #spread(minMs: number, maxMs: number): number {
    return minMs * (maxMs / minMs) ** this.#chance();
  }

  /** Carries to them as the worker's own carrier does, from the arranging to what an answer means. */
  readonly carrier: Carrier = {
    plan: async (domain, rows, batchBytesMax) => {
      const peer = this.peers.get(domain) as Peer;
      if (peer.mood === 'unknown') {
        this.#tried(peer);
        return failureOf(new BindingError('discovery-failed', 'simulated'));
      }
      const constraints = { messageBytesMax: peer.messageBytesMax, messagesMax: postMessagesMax };
      return arrangePosts(rows, constraints, batchBytesMax);
    },
    carry: (domain, batch) =>
      this.#post(this.peers.get(domain) as Peer, batch).catch((error: unknown) => failureOf(error)),
  };

  #tried(peer: Peer): void {
    if (peer.fate === 'dead') peer.triedInVain += 1;
  }

  async #post(peer: Peer, batch: Batch): Promise<CarryOutcome> {
    this.#tried(peer);
    for (const row of batch) {
      this.onSent(this.#nameOf(row));
      this.#seenOf(row).sent += 1;
    }
    const answered = { status: 201, statusExtended: undefined, succeeded: true, retryAfterMs: undefined };
    switch (peer.mood) {
      case 'unknown':
      case 'refusing':
        await this.#pause(5);
        throw new BindingError('transport', 'simulated');
      case 'silent':
        await this.#pause(outboundTransactionMsMax);
        throw new BindingError('timeout', 'simulated');
      case 'garbled':
        await this.#pause(50);
        throw new BindingError('response-refused', 'simulated');
      case 'deaf':
        this.#file(batch);
        await this.#pause(50);
        throw new BindingError('transport', 'simulated');
      case 'overloaded': {
        await this.#pause(50);
        const retryAfterMs = this.#chance() < 0.5 ? this.#spread(1000, hourMs) : undefined;
        return this.#judged({ ...answered, status: 503, succeeded: false, retryAfterMs, message: {} }, batch);
      }
      case 'healthy': {
        this.#file(batch);
        await this.#pause(20 + 100 * this.#chance());
        const Entries = batch.map((row, at) => {
          const result = isRejected(this.#nameOf(row)) ? 'Reject' : 'Accept';
          this.#seenOf(row).told = result;
          return { IndexRequest: at, Account: row.recipient, Result: result };
        });
        return this.#judged({ ...answered, message: { Entries } }, batch);
      }
    }
  }

  #judged(response: Parameters<typeof judgeResponse>[0], batch: Batch): CarryOutcome {
    const judged = judgeResponse(response, batch);
    if (judged.kind !== 'entries') return judged;
    return { kind: 'answered', results: new Map([...judged.verdicts].map(([row, said]) => [row, resultOf(said)])) };
  }

  #seenOf(row: LeasedRow): Seen {
    const name = this.#nameOf(row);
    const seen = this.seen.get(name) ?? { filedMs: undefined, told: undefined, sent: 0 };
    this.seen.set(name, seen);
    return seen;
  }

  #file(batch: Batch): void {
    for (const row of batch) {
      const seen = this.#seenOf(row);
      if (isRejected(this.#nameOf(row)) || seen.filedMs !== undefined) continue;
      seen.filedMs = this.#time.nowMs;
      const names = this.filed.get(row.recipient) ?? [];
      names.push(this.#nameOf(row));
      this.filed.set(row.recipient, names);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#time.after(ms, resolve));
  }
}

function resultOf(verdict: Verdict): RowResult {
  if (verdict.kind === 'accepted') return { kind: 'delivered', receipt: undefined };
  if (verdict.kind === 'refused') return { ...verdict, reason: 'rejected' };
  return { kind: 'failed', reason: 'the answer says nothing of it' };
}
