/**
 * Large files as the rest of the shard sees them: types only, the body stands in `large.ts`. They are no containers: nothing
 * of them is proved by trees or kept for long, and they are written beside the queue of containers, which they would hold up.
 */

/** A file as stored. Sizes are octets, sealed; times Unix milliseconds. */
export interface LargeFile {
  readonly identifier: string;
  readonly bytesTotal: number;
  readonly bytesStored: number;
  readonly expiresAtMs: number;
}

/** What is known of a file before its first slice. */
export interface LargeBegin {
  readonly identifier: string;
  /** Raw key of those who may fetch it, 57 octets. */
  readonly reader: Uint8Array;
  readonly bytesTotal: number;
  /** How long it is kept from its completion. */
  readonly keptMs: number;
}

/** Some octets of a file that may be fetched. */
export interface LargePart {
  readonly bytesTotal: number;
  /** From the offset on, as far as one slice goes. */
  readonly data: Uint8Array;
}

/** Tables `large_file` and `large_slice`. All methods throw StorageError. */
export interface LargeTables {
  /**
   * Begins a file within the account's bound, or finds the one that was begun under this identifier.
   *
   * @returns the file, and its reader; undefined where there is no room
   */
  begin(
    accountId: number,
    begin: LargeBegin,
    bytesMax: number,
  ): Promise<(LargeFile & { readonly reader: Uint8Array }) | undefined>;
  /**
   * Adds a slice where it continues what is there; with the last one the file can be fetched, all in one database transaction.
   *
   * @returns how the file stands then, whether the slice was taken or not; undefined: there is none, or it has expired
   */
  append(accountId: number, identifier: string, offset: number, data: Uint8Array): Promise<LargeFile | undefined>;
  /** Ends a file: nobody can fetch it any more. Its octets are freed by the next sweep, and counted until then. */
  withdraw(accountId: number, identifier: string): Promise<void>;
  /** Files of an account, those that are not freed yet included. */
  list(accountId: number): Promise<readonly LargeFile[]>;
  /** Octets of a complete file that has not expired; undefined where there is none for this reader, for whatever reason. */
  read(wish: {
    readonly address: string;
    readonly identifier: string;
    readonly reader: Uint8Array;
    readonly offset: number;
    readonly bytesMax: number;
  }): Promise<LargePart | undefined>;
}
