/** What several transactions need: who may call, which account is meant, and forms of the rpc. */
import type { Authentication } from '@meshd/binding/request-authenticate';
import { requestEnvelopeOf } from '@meshd/binding/request-open';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import type { DataConstraints, Envelope, Outcome, Principal } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { canonicalAddress } from '@meshd/schema/address';
import type { ConstraintsData, MeshRequestUser } from '@meshd/schema/common';
import { verifyProfile } from '@meshd/schema/profile-check';
import { MeshError, type StatusCode, statusCodes, statusRegistry } from '@meshd/schema/status';
import type { ShardAnswer, ShardCall } from '../shard-router.js';
import type { Described } from '../ticket-desk.js';
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

/** Who calls, whatever the form: a device that is not connected, one that is, a host of a service. */
export type Caller = 'device' | 'connected' | 'host';

const levels = { device: 'device', profile: 'connected', service: 'host' } as const;

/** Who calls; undefined for nobody and for a Mesh key. */
export function callerOf(authentication: Authentication): Caller | undefined {
  switch (authentication.form) {
    case 'device':
    case 'host':
      return authentication.form;
    case 'profile':
      return 'connected';
    case 'ticket':
      return levels[authentication.ticket.content.level];
    default:
      return undefined;
  }
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
  const connected = requireConnected(context.authentication);
  if (message.Account === undefined) throw new MeshError('malformed', 'Account is missing');
  // Under a ticket it usually says what the ticket says, which is canonical.
  const account = message.Account === connected.account ? connected.account : canonicalAddress(message.Account);
  if (connected.account !== undefined && connected.account !== account) {
    throw new MeshError('not-authenticated', 'the ticket is for another account');
  }
  if (message.DeviceProfile !== undefined) await verifyProfile(message.DeviceProfile, 'ProfileDevice');
  const principal = { account, ...connected.principal, moves: context.understands('move') };
  return { call: callOf(account, context), principal };
}

/** Whom the call is for, by which request, until when. */
export function callOf(
  account: string,
  {
    received,
    deadlineMs,
    describePrincipal,
  }: Pick<TransactionContext, 'received' | 'deadlineMs' | 'describePrincipal'>,
): ShardCall {
  const { base, payloadDigest } = received;
  if (base.id === undefined) throw new MeshError('malformed', 'ID is missing');
  const identity = { id: bufferOf(base.id), payloadDigest: bufferOf(payloadDigest) };
  return { account, identity, deadlineMs, describePrincipal };
}

/** Who asked, for the ticket that goes with the answer; undefined where none was asked for. */
export function describedOf(
  { account }: ShardCall,
  { principal }: Pick<ShardAnswer, 'principal'>,
): Described | undefined {
  return principal === undefined ? undefined : { account, principal };
}

/** A connected device, by its connection or by a ticket that such a one got (S33). */
export interface Connected {
  readonly principal: Omit<Principal, 'account' | 'moves'>;
  /** The account that a ticket is for; a connection says of itself where it belongs, and the shard judges that. */
  readonly account: string | undefined;
}

/**
 * The connected device that sent a request.
 *
 * @throws MeshError `policy` for a host, `not-authenticated` for who proves nothing about an account
 */
export function requireConnected(authentication: Authentication): Connected {
  switch (authentication.form) {
    case 'profile': {
      const { key, connectionDigest, connection } = authentication;
      return {
        account: undefined,
        principal: {
          key: bufferOf(key.raw),
          connectionDigest: bufferOf(connectionDigest),
          connection: rpcEnvelope(connection),
        },
      };
    }
    case 'ticket': {
      const { level, account, key, connectionDigest, issuedMs } = authentication.ticket.content;
      if (level === 'service') throw notForHosts();
      if (level === 'device') break;
      return {
        account,
        principal: {
          key: bufferOf(key),
          connectionDigest: bufferOf(connectionDigest),
          connection: undefined,
          ticketIssuedMs: issuedMs,
        },
      };
    }
    case 'host':
      throw notForHosts();
  }
  throw new MeshError('not-authenticated', 'the connection of a device is needed');
}

/** A host is somebody, and has no business here; other forms say nothing about an account. */
const notForHosts = () => new MeshError('policy', 'not for hosts');

/** The whole envelope of a request whose signatures the shard verifies itself (S24). */
export function requestEnvelope({ received }: TransactionContext): Envelope {
  const envelope = requestEnvelopeOf(received);
  if (envelope === undefined) throw new MeshError('not-authenticated');
  return rpcEnvelope(envelope);
}

/** How much a probe may be followed by (semantics 6.6). */
export function constraintsData({ entriesMax, bytesMax }: DataConstraints): ConstraintsData {
  return {
    ...(entriesMax === undefined ? {} : { MaxEntries: entriesMax }),
    ...(bytesMax === undefined ? {} : { BytesMax: bytesMax }),
  };
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
