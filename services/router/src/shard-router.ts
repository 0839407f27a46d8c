/**
 * The way from an account to its shard: a copy of the slot map, a link to each shard, and what to do when either is wrong.
 *
 * The map is followed as a stream from any shard that answers. A shard that is asked for an account it does not own says
 * so with its version of the map; the router waits for a newer one, for a moment, and repeats once. A connection that
 * breaks is no reason to fail: requests are repeated while there is time, since reading changes nothing and the shard
 * knows a writing request again by its `ID` (S27).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  comeBackMs,
  downloadMsMax,
  rpcRetryLeftMsMin,
  rpcRetryMsMax,
  rpcRetryMsMin,
  shardProbeMs,
  slotMapWaitMsMax,
} from '@meshd/limits/limits';
import type { Clock } from '@meshd/process/clock';
import { RpcError } from '@meshd/rpc/errors';
import { followSlotMap } from '@meshd/rpc/follow-map';
import type {
  DownloadPart,
  DownloadRequest,
  Outcome,
  PrincipalDescription,
  RequestIdentity,
  TransactRequest,
  TransactResponse,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { type ShardPlace, SlotMapCopy } from '@meshd/rpc/slot-map';
import { type ErrorCode, MeshError, statusRegistry } from '@meshd/schema/status';
import type { Logger } from '@meshd/telemetry/logger';
import type { OpenShardLink, ShardLink } from './shard-link.js';

/** What {@link ShardRouter} needs. */
export interface ShardRouterOptions {
  readonly open: OpenShardLink;
  /** Shards to ask for the map before there is one, `host:port`. */
  readonly seeds: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A request for a shard, without what the router adds. */
export interface ShardCall {
  /** Canonical address that decides about the shard, or the identifier of a publication. */
  readonly account: string;
  /** Undefined for what is no request of the protocol. */
  readonly identity: RequestIdentity | undefined;
  readonly deadlineMs: number;
  /** The requester asks for a ticket: the shard is to say who it is. */
  readonly describePrincipal?: boolean | undefined;
  /** Fires when nobody waits for the answer any more, with the reason. */
  readonly signal?: AbortSignal | undefined;
}

/** An answer of a shard. */
export interface ShardAnswer {
  readonly outcome: Outcome;
  /** Where it was asked for, on success. */
  readonly principal: PrincipalDescription | undefined;
  readonly result: TransactResponse['result'];
}

/** A shard says this of an account that is not its own. */
const wrongShard = 'wrong-shard';

/** Routes requests to shards. */
export class ShardRouter {
  readonly #options: ShardRouterOptions;
  readonly #links = new Map<string, ShardLink>();
  /** Addresses that answered when they were last asked. */
  readonly #answering = new Set<string>();
  readonly #stopping = new AbortController();
  #map: SlotMapCopy | undefined;
  /** Woken by every new version of the map. */
  #waiting: (() => void)[] = [];

  constructor(options: ShardRouterOptions) {
    this.#options = options;
  }

  /** Begins to follow the map. */
  start(): void {
    void this.#follow();
    void this.#probe();
  }

  /** Version of the map in use; 0 before the first. */
  get mapVersion(): number {
    return this.#map?.version ?? 0;
  }

  /** What keeps requests from being served, for readiness. */
  problems(): string[] {
    const map = this.#map;
    if (map === undefined) return ['the slot map is not known yet'];
    const apart = map.places.filter(({ address }) => !this.#answering.has(address));
    const problems = apart.map(({ shard }) => `shard ${shard} does not answer`);
    return map.isComplete ? problems : [...problems, 'the slot map has gaps'];
  }

  /**
   * Sends a request to the shard of an account.
   *
   * @throws MeshError `overloaded` or `shard-timeout`; refusals of the shard are in `outcome`
   */
  async transact(call: ShardCall, transaction: NonNullable<TransactRequest['transaction']>): Promise<ShardAnswer> {
    return this.#repeatOnce(call, async (link, mapVersion) => {
      const { identity, describePrincipal = false, signal } = call;
      const ask = { mapVersion, identity, describePrincipal, transaction };
      const response = await link.transact(ask, this.#leftMs(call), signal);
      const { outcome, principal, result } = response;
      return { outcome: outcomeOf(outcome), principal, result };
    });
  }

  /** Name of the shard of an account, as the map has it now. Throws MeshError `overloaded` without one. */
  shardOf(account: string): string {
    return this.#placeOf(account).place.shard;
  }

  /** Tells every shard something, once; nobody waits for it, and what does not arrive is lost. */
  transactAll(call: Omit<ShardCall, 'account'>, transaction: NonNullable<TransactRequest['transaction']>): void {
    const ask = { mapVersion: this.mapVersion, identity: call.identity, describePrincipal: false, transaction };
    for (const { address } of this.#map?.places ?? []) {
      this.#linkTo(address)
        .transact(ask, shardProbeMs)
        .catch((error) => this.#options.logger.debug({ err: error, address }, 'a shard was not told'));
    }
  }

  /**
   * Starts a download at the shard of an account.
   *
   * @returns the parts after the outcome, which was a success
   * @throws MeshError, the shard's refusal included
   */
  async download(
    call: ShardCall,
    request: Omit<DownloadRequest, 'mapVersion' | 'deadlineMs' | 'identity' | 'describePrincipal'>,
  ): Promise<AsyncIterable<DownloadPart>> {
    const { outcome, parts } = await this.#repeatOnce(call, async (link, mapVersion) => {
      // The deadline of the transaction is for the first part; the rest goes at the pace of the client.
      const { identity, describePrincipal = false } = call;
      const whole = { ...request, identity, describePrincipal, mapVersion, deadlineMs: downloadMsMax };
      const iterator = link.download(whole)[Symbol.asyncIterator]();
      try {
        const first = await beforeDeadline(iterator.next(), this.#leftMs(call));
        const part = first.done === true ? undefined : first.value.part;
        if (part?.$case !== 'outcome') throw new Error('a download that does not begin with its outcome');
        if (part.value.error !== '') await iterator.return?.();
        return { outcome: part.value, parts: iterator };
      } catch (error) {
        void iterator.return?.();
        throw error;
      }
    });
    requireSuccess(outcome);
    return { [Symbol.asyncIterator]: () => parts };
  }

  /** Stops following the map and closes all links. */
  stop(): void {
    this.#stopping.abort();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  #leftMs({ deadlineMs }: ShardCall): number {
    const leftMs = deadlineMs - this.#options.clock();
    if (leftMs <= 0) throw new MeshError('shard-timeout');
    return leftMs;
  }

  async #repeatOnce<A extends { readonly outcome: Outcome }>(
    call: ShardCall,
    send: (link: ShardLink, mapVersion: number) => Promise<A>,
  ): Promise<A> {
    for (let attempt = 0; ; attempt += 1) {
      const { place, version } = this.#placeOf(call.account);
      const answer = await this.#send(place, () => send(this.#linkTo(place.address), version), call);
      if (answer.outcome.error !== wrongShard) return answer;
      if (attempt === 1) throw unavailable('slot map');
      await this.#newerMap(version, Math.min(slotMapWaitMsMax, this.#leftMs(call)));
    }
  }

  /** What goes wrong on the way becomes the status that says whose fault it is and that trying again may help. */
  async #send<A>(place: ShardPlace, send: () => Promise<A>, call: ShardCall): Promise<A> {
    for (let waitMs = rpcRetryMsMin; ; waitMs = Math.min(rpcRetryMsMax, waitMs * 2)) {
      try {
        return await send();
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        if (error.code === 'deadline') throw new MeshError('shard-timeout', '', { cause: error });
        if (error.code === 'overloaded') throw unavailable(error.resource ?? 'shard', error);
        if (error.code !== 'unavailable' || call.deadlineMs - this.#options.clock() < rpcRetryLeftMsMin) {
          this.#options.logger.warn({ err: error, shard: place.shard }, 'shard cannot be reached');
          throw unavailable('shard', error);
        }
        await this.#pause(waitMs);
      }
    }
  }

  /** Waits, but not when stopping. */
  async #pause(timeMs: number): Promise<void> {
    await sleep(timeMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  #placeOf(account: string): { readonly place: ShardPlace; readonly version: number } {
    const place = this.#map?.placeOf(account);
    if (this.#map === undefined || place === undefined) throw unavailable('slot map');
    return { place, version: this.#map.version };
  }

  #linkTo(address: string): ShardLink {
    const known = this.#links.get(address);
    if (known !== undefined) return known;
    const link = this.#options.open(address);
    this.#links.set(address, link);
    return link;
  }

  /** Resolves when the map is newer than `version`, or after a time in any case: the shard may be behind, not we. */
  async #newerMap(version: number, timeoutMs: number): Promise<void> {
    if (this.mapVersion > version) return;
    const arrived = new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
    await Promise.race([
      arrived,
      sleep(timeoutMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined),
    ]);
  }

  /** Follows the map for as long as the router lives. */
  #follow(): Promise<void> {
    const { seeds, logger } = this.#options;
    return followSlotMap({
      addresses: () => [...(this.#map?.places ?? []).map(({ address }) => address), ...seeds],
      version: () => this.mapVersion,
      watch: (address, versionKnown, signal) => this.#linkTo(address).watchMap(versionKnown, signal),
      onMap: (map) => this.#take(new SlotMapCopy(map)),
      onError: (error, address) => logger.debug({ err: error, address }, 'cannot follow the slot map'),
      signal: this.#stopping.signal,
    });
  }

  /** Asks every shard for a sign of life, for as long as the router lives: readiness must not wait for a request. */
  async #probe(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await Promise.all((this.#map?.places ?? []).map(({ address }) => this.#probeOne(address)));
      await this.#pause(shardProbeMs);
    }
  }

  async #probeOne(address: string): Promise<void> {
    const transaction = { $case: 'describeService', value: {} } as const;
    try {
      const ask = { mapVersion: this.mapVersion, identity: undefined, describePrincipal: false, transaction };
      await this.#linkTo(address).transact(ask, shardProbeMs);
      this.#answering.add(address);
    } catch {
      this.#answering.delete(address);
    }
  }

  #take(map: SlotMapCopy): void {
    // A shard may lag behind another one: never go back.
    if (this.#map !== undefined && map.version < this.#map.version) return;
    this.#map = map;
    this.#dropLinks(map);
    // Asked before they are needed, so that readiness tells whether they can be.
    for (const { address } of map.places) void this.#probeOne(address);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #dropLinks(map: SlotMapCopy): void {
    const kept = new Set([...map.places.map(({ address }) => address), ...this.#options.seeds]);
    for (const [address, link] of this.#links) {
      if (kept.has(address)) continue;
      link.close();
      this.#links.delete(address);
      this.#answering.delete(address);
    }
  }
}

function outcomeOf(outcome: Outcome | undefined): Outcome {
  if (outcome === undefined) throw new Error('an answer of a shard without outcome');
  return outcome;
}

async function beforeDeadline<T>(promise: Promise<T>, leftMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new MeshError('shard-timeout')), leftMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function unavailable(resource: string, cause?: unknown): MeshError {
  return new MeshError('overloaded', '', { resource, retryAfterMs: comeBackMs, cause });
}

/**
 * The refusal that a shard answered with; undefined for a success.
 */
export function refusalOf({ error, detail, retryAfterMs, correlation }: Outcome): MeshError | undefined {
  if (error === '') return undefined;
  const code = Object.hasOwn(statusRegistry, error) ? (error as ErrorCode) : 'internal';
  const options = retryAfterMs > 0 ? { retryAfterMs } : {};
  return new MeshError(code, code === 'internal' ? correlation : detail, options);
}

/** Throws the refusal that a shard answered with. */
export function requireSuccess(outcome: Outcome): void {
  const refused = refusalOf(outcome);
  if (refused !== undefined) throw refused;
}
