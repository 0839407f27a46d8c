/** Answers of the DNS, remembered for as long as they say (within our bounds), and none of a name for as long as that. */
import { getServers } from 'node:dns';
import { type Random, systemRandom } from '@meshd/crypto/random';
import {
  dnsAliasesMax,
  dnsAnswersMax,
  dnsNegativeMs,
  dnsRecordsMax,
  dnsTtlMsMax,
  dnsTtlMsMin,
} from '@meshd/limits/discovery';
import type { Answer, DecodedPacket } from 'dns-packet';
import { LRUCache } from 'lru-cache';
import { askServers, type DnsQuestion, type NameServer, type RecordType } from './dns-question.js';
import type { SrvRecord } from './srv-order.js';

/** Records as their users want them. */
export interface RecordOf {
  readonly A: string;
  readonly AAAA: string;
  readonly SRV: SrvRecord;
  /** The character-strings of one record. */
  readonly TXT: readonly string[];
}

/** What {@link Resolver} needs. */
export interface ResolverOptions {
  /** Name servers; those of the system when absent. */
  readonly servers?: readonly NameServer[] | undefined;
  /** Milliseconds since 1970, UTC. */
  readonly clock: () => number;
  readonly random?: Random | undefined;
}

/** Options of one look-up. */
export interface LookUpOptions {
  /** Asks anew, whatever is remembered. */
  readonly anew?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Remembered {
  readonly records: readonly unknown[];
  readonly untilMs: number;
}

/** Looks up records, and keeps what it found. */
export class Resolver {
  readonly #servers: readonly NameServer[];
  readonly #clock: () => number;
  readonly #random: Random;
  readonly #remembered = new LRUCache<string, Remembered>({ max: dnsAnswersMax });
  /** Questions on their way: who asks the same meanwhile waits for the same answer. */
  readonly #asking = new Map<string, Promise<Remembered>>();

  constructor(options: ResolverOptions) {
    this.#servers = options.servers ?? systemServers();
    this.#clock = options.clock;
    this.#random = options.random ?? systemRandom;
  }

  /**
   * The records of a name; empty where there is no such name, or none of that type.
   *
   * @throws DnsFailure when that could not be found out; the signal's reason when it ends the waiting
   */
  async lookUp<T extends RecordType>(type: T, name: string, options: LookUpOptions = {}): Promise<RecordOf[T][]> {
    const key = `${type} ${name.toLowerCase()}`;
    const known = options.anew ? undefined : this.#remembered.get(key);
    if (known !== undefined && this.#clock() < known.untilMs) return [...known.records] as RecordOf[T][];
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      asking = this.#ask({ type, name }).finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    const found = await unlessAborted(asking, options.signal);
    this.#remembered.set(key, found);
    return [...found.records] as RecordOf[T][];
  }

  /** Follows aliases that the server did not follow itself. */
  async #ask(question: DnsQuestion): Promise<Remembered> {
    let { name } = question;
    let ttlMs = dnsTtlMsMax;
    for (let step = 0; step <= dnsAliasesMax; step += 1) {
      const packet = await askServers({ ...question, name }, { servers: this.#servers, random: this.#random });
      const found = readAnswer(packet, { ...question, name });
      ttlMs = Math.min(ttlMs, found.ttlMs);
      const untilMs = this.#clock() + Math.max(ttlMs, dnsTtlMsMin);
      if (found.alias === undefined) return { records: found.records, untilMs };
      name = found.alias;
    }
    return { records: [], untilMs: this.#clock() + dnsNegativeMs };
  }
}

/** What an answer says about the name that was asked for. */
interface ReadAnswer {
  readonly records: readonly unknown[];
  readonly ttlMs: number;
  /** The name that is to be asked for instead, where the answer ends with it. */
  readonly alias: string | undefined;
}

function readAnswer(packet: DecodedPacket, { type, name }: DnsQuestion): ReadAnswer {
  const answers = packet.answers ?? [];
  let owner = name;
  let ttlMs = dnsTtlMsMax;
  for (let step = 0; step <= dnsAliasesMax; step += 1) {
    const own = answers.filter((answer) => answer.name.toLowerCase() === owner.toLowerCase());
    const found = own.filter((answer) => answer.type === type).slice(0, dnsRecordsMax);
    if (found.length > 0) {
      return { records: found.flatMap(recordOf), ttlMs: Math.min(ttlMs, ...found.map(ttlMsOf)), alias: undefined };
    }
    const alias = own.find((answer) => answer.type === 'CNAME');
    if (alias?.type !== 'CNAME') break;
    ttlMs = Math.min(ttlMs, ttlMsOf(alias));
    owner = alias.data;
  }
  if (owner !== name) return { records: [], ttlMs, alias: owner };
  return { records: [], ttlMs: negativeMs(packet), alias: undefined };
}

/** How long there is nothing: as the zone says in the SOA that comes with such an answer (RFC 2308). */
function negativeMs(packet: DecodedPacket): number {
  const soa = packet.authorities?.find((record) => record.type === 'SOA');
  if (soa?.type !== 'SOA') return dnsNegativeMs;
  return Math.min(ttlMsOf(soa), (soa.data.minimum ?? 0) * 1000);
}

function ttlMsOf(answer: Answer): number {
  return 'ttl' in answer ? (answer.ttl ?? 0) * 1000 : 0;
}

function recordOf(answer: Answer): unknown[] {
  if (answer.type === 'A' || answer.type === 'AAAA') return [answer.data];
  if (answer.type === 'SRV') {
    const { priority = 0, weight = 0, port, target } = answer.data;
    return [{ priority, weight, port, target: target === '.' ? '' : target }];
  }
  if (answer.type === 'TXT') {
    const strings = Array.isArray(answer.data) ? answer.data : [answer.data];
    return [strings.map((text) => Buffer.from(text).toString('latin1'))];
  }
  return [];
}

/** The servers that the system would ask, as Node read them when it started. */
function systemServers(): NameServer[] {
  return getServers().map((text) => {
    const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+|[^.]+?))(?::(\d+))?$/.exec(text) ?? [];
    return { host: bracketed ?? plain ?? text, port: Number(port ?? 53) };
  });
}

/** Ends the waiting, not the question: others may wait for it, and its answer is worth keeping. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
