/**
 * Publications and offers of connection as the rest of the shard sees them (semantics 7.6): types only, the body stands in
 * `publications.ts`.
 */

/** What an account says under an identifier. */
export interface PublicationState {
  readonly identifier: string;
  /** Canonical address of whose it is. */
  readonly account: string;
  /** Unix time of the change in milliseconds: an older state never replaces a newer one. */
  readonly changedAtMs: number;
  /** As served; undefined: withdrawn. */
  readonly payload: Uint8Array | undefined;
}

/** Tables `publication_due` and `publication`. All methods throw StorageError. */
export interface PublicationTables {
  /**
   * States that have changed and are to be handed over, as they are now; for a while nobody else gets them.
   *
   * @param leaseMs from now on
   */
  lease(countMax: number, leaseMs: number): Promise<readonly PublicationState[]>;
  /** Those states were handed over. What has changed since is still to be. */
  settle(states: readonly Omit<PublicationState, 'payload'>[]): Promise<void>;
  /**
   * Takes a state as what is served here, durably.
   *
   * @returns false where another account publishes under that identifier, or something newer is here
   */
  put(state: PublicationState): Promise<boolean>;
  /** What is served under an identifier. */
  find(identifier: string): Promise<Uint8Array | undefined>;
}

/** An offer that lies in the inbound spool of a hailing account. */
export interface OfferRow {
  readonly deviceUdf: string;
  /** Of `mmm_Inbound`. */
  readonly frameIndex: number;
  /** Unix time in milliseconds. */
  readonly expiresAtMs: number;
}

/** Offers that wait at an account. */
export interface WaitingOffers {
  /** Frames of `mmm_Inbound` with those for the device, oldest first. */
  readonly frameIndexes: readonly number[];
  /** For all devices together. */
  readonly count: number;
}
