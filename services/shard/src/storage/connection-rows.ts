/* Rows for devices that ask to be connected (semantics 7, S53, S55). Types only. */

/** `accepted` and `rejected` are what an administrator said; a request that nobody answers ends by its time. */
export type ConnectionStatus = 'pending' | 'accepted' | 'rejected';

/** A device that asks to be connected. */
export interface ConnectionRow {
  readonly deviceUdf: string;
  /** Raw base key of its profile, by which it asks what became of its request. */
  readonly keyAuthentication: Uint8Array;
  /** `UniqueID` of the AcknowledgeConnection in `mmm_Inbound`: names the request. */
  readonly messageId: string;
  readonly status: ConnectionStatus;
  /** Frames of `mmm_Device` when it asked: an entry before them is one of an earlier connection. */
  readonly catalogFrom: number;
  /** Frame of `mmm_Inbound` with the administrator's challenge; null: none yet. */
  readonly challengeIndex: number | null;
  /** The device has revealed its secret: it does so once. */
  readonly revealed: boolean;
  /** Unix time in milliseconds. */
  readonly expiresAtMs: number;
}

/** A row to insert or replace, or the device whose row is to go. */
export type ConnectionChange = { readonly put: ConnectionRow } | { readonly remove: string };

/** The rows after some changes. */
export function afterChanges(
  rows: ReadonlyMap<string, ConnectionRow>,
  changes: readonly ConnectionChange[] = [],
): ReadonlyMap<string, ConnectionRow> {
  if (changes.length === 0) return rows;
  const after = new Map(rows);
  for (const change of changes) {
    if ('put' in change) after.set(change.put.deviceUdf, change.put);
    else after.delete(change.remove);
  }
  return after;
}
