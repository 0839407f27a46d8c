import { importPublicKey, type PublicKeyEd448 } from '@meshd/crypto/ed448';
import { deviceCatalog } from '@meshd/schema/container-name';
import { maySend, mayWrite } from './permissions.js';
import { type AccountState, type DeviceRow, keyText } from './storage/store.js';

/*
 * Who is entitled to sign what, by the stored state of an account. Keys are compared by their raw octets (S04); imports
 * are cached by the crypto package, so that only the first request of an account pays for them.
 */

/** Whether two raw keys are the same. They are public: the comparison need not take constant time. */
export function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Whether a key stands among others. */
export function hasKey(keys: readonly Uint8Array[], key: Uint8Array): boolean {
  return keys.some((each) => sameKey(each, key));
}

/**
 * The keys that administer the account (S25): online keys of the newest ProfileMesh that belong to no revoked device, and
 * its offline key.
 */
export function adminKeys(state: AccountState): PublicKeyEd448[] {
  const online = state.meshOnlineKeys.filter((raw) => !state.revokedKeys.has(keyText(raw)));
  return [...online, state.meshOfflineKey].map(importPublicKey);
}

/** Online keys of the newest ProfileAccount that belong to no revoked device. */
export function accountOnlineKeys(state: AccountState): PublicKeyEd448[] {
  return state.accountOnlineKeys.filter((raw) => !state.revokedKeys.has(keyText(raw))).map(importPublicKey);
}

/** Whether a device is connected: not revoked, and its connection signed by a key that is still an online one (S24). */
export function isConnected(state: AccountState, device: DeviceRow): boolean {
  return (
    device.revokedAtMs === null &&
    hasKey(state.accountOnlineKeys, device.connectionSigner) &&
    !state.revokedKeys.has(keyText(device.connectionSigner))
  );
}

/**
 * The keys that may sign a manifest for a container (S43): in the device catalog administrators, elsewhere the signature
 * keys of connected devices with permission for the store, and the online keys of the account.
 *
 * @param admitted signature key of a device that is not in the catalog yet (bootstrap).
 */
export function writersOf(state: AccountState, container: string, admitted?: PublicKeyEd448): PublicKeyEd448[] {
  if (container === deviceCatalog) return adminKeys(state);
  return signersOf(state, (permissions) => mayWrite(permissions, container), admitted);
}

/** The keys that may sign a message of a type to others; `admitted` as in {@link writersOf}. */
export function sendersOf(state: AccountState, messageType: string, admitted?: PublicKeyEd448): PublicKeyEd448[] {
  return signersOf(state, (permissions) => maySend(permissions, messageType), admitted);
}

function signersOf(
  state: AccountState,
  mayDo: (permissions: DeviceRow['permissions']) => boolean,
  admitted: PublicKeyEd448 | undefined,
): PublicKeyEd448[] {
  const devices = [...state.devices.values()]
    .filter((device) => isConnected(state, device) && mayDo(device.permissions))
    .map((device) => importPublicKey(device.keySignature));
  return [...devices, ...(admitted === undefined ? [] : [admitted]), ...accountOnlineKeys(state)];
}
