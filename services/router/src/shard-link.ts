/** What the router uses of a connection to one shard; `@meshd/rpc` has the real one, tests make their own. */
import type {
  DownloadPart,
  DownloadRequest,
  SlotMap,
  TransactRequest,
  TransactResponse,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';

/** One shard, as seen from a router. */
export interface ShardLink {
  /**
   * Sends one request among many; the answer comes when it comes.
   *
   * @throws when the connection breaks or the deadline passes
   */
  transact(request: Omit<TransactRequest, 'number'>, deadlineMs: number): Promise<TransactResponse>;
  /** Parts as the shard sends them, at the pace at which they are taken. Breaking off the iteration cancels. */
  download(request: DownloadRequest): AsyncIterable<DownloadPart>;
  /** Versions of the slot map, from the one now on. Breaking off the iteration ends the watch. */
  watchMap(versionKnown: number): AsyncIterable<SlotMap>;
  /** Whether requests could be sent at this moment. */
  isConnected(): boolean;
  close(): void;
}

/** Opens a link to an address `host:port`; it connects by itself, and again whenever it must. */
export type OpenShardLink = (address: string) => ShardLink;
