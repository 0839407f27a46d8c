/** What several transactions need: who may call, which account is meant, and forms of the rpc. */
import type { Authentication } from '@meshd/binding/request-authenticate';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import type { Envelope, Outcome, Principal } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { canonicalAddress } from '@meshd/schema/address';
import type { MeshRequestUser } from '@meshd/schema/common';
import { verifyProfile } from '@meshd/schema/profile-check';
import { MeshError, type StatusCode, statusCodes, statusRegistry } from '@meshd/schema/status';
import type { ShardCall } from '../shard-router.js';
import type { TransactionContext } from '../transaction.js';

/** Octets as the rpc wants them, without a copy. */
export function bufferOf(octets: Uint8Array): Buffer {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}

/** An envelope as the rpc carries it: received octets, nothing decoded. */
export function rpcEnvelope({ header, payload, trailer }: EnvelopeOctets): Envelope {
  return {
    header: bufferOf(header),
    payload: payload === null ? undefined : bufferOf(payload),
    trailer: trailer === null ? undefined : bufferOf(trailer),
  };
}

/** An envelope that came over the rpc. */
export function envelopeOfRpc({ header, payload, trailer }: Envelope): EnvelopeOctets {
  return { header, payload: payload ?? null, trailer: trailer ?? null };
}

/** A request of a user, checked as far as the router can. */
export interface UserCall {
  readonly principal: Principal;
  readonly call: ShardCall;
}

/**
 * Checks a request of a connected device (semantics 4.1): form of authentication, `Account`, `DeviceProfile`.
 *
 * Whether the account exists and the device is one of it, the shard says, and answers both in the same way.
 *
 * @throws MeshError `not-authenticated`, `policy`, `malformed`, `object-signature`
 */
export async function userCall(message: MeshRequestUser, context: TransactionContext): Promise<UserCall> {
  const connected = requireProfileForm(context.authentication);
  if (message.Account === undefined) throw new MeshError('malformed', 'Account is missing');
  const account = canonicalAddress(message.Account);
  if (message.DeviceProfile !== undefined) await verifyProfile(message.DeviceProfile, 'ProfileDevice');
  return {
    call: callOf(account, context),
    principal: {
      account,
      key: bufferOf(connected.key.raw),
      connectionDigest: bufferOf(connected.connectionDigest),
      connection: rpcEnvelope(connected.connection),
    },
  };
}

/** Whom the call is for, by which request, until when. */
export function callOf(account: string, { received, deadlineMs }: TransactionContext): ShardCall {
  const { base, payloadDigest } = received;
  if (base.id === undefined) throw new MeshError('malformed', 'ID is missing');
  const identity = { id: bufferOf(base.id), payloadDigest: bufferOf(payloadDigest) };
  return { account, identity, deadlineMs };
}

function requireProfileForm(authentication: Authentication): Extract<Authentication, { form: 'profile' }> {
  if (authentication.form === 'profile') return authentication;
  // A host is somebody, and has no business here; the other forms say nothing about an account.
  if (authentication.form === 'host') throw new MeshError('policy', 'not for hosts');
  throw new MeshError('not-authenticated', 'the connection of a device is needed');
}

/** The whole envelope of a request whose signatures the shard verifies itself (S24). */
export function requestEnvelope({ received }: TransactionContext): Envelope {
  if (received.envelope === undefined) throw new MeshError('not-authenticated');
  return rpcEnvelope(received.envelope);
}

/** Name of a success by the status that the shard gave. */
export function successCode({ status }: Outcome): StatusCode {
  return statusCodes.find((code) => statusRegistry[code].status === status) ?? 'success';
}

/**
 * Refuses members that belong to features not built yet (schema 13).
 *
 * @throws MeshError `not-implemented`, which names the member
 */
export function refuseMembers(members: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(members)) {
    const isThere = Array.isArray(value) ? value.length > 0 : value !== undefined;
    if (isThere) throw new MeshError('not-implemented', name);
  }
}
