/* Rows for devices of an account, and what each may do. Types only. */

/** One right of a device; `role` absent means read and write. */
export interface DevicePermission {
  readonly name: string;
  readonly role?: string;
}

/** Where a revoked device's authority over one container ends (S48). */
export interface RevocationCut {
  readonly container: string;
  /** Frames from this index on are not the device's to write. */
  readonly size: number;
  /** Root of the log at that size, as base64url text. */
  readonly root: string;
}

/** Derived from the frames of `mmm_Device`, written in the same database transaction (S24, S90). */
export interface DeviceRow {
  readonly deviceUdf: string;
  /** Raw combined keys of the device's ConnectionAccount. */
  readonly keyAuthentication: Uint8Array;
  readonly keySignature: Uint8Array;
  /** SHA-512 of the payload of the ConnectionAccount in the current entry. */
  readonly connectionDigest: Uint8Array;
  readonly permissions: readonly DevicePermission[];
  /** Raw key that signed the connection when its entry was taken. */
  readonly connectionSigner: Uint8Array;
  /** Index in `mmm_Device` of the current entry. */
  readonly entryIndex: number;
  /** Unix time in milliseconds of the revocation; null while the device is connected. */
  readonly revokedAtMs: number | null;
  /** As {@link AccountFields.ticketsFromMs}, for this device. */
  readonly ticketsFromMs: number;
  /** Given with the revocation. */
  readonly cuts: readonly RevocationCut[];
}
