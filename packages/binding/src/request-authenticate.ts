/**
 * Who sent a request (S20–S24, S26, S32): the checks that need no stored state, in the order of encoding 6.6.
 *
 * What is left to the shard: whether the key, the connection and the account belong together *now* (S24 (2)–(5)), and
 * every signature by a key that only the shard knows, the administration proof among them.
 */

import { constantTimeEqual, sha512 } from '@meshd/crypto/digest';
import { type PublicKeyEd448, verifyAsync } from '@meshd/crypto/ed448';
import { CryptoError } from '@meshd/crypto/errors';
import { udfEquals } from '@meshd/crypto/udf';
import { type DareEnvelope, type EnvelopeOctets, isWithin, openEnvelope } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import type { SignatureEntry } from '@meshd/dare/header';
import { decodeTagged } from '@meshd/encoding/codec';
import { EncodingError } from '@meshd/encoding/errors';
import { credentialBytesMax, requestVerificationsMax } from '@meshd/limits/limits';
import { connectionRegistry } from '@meshd/schema/connections';
import type { PublicKey } from '@meshd/schema/keys';
import { publicKeyOf, verifyProfile } from '@meshd/schema/profile-check';
import { MeshError } from '@meshd/schema/status';
import {
  credDigest,
  type RequestProof,
  reqAuth,
  requestAlgorithm,
  requestInput,
  ticketRequestAlgorithm,
} from './credential.js';
import { isRequestId, isTimely } from './request-id.js';
import type { OpenedRequest, ReceivedRequest } from './request-open.js';
import { isMac } from './ticket-derivation.js';
import type { OpenedTicket, TicketOpener } from './ticket-opener.js';

/** Who sent a request, as far as it proves by itself. */
export type Authentication =
  | { readonly form: 'null' }
  | {
      /** A device that is not connected, or not as such. */
      readonly form: 'device';
      readonly key: PublicKeyEd448;
      readonly deviceUdf: string;
    }
  | {
      /** A connected device. */
      readonly form: 'profile';
      readonly key: PublicKeyEd448;
      readonly connection: EnvelopeOctets;
      /** SHA-512 of the connection's payload, 64 octets. */
      readonly connectionDigest: Uint8Array;
    }
  | {
      /** CreateAccount: a key of the Mesh that is in the request. */
      readonly form: 'mesh';
      readonly key: PublicKeyEd448;
      readonly meshUdf: string;
    }
  | {
      /** A host of some service; whether it is that of a domain is judged by who knows the service. */
      readonly form: 'host';
      readonly key: PublicKeyEd448;
      readonly profileHost: EnvelopeOctets;
      readonly connectionHost: EnvelopeOctets;
      /** SHA-512 of the connection's payload, 64 octets. */
      readonly connectionDigest: Uint8Array;
    }
  | {
      /** The bearer of a ticket; what it was issued for says who that is. */
      readonly form: 'ticket';
      readonly ticket: OpenedTicket;
    };

/** The raw key in whose name a request comes: under a ticket the one that signed for it. Undefined for nobody. */
export function keyOfAuthentication(authentication: Authentication): Uint8Array | undefined {
  if (authentication.form === 'null') return undefined;
  return authentication.form === 'ticket' ? authentication.ticket.content.key : authentication.key.raw;
}

/** What {@link checkAddressing} and {@link authenticateRequest} judge by. */
export interface AuthenticateOptions {
  readonly nowMs: number;
  /** Domains served, canonical. */
  readonly domains: ReadonlySet<string>;
  /** `Host` of the HTTP request, port dropped, lower case. */
  readonly host: string;
  /** Opens tickets; where absent none is taken. */
  readonly tickets?: Pick<TicketOpener, 'open'> | undefined;
  /** Every naked message passes as null, not only Hello: for the socket of tests (S28). */
  readonly allowBare?: boolean;
}

const nothing = new Uint8Array(0);

/** ReqAuth over the entries as they stood in the request (S22). */
export function reqAuthOf(entries: readonly SignatureEntry[]): Uint8Array {
  return reqAuth(entries.map(({ kid = '', signature = nothing }): RequestProof => ({ kid, signature })));
}

/**
 * Authenticates a request. A bare Hello passes as null; every other naked message is refused, unless a test allowed it
 * (S28).
 *
 * @throws MeshError `wrong-host`, `malformed`, `not-authenticated`, `signature-invalid`, `ticket`, `clock-skew`,
 * `payload-digest`
 */
export async function authenticateRequest(
  opened: OpenedRequest,
  options: AuthenticateOptions,
): Promise<Authentication> {
  const { received, request } = opened;
  if (!options.domains.has(options.host)) throw new MeshError('wrong-host', 'this host is not served here');
  if (received.naked) {
    if (request.transaction === 'Hello' || options.allowBare === true) return { form: 'null' };
    throw new MeshError('not-authenticated', 'a message without envelope proves nothing');
  }
  checkAddressing(opened, options);
  checkDigest(received);
  const { entries } = received;
  if (entries.length === 0) {
    if (request.transaction === 'Hello') return { form: 'null' };
    throw new MeshError('not-authenticated', 'the request is not signed');
  }
  const ticketed = entries.find(({ alg }) => alg === ticketRequestAlgorithm);
  if (ticketed !== undefined) return authenticateTicket(received, ticketed, options);
  checkEntries(entries);
  const budget = new VerificationBudget();
  const authenticate = request.transaction === 'CreateAccount' ? authenticateMesh : authenticateDevice;
  return authenticate(opened, budget);
}

/** `Service`, `ID` and its time (S20, S27). */
function checkAddressing({ request: { message } }: OpenedRequest, options: AuthenticateOptions): void {
  const { Service: service, ID: id } = message;
  if (service === undefined || service === '') throw new MeshError('malformed', 'Service is missing');
  if (!isRequestId(id)) throw new MeshError('malformed', 'ID is missing or has not 24 octets');
  if (!options.domains.has(service)) throw new MeshError('service-unknown');
  if (service !== options.host) throw new MeshError('wrong-host', 'Service differs from Host');
  if (!isTimely(id, options.nowMs)) throw new MeshError('clock-skew', 'the time in ID is too far from ours');
}

function checkDigest({ payloadDigest, payloadDigestStated }: ReceivedRequest): void {
  if (payloadDigestStated !== undefined && !constantTimeEqual(payloadDigestStated, payloadDigest)) {
    throw new MeshError('payload-digest', 'PayloadDigest is not that of the payload');
  }
}

/** Cheap checks of the entries, before a key is imported: kind of proof, form, size of credentials. */
function checkEntries(entries: readonly SignatureEntry[]): void {
  for (const { alg, kid, signature, Profile, Connection, Account } of entries) {
    if (alg !== requestAlgorithm) throw invalid('a signature of another kind');
    if (kid === undefined || signature === undefined) throw invalid('an entry without kid or signature');
    for (const credential of [Profile, Connection, Account]) {
      if (credential !== undefined && !isWithin(credential, credentialBytesMax)) {
        throw new MeshError('malformed', `a credential holds at most ${credentialBytesMax} octets`);
      }
    }
  }
}

/**
 * Ticket form (S32): one MAC, alone. Everything in it is cheap and done at once, so that the thread pool is left to those
 * who sign. What the bearer may call is for the transaction to say (S33).
 */
function authenticateTicket(
  received: ReceivedRequest,
  entry: SignatureEntry,
  { nowMs, tickets }: AuthenticateOptions,
): Authentication {
  const { kid, signature, Ticket: octets, Profile, Connection, Account } = entry;
  if (received.entries.length !== 1) throw invalid('a ticket stands alone');
  if (Profile !== undefined || Connection !== undefined || Account !== undefined) {
    throw invalid('a ticket brings no credentials');
  }
  if (octets === undefined || kid === undefined || signature === undefined) throw invalid('an entry without ticket');
  const ticket = tickets?.open(octets, nowMs);
  // The client repeats with a signature (semantics 3).
  if (ticket === undefined || ticket.content.service !== received.base.service) throw new MeshError('ticket');
  const input = requestInput(received.base.service, received.payloadDigest, noCredentials);
  if (kid !== ticket.id) throw invalid('the name is that of another ticket');
  if (!isMac(ticket.secrets.clientToServer, input, signature)) throw invalid('the MAC does not hold');
  return { form: 'ticket', ticket };
}

const noCredentials = credDigest({});

/** Ed448 verifications one request may cause: counted before they are made, signatures inside credentials included. */
class VerificationBudget {
  #left = requestVerificationsMax;

  take(count: number): void {
    this.#left -= count;
    if (this.#left < 0) throw new MeshError('malformed', `more than ${requestVerificationsMax} signatures to verify`);
  }
}

/** Device, profile or host form: told apart by the credentials of the entry (encoding 6.4). */
async function authenticateDevice(opened: OpenedRequest, budget: VerificationBudget): Promise<Authentication> {
  const { received, request } = opened;
  const { entries } = received;
  const connected = entries.find((entry) => entry.Connection !== undefined);
  if (connected?.Connection !== undefined) {
    const connection = openCredential(connected.Connection);
    const { tag, value } = decodeCredential(connection);
    if (!('KeyAuthentication' in value)) throw invalid('a connection without KeyAuthentication');
    const key = await verifyEntry(received, connected, keyOf(value.KeyAuthentication), budget);
    if (tag === 'ConnectionHost') return hostForm(connected, key);
    if (tag !== 'ConnectionAccount' && tag !== 'ConnectionDevice')
      throw invalid(`${tag} does not authenticate requests`);
    const payload = connection.payload ?? nothing;
    return { form: 'profile', key, connection: connected.Connection, connectionDigest: sha512(payload) };
  }
  const entry = entries.find(({ Profile }) => Profile !== undefined) ?? (entries[0] as SignatureEntry);
  const member = 'DeviceProfile' in request.message ? request.message.DeviceProfile : undefined;
  const profile = entry.Profile ?? member;
  if (profile === undefined) throw invalid('nothing says whose key this is');
  return deviceForm(received, entry, profile, budget);
}

async function deviceForm(
  received: ReceivedRequest,
  entry: SignatureEntry,
  octets: EnvelopeOctets,
  budget: VerificationBudget,
): Promise<Authentication> {
  const envelope = openCredential(octets);
  budget.take(envelope.signatures.length);
  const { profile, offlineKey } = await refusing(() => verifyProfile(octets, 'ProfileDevice'));
  const key = await verifyEntry(received, entry, keyOf(profile.KeyAuthentication), budget);
  return { form: 'device', key, deviceUdf: offlineKey.udf };
}

function hostForm(entry: SignatureEntry, key: PublicKeyEd448): Authentication {
  if (entry.Profile === undefined || entry.Connection === undefined) throw invalid('a host without its profile');
  const connectionDigest = sha512(entry.Connection.payload ?? nothing);
  return { form: 'host', key, profileHost: entry.Profile, connectionHost: entry.Connection, connectionDigest };
}

/**
 * CreateAccount: a signature key of the enclosed Mesh proves that the profile is the sender's own (semantics 6.2). A Mesh
 * key has no connection: who brings one is a connected device or a host, and is told what these are told (semantics 4.1).
 */
async function authenticateMesh(opened: OpenedRequest, budget: VerificationBudget): Promise<Authentication> {
  const { received, request } = opened;
  if (request.transaction !== 'CreateAccount') throw new TypeError('only CreateAccount has this form');
  if (received.entries[0]?.Connection !== undefined) return authenticateDevice(opened, budget);
  const enclosed = request.message.SignedProfileMesh;
  if (enclosed === undefined) throw new MeshError('malformed', 'SignedProfileMesh is missing');
  const [entry, device] = received.entries as readonly [SignatureEntry, SignatureEntry?];
  budget.take(enclosedSignatures(enclosed) + assertionSignatures(request.message.SignedAssertionAccount));
  // The profile is the object of the request, so its faults are those of a submitted object and not of credentials.
  const { profile, offlineKey } = await verifyProfile(enclosed, 'ProfileMesh');
  // Found by name first: importing every key of a profile that anybody can send would cost milliseconds each (S10).
  const online = profile.KeysOnlineSignature?.find((key) => key.UDF !== undefined && isName(entry.kid, key.UDF));
  const signer = online === undefined || isNamed(entry.kid, offlineKey) ? offlineKey : keyOf(online);
  await verifyEntry(received, entry, signer, budget);
  if (device?.Profile !== undefined) await deviceForm(received, device, device.Profile, budget);
  return { form: 'mesh', key: signer, meshUdf: offlineKey.udf };
}

function enclosedSignatures(octets: EnvelopeOctets): number {
  try {
    return openEnvelope(octets).signatures.length;
  } catch (error) {
    throw new MeshError('malformed', (error as Error).message, { cause: error });
  }
}

/** Signatures that the shard verifies once the Mesh is known; what is no envelope has none, and is refused there. */
function assertionSignatures(octets: EnvelopeOctets | undefined): number {
  try {
    return octets === undefined ? 0 : openEnvelope(octets).signatures.length;
  } catch {
    return 0;
  }
}

/**
 * Verifies one entry under a key that its credentials name.
 *
 * @returns the key
 */
async function verifyEntry(
  received: ReceivedRequest,
  entry: SignatureEntry,
  key: PublicKeyEd448,
  budget: VerificationBudget,
): Promise<PublicKeyEd448> {
  if (!isNamed(entry.kid, key)) throw invalid('signed by another key than the credentials name');
  budget.take(1);
  const credentials = credDigest({
    profile: entry.Profile?.payload ?? undefined,
    connection: entry.Connection?.payload ?? undefined,
    account: entry.Account?.payload ?? undefined,
  });
  const input = requestInput(received.base.service, received.payloadDigest, credentials);
  if (entry.signature === undefined || !(await verifyAsync(key, input, entry.signature))) {
    throw invalid('the signature does not hold');
  }
  return key;
}

const isNamed = (kid: string | undefined, key: PublicKeyEd448): boolean => isName(kid, key.udf);

function isName(kid: string | undefined, udf: string): boolean {
  if (kid === udf) return true;
  try {
    return kid !== undefined && udfEquals(kid, udf);
  } catch {
    return false;
  }
}

function keyOf(member: PublicKey | undefined): PublicKeyEd448 {
  if (member === undefined) throw invalid('the credentials name no KeyAuthentication');
  return refusingNow(() => publicKeyOf(member));
}

function openCredential(octets: EnvelopeOctets): DareEnvelope {
  return refusingNow(() => {
    const envelope = openEnvelope(octets);
    if (envelope.payload === null) throw invalid('a credential without payload');
    return envelope;
  });
}

function decodeCredential(envelope: DareEnvelope) {
  return refusingNow(() =>
    decodeTagged(connectionRegistry, envelope.payload ?? nothing, { form: 'json', refuseRepeated: true }),
  );
}

/** The one answer to all faults of credentials; which of them it was is for the log (S24). */
function invalid(detail: string, cause?: unknown): MeshError {
  return new MeshError('signature-invalid', detail, cause === undefined ? undefined : { cause });
}

function faultOfCredential(error: unknown): unknown {
  if (error instanceof MeshError) return error.status === 401 ? error : invalid(error.detail, error);
  const ours = error instanceof CryptoError || error instanceof DareError || error instanceof EncodingError;
  return ours ? invalid(error.message, error) : error;
}

function refusingNow<T>(judge: () => T): T {
  try {
    return judge();
  } catch (error) {
    throw faultOfCredential(error);
  }
}

async function refusing<T>(judge: () => T | Promise<T>): Promise<T> {
  try {
    return await judge();
  } catch (error) {
    throw faultOfCredential(error);
  }
}
