/**
 * The shards: which there are, by the slot map that any of them serves, and a connection to each in the role of the outbound
 * process. A shard that starts again is waited for, and what it was asked is asked again: all of it may be.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { rpcRetryMsMax, rpcRetryMsMin, transactionMsMax } from '@meshd/limits/limits';
import type { Clock } from '@meshd/process/clock';
import { formatHostPort } from '@meshd/process/setting';
import type { Identity } from '@meshd/rpc/credentials';
import { RpcError } from '@meshd/rpc/errors';
import { followSlotMap } from '@meshd/rpc/follow-map';
import type { TransactRequest, TransactResponse } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { connectShard, type ShardConnection } from '@meshd/rpc/shard-client';
import { SlotMapCopy } from '@meshd/rpc/slot-map';
import { type ErrorCode, MeshError, statusCodes } from '@meshd/schema/status';
import type { Logger } from '@meshd/telemetry/logger';
import type { OutboundConfig } from './config.js';

type Transaction = NonNullable<TransactRequest['transaction']>;
type Result = NonNullable<TransactResponse['result']>;
/** What an answer holds, by its name. */
type Results = { [R in Result as R['$case']]: R['value'] };

/** What {@link Shards} needs. */
export interface ShardsOptions {
  readonly open: (address: string) => Pick<ShardConnection, 'transact' | 'watchMap' | 'close'>;
  /** Shards to ask for the map before there is one, `host:port`. */
  readonly seeds: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** The map is there, or is another one. */
  readonly onMap?: () => void;
}

/** The shards of the provider. */
export class Shards {
  readonly #options: ShardsOptions;
  readonly #connections = new Map<string, ReturnType<ShardsOptions['open']>>();
  readonly #stopping = new AbortController();
  /** Shards that did not answer when they were last asked. */
  readonly #silent = new Set<string>();
  #map: SlotMapCopy | undefined;

  constructor(options: ShardsOptions) {
    this.#options = options;
  }

  /** Begins to follow the map. */
  start(): void {
    const { seeds, logger, onMap } = this.#options;
    void followSlotMap({
      addresses: () => [...(this.#map?.places ?? []).map(({ address }) => address), ...seeds],
      version: () => this.#map?.version ?? 0,
      watch: (address, versionKnown, signal) => this.#connection(address).watchMap(versionKnown, signal),
      onMap: (map) => {
        if (this.#map !== undefined && map.version < this.#map.version) return;
        this.#map = new SlotMapCopy(map);
        this.#dropConnections();
        onMap?.();
      },
      onError: (error, address) => logger.debug({ err: error, address }, 'cannot follow the slot map'),
      signal: this.#stopping.signal,
    });
  }

  /** Names of all shards; none before the map is known. */
  get names(): readonly string[] {
    return (this.#map?.places ?? []).map(({ shard }) => shard);
  }

  /** The shard of an account; undefined while the map does not say. */
  shardOf(account: string): string | undefined {
    return this.#map?.placeOf(account)?.shard;
  }

  /** One sentence for each shard that cannot be worked with. */
  problems(): string[] {
    if (this.#map === undefined) {
      return this.#options.seeds.map((address) => `shard ${address} is not connected`);
    }
    return this.names.filter((shard) => this.#silent.has(shard)).map((shard) => `shard ${shard} does not answer`);
  }

  /**
   * Asks a shard, and again over a new connection while there is time.
   *
   * @param timeMs for all attempts together
   * @returns what it answers; undefined where the answer has no result
   * @throws MeshError what the shard refused with; RpcError where it did not answer
   */
  async ask<Case extends keyof Results>(
    shard: string,
    transaction: Transaction,
    expected: Case,
    timeMs?: number,
  ): Promise<Results[Case]> {
    const { result } = await this.#transact(shard, transaction, timeMs);
    if (result?.$case !== expected) throw new Error('the shard answered another request');
    return result.value as Results[Case];
  }

  /** Asks any shard what the directory knows: all of them can say. @throws as {@link ask} */
  askAny<Case extends keyof Results>(transaction: Transaction, expected: Case): Promise<Results[Case]> {
    return this.ask(this.#anyShard(), transaction, expected);
  }

  /** As {@link ask}, for what has no result. */
  async tell(shard: string, transaction: Transaction): Promise<void> {
    await this.#transact(shard, transaction);
  }

  /** As {@link askAny}, for what has no result. */
  async tellAny(transaction: Transaction): Promise<void> {
    await this.#transact(this.#anyShard(), transaction);
  }

  #anyShard(): string {
    const shard = this.names.find((name) => !this.#silent.has(name)) ?? this.names[0];
    if (shard === undefined) throw new RpcError('unavailable', 'the slot map is not known yet');
    return shard;
  }

  async #transact(shard: string, transaction: Transaction, timeMs = transactionMsMax): Promise<TransactResponse> {
    const { clock } = this.#options;
    const deadlineMs = clock() + timeMs;
    for (let waitMs = rpcRetryMsMin; ; waitMs = Math.min(rpcRetryMsMax, 2 * waitMs)) {
      try {
        const response = await this.#once(shard, transaction, Math.min(deadlineMs - clock(), transactionMsMax));
        this.#silent.delete(shard);
        return refusing(response);
      } catch (error) {
        const isOver = this.#stopping.signal.aborted || clock() + waitMs >= deadlineMs;
        if (!(error instanceof RpcError) || !['unavailable', 'deadline'].includes(error.code) || isOver) {
          if (error instanceof RpcError) this.#silent.add(shard);
          throw error;
        }
        await sleep(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      }
    }
  }

  async #once(shard: string, transaction: Transaction, leftMs: number): Promise<TransactResponse> {
    const place = this.#map?.places.find((known) => known.shard === shard);
    if (this.#map === undefined || place === undefined) throw new RpcError('unavailable', `no shard ${shard} is known`);
    const ask = { mapVersion: this.#map.version, identity: undefined, describePrincipal: false, transaction };
    return this.#connection(place.address).transact(ask, Math.max(1, leftMs));
  }

  #connection(address: string) {
    const known = this.#connections.get(address);
    if (known !== undefined) return known;
    const opened = this.#options.open(address);
    this.#connections.set(address, opened);
    return opened;
  }

  /** Shards that have moved leave connections behind. */
  #dropConnections(): void {
    const used = new Set([...(this.#map?.places ?? []).map(({ address }) => address), ...this.#options.seeds]);
    for (const [address, connection] of this.#connections) {
      if (used.has(address)) continue;
      connection.close();
      this.#connections.delete(address);
    }
    for (const shard of this.#silent) if (!this.names.includes(shard)) this.#silent.delete(shard);
  }

  /** Closes all connections. */
  stop(): void {
    this.#stopping.abort();
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }
}

const codes: ReadonlySet<string> = new Set(statusCodes);

function refusing(response: TransactResponse): TransactResponse {
  const { error = '', detail = '', retryAfterMs = 0 } = response.outcome ?? {};
  if (error === '') return response;
  const code = codes.has(error) ? (error as ErrorCode) : 'internal';
  throw new MeshError(code, detail || error, retryAfterMs > 0 ? { retryAfterMs } : {});
}

/** Opens connections over mutual TLS. */
export async function openConnections(config: OutboundConfig, logger: Logger): Promise<ShardsOptions['open']> {
  const files = [config.rpcCertFile, config.rpcKeyFile, config.rpcCaFile];
  const [certificate, key, authority] = await Promise.all(files.map((file) => readFile(file)));
  const identity = { certificate, key, authority } as Identity;
  const onError = (error: RpcError): void => logger.warn({ err: error }, 'connection to a shard broke');
  return (address) => connectShard({ address, identity, onError });
}

/** Addresses of the shards set. */
export const seedsOf = (config: OutboundConfig): string[] => config.shards.map(formatHostPort);
