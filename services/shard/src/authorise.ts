import { constantTimeEqual, sha512 } from '@meshd/crypto/digest';
import { importPublicKey, type PublicKeyEd448, signingKeyFromSeed, verifyAsync } from '@meshd/crypto/ed448';
import { udfEquals } from '@meshd/crypto/udf';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import { verifyEnvelope } from '@meshd/dare/verify';
import { MeshError } from '@meshd/schema/status';
import { accountOnlineKeys, isConnected, sameKey } from './account-keys.js';
import type { AccountState, DevicePermission, DeviceRow } from './storage/store.js';
import { type DeviceConnection, isBadInput, verifyDeviceConnection } from './upload/device-entry.js';

/*
 * What the shard decides about every request of a connected device (S24 (2)–(5), S25). The router has verified the
 * request's signature and that the connection names its key; whether that connection counts, only the stored account
 * says. A device that is in the catalog costs no signature check.
 */

/** Who asks, as the router authenticated it. */
export interface Principal {
  /** Canonical address. */
  readonly account: string;
  /** Raw key that signed the request. */
  readonly key: Uint8Array;
  /** SHA-512 of the payload of the presented connection. */
  readonly connectionDigest: Uint8Array;
  /** The presented ConnectionAccount; undefined where the router sent none. */
  readonly connection: EnvelopeOctets | undefined;
  /** Unix time in milliseconds at which the ticket was issued; undefined where the request was signed. */
  readonly ticketIssuedMs?: number | undefined;
  /** It carries the account from one service to another, and says so (`move`). */
  readonly moves?: boolean | undefined;
}

/** A request that may act for an account. */
export interface Caller {
  readonly state: AccountState;
  readonly principal: Principal;
  readonly permissions: readonly DevicePermission[];
  /** The device's row; undefined for one that the catalog does not hold. */
  readonly device: DeviceRow | undefined;
  /**
   * `catalog`: the device is listed. `bootstrap`: the account has never listed one. `recovery`: devices are listed, this
   * one is not; it may do nothing but read, and list itself, with the Mesh's offline key (S25).
   */
  readonly by: 'catalog' | 'bootstrap' | 'recovery';
  /** Signature key of a device that is not listed. */
  readonly keySignature: PublicKeyEd448 | undefined;
  /** With `recovery`: what the device is told unless it proves the offline key. */
  readonly refusal?: MeshError;
}

/** What {@link authorise} is asked for. */
export interface AuthoriseOptions {
  /**
   * Whether the transaction can be a recovery. `list`: an upload to the device catalog alone, which proves the offline key by
   * its manifest. `read`: what a device reads before it can make that; its connection bears a signature of the offline key.
   */
  readonly recovery?: 'list' | 'read';
  /**
   * What may be done with an account that is at another service. `copy`: what carrying it there and back takes, for a device
   * that says it does that, while the account stands by. `entry`: a device learns where it is.
   */
  readonly away?: 'copy' | 'entry';
  /**
   * Whether a device may ask under a connection of its own that a newer one has superseded. It gets what the newer one permits,
   * and no ticket: for requests alone that bring it the newer one.
   */
  readonly superseded?: boolean;
}

/**
 * Decides whether a principal may act for an account.
 *
 * Unknown account, unknown device, foreign or superseded connection give one answer after the same work: each path
 * that refuses verifies one signature, against a key of nobody where there is none to verify under. So neither the
 * answer nor its time tells who has an account here.
 *
 * @param state undefined for an address without an account.
 * @throws MeshError `not-authenticated` (401), or `device-revoked` (401/4) to the holder of a revoked device's key;
 *   `account-pending` (403/6) and `account-blocked` (403/7) to a device of such an account; `ticket` (401/8) to the bearer of a ticket which no
 *   longer holds, or which is not enough: the client signs instead, and is told what is wrong then; `account-moved` (303/25), with
 *   the address, to a device of an account that is at another service.
 */
export async function authorise(
  principal: Principal,
  state: AccountState | undefined,
  options: AuthoriseOptions = {},
): Promise<Caller> {
  const caller = await identify(principal, state, options);
  // Only to its own devices: nobody else learns that there is such an account.
  if (caller.state.status === 'pending') throw new MeshError('account-pending');
  if (caller.state.status === 'blocked') throw new MeshError('account-blocked');
  requireHere(caller, options);
  return caller;
}

function requireHere({ state, principal }: Caller, { away }: AuthoriseOptions): void {
  if (state.away === null || away === 'entry') return;
  if (away === 'copy' && principal.moves === true && state.status !== 'moved') return;
  throw new MeshError('account-moved', state.away.to);
}

async function identify(
  principal: Principal,
  state: AccountState | undefined,
  options: AuthoriseOptions,
): Promise<Caller> {
  if (state === undefined || state.address !== principal.account) return refuse(principal);
  const device = listedDevice(state, principal.key);
  if (device !== undefined && isCurrent(state, device, principal)) {
    return { state, principal, permissions: device.permissions, device, by: 'catalog', keySignature: undefined };
  }
  if (principal.ticketIssuedMs !== undefined) throw ticketRefusal(device);
  if (device !== undefined && (await isSuperseded(principal, state, device, options))) {
    return { state, principal, permissions: device.permissions, device, by: 'catalog', keySignature: undefined };
  }
  const copies = mayCopy(principal, state, device, options);
  if (state.deviceCatalogBegun && !copies && !(await mayRecover(principal, state, device, options))) {
    return refuse(principal, device);
  }
  const connection = await verifiedConnection(principal, state);
  if (connection === undefined) return refuse(principal, device);
  return {
    state,
    principal,
    permissions: connection.permissions,
    device: undefined,
    by: state.deviceCatalogBegun && !copies ? 'recovery' : 'bootstrap',
    keySignature: connection.keySignature,
    refusal: refusalOf(device),
  };
}

/** The row whose authentication key signed the request; of several, one that is not revoked. */
function listedDevice(state: AccountState, key: Uint8Array): DeviceRow | undefined {
  const rows = [...state.devices.values()].filter((row) => sameKey(row.keyAuthentication, key));
  return rows.find((row) => row.revokedAtMs === null) ?? rows[0];
}

/** S24 (2)–(4): the very connection of the current entry, signed by a key that is still current, of a device in use. */
function isCurrent(state: AccountState, device: DeviceRow, principal: Principal): boolean {
  if (!isConnected(state, device) || !constantTimeEqual(device.connectionDigest, principal.connectionDigest))
    return false;
  const { ticketIssuedMs = Number.POSITIVE_INFINITY } = principal;
  return ticketIssuedMs >= state.ticketsFromMs && ticketIssuedMs >= device.ticketsFromMs;
}

/**
 * Whether a device may carry the account that stands by, by its connection alone: the catalog here may be older than that. One that
 * was shut out while the account was here is out.
 */
function mayCopy(
  { moves }: Principal,
  { away, status }: AccountState,
  device: DeviceRow | undefined,
  options: AuthoriseOptions,
): boolean {
  const isIn = device === undefined || device.revokedAtMs === null;
  return isIn && options.away === 'copy' && moves === true && away !== null && status !== 'moved';
}

/**
 * The device is in use, and this was its connection once: it may learn of the newer one (semantics 6.4). Where the account stands
 * by, the entry may be the older one; so it tells nothing there but to who asks for the entry itself.
 */
async function isSuperseded(
  principal: Principal,
  state: AccountState,
  device: DeviceRow,
  { superseded, away }: AuthoriseOptions,
): Promise<boolean> {
  if (superseded !== true || (state.away !== null && away !== 'entry') || !isConnected(state, device)) return false;
  return (await verifiedConnection(principal, state)) !== undefined;
}

/**
 * Whether a device that is not listed may try. To read, it must never have been listed: a connection outlives its revocation,
 * and the signature of the offline key on it would.
 */
async function mayRecover(
  { connection }: Principal,
  state: AccountState,
  device: DeviceRow | undefined,
  { recovery }: AuthoriseOptions,
): Promise<boolean> {
  if (recovery !== 'read') return recovery === 'list';
  if (device !== undefined || connection === undefined) return false;
  try {
    // By its name first: who does not know this Mesh causes no work that others do not (S24).
    const offlineKey = importPublicKey(state.meshOfflineKey);
    const isOffline = (kid = '') => udfEquals(kid, offlineKey.udf);
    const opened = openEnvelope(connection);
    if (!opened.signatures.some(({ kid }) => isOffline(kid))) return false;
    return (await verifyEnvelope(opened, (kid) => (isOffline(kid) ? offlineKey : undefined))).signers.length > 0;
  } catch (error) {
    if (isBadInput(error) || error instanceof DareError) return false;
    throw error;
  }
}

/** The presented connection, judged by its own signature: bootstrap and recovery have no entry to compare it with. */
async function verifiedConnection(principal: Principal, state: AccountState): Promise<DeviceConnection | undefined> {
  if (principal.connection === undefined) return undefined;
  try {
    const authority = { address: state.address, accountUdf: state.accountUdf, accountKeys: accountOnlineKeys(state) };
    const connection = await verifyDeviceConnection(principal.connection, authority);
    const named = sameKey(connection.keyAuthentication.raw, principal.key);
    return named && constantTimeEqual(connection.digest, principal.connectionDigest) ? connection : undefined;
  } catch (error) {
    if (isBadInput(error)) return undefined;
    throw error;
  }
}

async function refuse(principal: Principal, device?: DeviceRow): Promise<never> {
  await verifyForNobody(principal);
  throw refusalOf(device);
}

/** A ticket was sealed by us, so its bearer was known once: what it is told need not be as for strangers (S33). */
function ticketRefusal(device: DeviceRow | undefined): MeshError {
  return new MeshError(device !== undefined && device.revokedAtMs !== null ? 'device-revoked' : 'ticket');
}

function refusalOf(device: DeviceRow | undefined): MeshError {
  return new MeshError(device === undefined || device.revokedAtMs === null ? 'not-authenticated' : 'device-revoked');
}

/** A key that signs nothing; the signature below is one of its own, so that its verification runs to the end. */
const nobody = signingKeyFromSeed(sha512(new TextEncoder().encode('meshd nobody')).subarray(0, 57));
const nobodySignature = nobody.sign(new Uint8Array(64));

/** One Ed448 verification, as much as a bootstrap costs. */
async function verifyForNobody(principal: Principal): Promise<void> {
  await verifyAsync(nobody.publicKey, principal.connectionDigest, nobodySignature);
}
