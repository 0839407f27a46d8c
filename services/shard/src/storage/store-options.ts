/** What the storage is opened with. */
import type { GroupReport } from './coalescer.js';
import type { ClientMaker } from './database.js';
import type { StorageError } from './errors.js';

/** A frame that is not what was written. */
export interface DamageReport {
  readonly address: string;
  readonly container: string;
  /** Null where it was found by an earlier process. */
  readonly frameIndex: number | null;
}

/** What {@link openStore} needs. */
export interface StoreOptions {
  /** Database of the shard, migrated already. */
  readonly url: string;
  readonly shardName: string;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** The lease is gone: the process can write nothing more and should end. */
  readonly onLeaseLost: (reason: string) => void;
  /** For the log and the operator; the container is read-only from here on. */
  readonly onDamaged: (report: DamageReport) => void;
  /** Something failed that no caller waits for. */
  readonly onError?: (error: StorageError) => void;
  readonly onGroup?: (report: GroupReport) => void;
  readonly makeClient?: ClientMaker;
  readonly writeConnections?: number;
  /** How long to wait for a lease that another process holds. */
  readonly leaseWaitMsMax?: number;
}
