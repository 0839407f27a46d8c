/**
 * Why the storage refused or failed, as codes that the transactions above map to Mesh statuses.
 *
 * - `overloaded`: a bounded queue is full; `resource` names it. Nothing was written; come back.
 * - `lease-lost`: this process does not (or no longer) hold the shard's lease. Nothing was written by this call.
 * - `stale`: the database holds something else than the cached state said (compare-and-append failed, a row is already
 *   there). Nothing was written, the cached state was dropped; the caller may read again and repeat.
 * - `unavailable`: the connection broke. The write is either wholly there or not at all, which of both is not known; a
 *   repetition finds out by its remembered request.
 * - `damaged`: the container failed a check of its digests and is read-only until somebody looks at it.
 * - `invalid`: the write itself contradicts itself or breaks a rule of the schema; a fault of the code above.
 * - `closed`: the store is being stopped.
 */
export type StorageErrorCode = 'overloaded' | 'lease-lost' | 'stale' | 'unavailable' | 'damaged' | 'invalid' | 'closed';

/** What every call of the storage throws when it cannot do what was asked. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;
  /** The bounded resource that is used up, with `overloaded`. */
  readonly resource: string | undefined;

  constructor(code: StorageErrorCode, message: string, options: { cause?: unknown; resource?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'StorageError';
    this.code = code;
    this.resource = options.resource;
  }
}

/** Codes that concern a whole transaction and not one write in it. */
const wholeFailures: ReadonlySet<StorageErrorCode> = new Set(['unavailable', 'lease-lost', 'closed']);

/** Whether a transaction failed for all who had a part in it: trying each alone would not help. */
export function concernsAll(error: unknown): boolean {
  return error instanceof StorageError && wholeFailures.has(error.code);
}
