/** What the storage keeps of messages that came, and of whom people let write: types only, like `store.ts`. */

/** A message that was taken for an address (S73). */
export interface MessageSeen {
  /** Digest of signer key and core, 32 octets. */
  readonly identity: Uint8Array;
  /** Unix time in milliseconds. */
  readonly seenAtMs: number;
  /** Of the receipt given then. */
  readonly receiptId: string;
}

/** What an entry of the contacts' catalog lets a person do (semantics 8.3). */
export interface ContactRule {
  /** UDF of the person's account, once it is known. */
  readonly accountUdf: string | undefined;
  /** Canonical. */
  readonly address: string | undefined;
  /** Message types with commas between them, `*` for all, `-` for none. */
  readonly permissions: string;
}

/** An entry of the contacts' catalog as it says now; without a rule it says nothing, or is gone. */
export interface ContactChange {
  /** Key of the entry. */
  readonly uniqueId: string;
  readonly rule: ContactRule | undefined;
}
