/**
 * Days of outages: hundreds of destinations with moods of their own, a shard that forgets its memory, workers that die, a queue
 * that is emptied, rpc calls whose answer is lost, operators who hold and drop. Shard and worker are the real code over tables
 * in memory. At the end every message must have ended once, and its sender must have been told what happened.
 */
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { messageMsMax, outboxLeaseMs, sweepMs } from '@meshd/limits/limits';
import type { LeasedRow } from '@meshd/outbound/carrier';
import type { Outbox } from '@meshd/outbound/lane-turn';
import type { Lane } from '@meshd/rpc/delivery-jobs';
import { RpcError } from '@meshd/rpc/errors';
import { laneOfRecipient } from '@meshd/schema/address';
import { MessageComplete, type Reference } from '@meshd/schema/messages-mesh';
import type { ShardContext } from '@meshd/shard/context';
import { Destinations } from '@meshd/shard/outbox/destinations';
import { expireMessages } from '@meshd/shard/outbox/expiry';
import { leaseOutbox } from '@meshd/shard/outbox/lease';
import { listWork } from '@meshd/shard/outbox/list-work';
import { changeDestination } from '@meshd/shard/outbox/operate';
import { peerSpoke } from '@meshd/shard/outbox/peer-spoke';
import { type RowOutcome, settleOutbox } from '@meshd/shard/outbox/settle';
import type { Store } from '@meshd/shard/storage/store';
import { Person } from '@meshd/shard/testing/person';
import { TestShard } from '@meshd/shard/testing/test-shard';
import { SimulatedOutbox } from './simulated-outbox.ts';
import { type Fate, SimulatedPeers } from './simulated-peers.ts';
import { SimulatedTime, seededChance } from './simulated-time.ts';
import { SimulatedWorkers } from './simulated-workers.ts';

const hourMs = 3_600_000;
const startMs = 1_767_225_600_000;
const senderCount = 8;
const outboundSpool = 'mmm_Outbound';

/** Looks for lanes without a wake-up: rarer than in life, where they would be most of what happens. */
export const lookMs = 600_000;

/** How large a world, and how long. */
export interface OutagesOptions {
  readonly seed: number;
  readonly destinationCount: number;
  readonly messageCount: number;
  /** Messages are posted over this time; the run goes on until the last must have ended. */
  readonly postedMs: number;
}

/** A posted message. */
export interface PostedMessage {
  readonly name: string;
  readonly sender: string;
  readonly recipient: string;
  readonly domain: string;
  readonly postedMs: number;
}

/** What came of it. */
export interface OutagesResult {
  readonly posted: readonly PostedMessage[];
  /** Marks that senders got, by the name of the message. */
  readonly marks: ReadonlyMap<string, readonly Reference[]>;
  readonly peers: SimulatedPeers;
  /** Rows that are left. */
  readonly rowsLeft: number;
  /** Messages that were sent after their mark had been written. */
  readonly sentAfterEnd: readonly string[];
  /** Domains whose messages an operator has dropped or held. */
  readonly operated: ReadonlySet<string>;
  readonly turnCount: number;
}

/** Which fates there are, and how many of a hundred have them. */
const fates: readonly (readonly [Fate, number])[] = [
  ['steady', 50],
  ['wavering', 35],
  ['long-outage', 10],
  ['dead', 5],
];

function fateOf(at: number): Fate {
  let rest = at % 100;
  for (const [fate, count] of fates) {
    if (rest < count) return fate;
    rest -= count;
  }
  return 'steady';
}

/** Runs the days. */
export async function simulateOutages(options: OutagesOptions): Promise<OutagesResult> {
  return new World(options).run();
}

class World {
  readonly #options: OutagesOptions;
  readonly #time = new SimulatedTime(startMs);
  readonly #chance: () => number;
  readonly #outbox = new SimulatedOutbox();
  readonly #shard = new TestShard();
  readonly #peers: SimulatedPeers;
  readonly #workers: SimulatedWorkers;
  readonly #posted: PostedMessage[] = [];
  readonly #names = new Map<number, string>();
  readonly #ended = new Set<string>();
  readonly #sentAfterEnd: string[] = [];
  readonly #operated = new Set<string>();
  #defect: { readonly error: unknown } | undefined;
  #destinations = new Destinations(() => this.#outbox.tables);

  constructor(options: OutagesOptions) {
    this.#options = options;
    this.#chance = seededChance(options.seed);
    const { chance, time } = { chance: this.#chance, time: this.#time };
    this.#peers = new SimulatedPeers(time, chance, (row: LeasedRow) => this.#names.get(row.id) as string);
    this.#peers.onSent = (name) => {
      if (this.#ended.has(name)) this.#sentAfterEnd.push(name);
    };
    const outboxFor = (owner: string, isAlive: () => boolean) => this.#outboxOf(owner, isAlive);
    const { carrier } = this.#peers;
    this.#workers = new SimulatedWorkers({ time, chance, carrier, outboxFor, workerCount: 2, lostShare: 0.005 });
  }

  async run(): Promise<OutagesResult> {
    const { postedMs, destinationCount, messageCount } = this.#options;
    this.#shard.nowMs = startMs;
    await this.#shard.start();
    const senders = Array.from({ length: senderCount }, (_, at) => new Person(`sender${at}`));
    for (const sender of senders) await this.#shard.create(sender);
    const untilMs = startMs + postedMs;
    for (let at = 0; at < destinationCount; at += 1) {
      this.#peers.add(`d${at}.test`, fateOf(at), untilMs, (domain) => this.#cameBack(domain));
    }
    for (let at = 0; at < messageCount; at += 1) this.#planPost(at, senders);
    this.#planTroubles(untilMs);
    const endMs = untilMs + messageMsMax + outboxLeaseMs + 2 * sweepMs;
    this.#every(sweepMs, endMs, () => this.#soon(expireMessages(this.#context)));
    this.#every(lookMs, endMs, () => this.#soon(this.#look()));
    await this.#time.runAllUntil(endMs);
    if (this.#defect !== undefined) throw this.#defect.error;
    return {
      ...{ posted: this.#posted, marks: this.#marks(senders), peers: this.#peers, rowsLeft: this.#outbox.size },
      ...{ sentAfterEnd: this.#sentAfterEnd, operated: this.#operated, turnCount: this.#workers.turnCount },
    };
  }

  get #context(): ShardContext {
    return {
      ...this.#shard.context,
      clock: () => this.#time.nowMs,
      random: (length) => Uint8Array.from({ length }, () => Math.floor(this.#chance() * 256)),
      store: this.#store(),
      destinations: this.#destinations,
      wakeUps: {
        wake: (lanes) => {
          for (const { domain, lane, dueMs } of lanes) this.#wake({ domain, lane }, dueMs);
        },
        stop: async () => undefined,
      },
    };
  }

  /** The accounts of the store in memory, and the outbox beside them. */
  #store(): Store {
    const { store: accounts } = this.#shard;
    const transactAccount: Store['transactAccount'] = (address, transact) =>
      accounts.transactAccount(address, (transactor) => {
        const commit: typeof transactor.commit = async (write) => {
          await transactor.commit(write);
          for (const id of write.ended ?? []) this.#ended.add(this.#names.get(id) as string);
          this.#outbox.end(write.ended ?? []);
        };
        return transact({ ...transactor, state: accounts.stateOf(address), commit });
      });
    return Object.create(accounts, {
      transactAccount: { value: transactAccount },
      outbox: { value: this.#outbox.tables },
    }) as Store;
  }

  /** Work beside the run; the first defect ends it. */
  #soon(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      this.#defect ??= { error };
    });
  }

  #wake({ domain, lane }: Pick<Lane, 'domain' | 'lane'>, dueMs: number): void {
    this.#workers.wake({ shard: 'one', domain, lane }, Math.max(dueMs, this.#time.nowMs));
  }

  #planPost(at: number, senders: readonly Person[]): void {
    const { postedMs, destinationCount } = this.#options;
    const chance = this.#chance;
    const atMs = startMs + chance() * postedMs;
    const domain = `d${Math.floor(chance() * destinationCount)}.test`;
    const recipient = `r${Math.floor(chance() * 3)}@${domain}`;
    const sender = (senders[Math.floor(chance() * senders.length)] as Person).address;
    const bytes = 1000 + Math.floor(chance() ** 3 * 64_000);
    const name = `m${at}`;
    this.#time.at(atMs, () => {
      const { nowMs } = this.#time;
      const id = this.#posted.length + 1;
      const containerId = this.#shard.store.stateOf(sender)?.containers.get(outboundSpool)?.id ?? 0;
      const lane = laneOfRecipient(recipient);
      this.#names.set(id, name);
      this.#posted.push({ name, sender, recipient, domain, postedMs: nowMs });
      const times = { queuedAtMs: nowMs, expiresAtMs: nowMs + messageMsMax };
      const row = { id, containerId, frameIndex: id, sender, recipient, domain, lane, messageId: name, ...times };
      this.#outbox.insert({ ...row, attempts: 0, lastFailure: '' }, bytes);
      this.#wake({ domain, lane }, nowMs);
    });
  }

  /** The shard as a worker reaches it: now and then a call does not arrive, or its answer does not. */
  #outboxOf(owner: string, isAlive: () => boolean): Outbox {
    const call = async <T>(work: () => Promise<T>): Promise<T> => {
      const fate = this.#chance();
      if (fate < 0.002) throw new RpcError('unavailable', 'simulated', { sent: false });
      const answer = await work();
      if (fate < 0.004) throw new RpcError('deadline', 'simulated', { sent: true });
      // Nobody is there to hear the answer.
      return isAlive() ? answer : new Promise<T>(() => undefined);
    };
    return {
      lease: ({ domain, lane }, rowsMax, bytesMax) =>
        call(async () => {
          const wish = { owner, domain, lane, rowsMax, bytesMax, leaseMs: outboxLeaseMs };
          const { rows, nextAttemptMs } = await leaseOutbox(this.#context, wish);
          const leased = rows.map(({ id, frame, payloadDigest, sender, recipient }) => {
            return { id, message: frame, payloadDigest, bytes: this.#outbox.bytesOf(id), sender, recipient };
          });
          return { rows: leased, nextAttemptMs };
        }),
      settle: ({ domain, lane }, { rows, results, destination }) => {
        if (!isAlive()) return new Promise(() => undefined);
        const outcomes = rows.map((row) => ({ id: row.id, outcome: results.get(row) ?? released }));
        const attempt = destination && { ...destination, retryAfterMs: destination.retryAfterMs };
        return call(() => settleOutbox(this.#context, { owner, domain, lane, rows: outcomes, destination: attempt }));
      },
    };
  }

  #cameBack(domain: string): void {
    // Half of those that are back have something to say themselves.
    if (this.#chance() < 0.5) this.#soon(peerSpoke(this.#context, domain));
  }

  /** Makes wake-ups again that were lost. */
  async #look(): Promise<void> {
    for (let after = { domain: '', lane: 0 }; ; ) {
      const { lanes, more } = await listWork(this.#context, after, 1000);
      for (const { domain, lane, dueMs } of lanes) this.#wake({ domain, lane }, dueMs);
      const last = lanes.at(-1);
      if (!more || last === undefined) return;
      after = last;
    }
  }

  #every(everyMs: number, untilMs: number, act: () => void): void {
    this.#time.after(everyMs, () => {
      act();
      if (this.#time.nowMs < untilMs) this.#every(everyMs, untilMs, act);
    });
  }

  #planTroubles(untilMs: number): void {
    let kills = 0;
    this.#every(5 * hourMs, untilMs, () => {
      kills += 1;
      this.#workers.kill(kills);
    });
    this.#every(7 * hourMs, untilMs, () => {
      // The shard starts again: what it had in memory is gone.
      this.#destinations = new Destinations(() => this.#outbox.tables);
    });
    this.#every(11 * hourMs, untilMs, () => this.#workers.forgetJobs());
    this.#every(9 * hourMs, untilMs, () => {
      const domain = `d${Math.floor(this.#chance() * this.#options.destinationCount)}.test`;
      this.#operated.add(domain);
      this.#soon(changeDestination(this.#context, this.#chance() < 0.5 ? 'hold' : 'drop', { domain }));
      this.#time.after(this.#chance() * 60 * hourMs, () => {
        this.#soon(changeDestination(this.#context, 'release', { domain }));
      });
    });
  }

  #marks(senders: readonly Person[]): Map<string, Reference[]> {
    const tags = defineTags('mark', { MessageComplete });
    const marks = new Map<string, Reference[]>();
    for (const { address } of senders) {
      for (const { payload } of this.#shard.store.framesOf(address, outboundSpool).slice(1)) {
        const { References = [] } = decodeTagged(tags, payload as Uint8Array, { form: 'json' }).value;
        for (const each of References) {
          const name = each.MessageID ?? '';
          marks.set(name, [...(marks.get(name) ?? []), each]);
        }
      }
    }
    return marks;
  }
}

const released: RowOutcome = { kind: 'released' };
