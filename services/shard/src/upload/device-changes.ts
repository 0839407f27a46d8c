import { constantTimeEqual } from '@meshd/crypto/digest';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { hasKey, sameKey } from '../account-keys.js';
import { type AccountState, type DeviceRow, keyText, type RevocationCut } from '../storage/store.js';
import type { VerifiedDevice } from './device-entry.js';
import type { KeyChange } from './events.js';
import { type EntryFault, reject } from './fault.js';

/** One change of the device catalog, its entry verified (undefined for a Delete). */
export interface DeviceEvent {
  readonly indexRequest: number;
  readonly change: KeyChange;
  readonly entry: VerifiedDevice | undefined;
  /** Raw keys of the entry that this one follows; they die with a Delete. */
  readonly formerKeys: readonly Uint8Array[];
  /** Given with a Delete (S48). */
  readonly cuts: readonly RevocationCut[];
}

/** What a batch of the device catalog makes of the account's devices. */
export interface DeviceChanges {
  readonly devices: readonly DeviceRow[];
  /** Raw keys to add to the revoked ones. */
  readonly revokedKeys: readonly Uint8Array[];
}

/** What decides over re-creation (S25). */
export interface DeviceContext {
  readonly state: AccountState;
  /** Key that signed the batch's manifest. */
  readonly signer: PublicKeyEd448;
  /** Raw authentication key of the device that uploads. */
  readonly callerKey: Uint8Array;
  readonly nowMs: number;
}

/**
 * Derives the device rows from the events of a batch, in order (S24, S25).
 *
 * Nobody undoes a revocation with a key that was revoked, or re-creates an entry for himself, but with the Mesh's
 * offline key: a stolen administration device would otherwise let itself in again.
 */
export function deviceChanges(context: DeviceContext, events: readonly DeviceEvent[]): DeviceChanges | EntryFault {
  const rows = new Map(context.state.devices);
  const changed = new Set<string>();
  const revokedKeys: Uint8Array[] = [];
  for (const event of events) {
    const { uniqueId } = event.change;
    if (event.entry === undefined) revokedKeys.push(...event.formerKeys);
    else if (needsOfflineKey(context, event, revokedKeys) && !isOffline(context)) {
      return reject(
        event.indexRequest,
        'administrator-required',
        'this device is listed again by the offline key only',
      );
    }
    const row = rowAfter(event, rows.get(uniqueId), context.nowMs);
    if (row === undefined) continue;
    rows.set(uniqueId, row);
    changed.add(uniqueId);
  }
  // The offline key is the Mesh itself; no entry can make it one of a device's.
  const mortal = revokedKeys.filter((key) => !sameKey(key, context.state.meshOfflineKey));
  return { devices: [...changed].map((udf) => rows.get(udf) as DeviceRow), revokedKeys: mortal };
}

function isOffline({ state, signer }: DeviceContext): boolean {
  return sameKey(signer.raw, state.meshOfflineKey);
}

function needsOfflineKey(
  { state, callerKey }: DeviceContext,
  { entry, change }: DeviceEvent,
  revokedHere: readonly Uint8Array[],
): boolean {
  const keys = entry?.keys ?? [];
  if (keys.some((key) => state.revokedKeys.has(keyText(key)) || hasKey(revokedHere, key))) return true;
  const ownKey = entry?.connection?.keyAuthentication.raw;
  const isOneself = ownKey !== undefined && sameKey(ownKey, callerKey);
  return state.deviceCatalogBegun && change.event === 'New' && isOneself;
}

/** The row after an event. A device that loses its connection to the account keeps its row, as a revoked one. */
function rowAfter(event: DeviceEvent, row: DeviceRow | undefined, nowMs: number): DeviceRow | undefined {
  const connection = event.entry?.connection;
  const entryIndex = event.change.frameIndex;
  if (connection === undefined) {
    if (row === undefined) return undefined;
    if (row.revokedAtMs !== null) return { ...row, entryIndex };
    return { ...row, entryIndex, revokedAtMs: nowMs, ticketsFromMs: nowMs, cuts: event.cuts };
  }
  return {
    deviceUdf: event.change.uniqueId,
    keyAuthentication: connection.keyAuthentication.raw,
    keySignature: connection.keySignature.raw,
    connectionDigest: connection.digest,
    permissions: connection.permissions,
    connectionSigner: connection.signer.raw,
    entryIndex,
    revokedAtMs: null,
    ticketsFromMs: ticketsFromAfter(row, connection.digest, nowMs),
    cuts: [],
  };
}

/** Tickets of a device outlive its entry being listed or repeated, not a new connection and not a revocation (S33). */
function ticketsFromAfter(row: DeviceRow | undefined, digest: Uint8Array, nowMs: number): number {
  if (row === undefined) return 0;
  const isSame = row.revokedAtMs === null && constantTimeEqual(row.connectionDigest, digest);
  return isSame ? row.ticketsFromMs : nowMs;
}
