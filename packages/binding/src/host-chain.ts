/**
 * The chain from a service to one of its hosts (S26): ProfileService → ConnectionHost → ProfileHost → the key that
 * signs responses. Pure but for signature checks; judged at a time that the caller names.
 */
import { sha512 } from '@meshd/crypto/digest';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import type { DareEnvelope, EnvelopeOctets } from '@meshd/dare/envelope';
import { connectionHostMsMax, hostsVerifiedMax, servicesVerifiedMax } from '@meshd/limits/limits';
import type { ConnectionHost } from '@meshd/schema/connections';
import { onlineKeysOf, publicKeyOf, verifyConnection, verifyProfile } from '@meshd/schema/profile-check';
import { LRUCache } from 'lru-cache';
import { BindingError } from './errors.js';

/** Services and hosts whose signatures were checked and need not be again: the same octets give the same result. */
const services = new LRUCache<string, VerifiedService>({ max: servicesVerifiedMax });
/** By the service that vouches for them. */
const hosts = new WeakMap<VerifiedService, LRUCache<string, VerifiedHost>>();

/** A ProfileService whose own signature holds. */
export interface VerifiedService {
  readonly envelope: DareEnvelope;
  /** Key that is pinned: `KeyOfflineSignature`. */
  readonly offlineKey: PublicKeyEd448;
  /** Keys that may sign a ConnectionHost. */
  readonly signers: readonly PublicKeyEd448[];
  readonly udf: string;
  readonly updatedMs: number | undefined;
}

/** A host that belongs to a service, for some domains and some time. */
export interface VerifiedHost {
  /** Signs responses: `ProfileHost.KeyAuthentication`. */
  readonly key: PublicKeyEd448;
  /** UDF of the ProfileHost. */
  readonly udf: string;
  readonly domains: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * Verifies a ProfileService by itself. Whether it is *the* service is for the pin to say.
 *
 * @throws BindingError `host-refused`
 */
export async function verifyService(octets: EnvelopeOctets): Promise<VerifiedService> {
  const name = octetsDigest([octets]);
  const known = services.get(name);
  if (known !== undefined) return known;
  const service = await serviceOf(octets);
  services.set(name, service);
  return service;
}

async function serviceOf(octets: EnvelopeOctets): Promise<VerifiedService> {
  const verified = await refuseAs('the ProfileService', () => verifyProfile(octets, 'ProfileService'));
  const online = await refuseAs('a key of the ProfileService', () => onlineKeysOf(verified.profile));
  return {
    envelope: verified.envelope,
    offlineKey: verified.offlineKey,
    signers: [...online, verified.offlineKey],
    udf: verified.offlineKey.udf,
    updatedMs: verified.profile.Updated?.getTime(),
  };
}

/**
 * Verifies that a host speaks for a service (S26).
 *
 * @param domain the domain that must be among those of the connection; undefined where any of them will do
 * @param nowMs time at which the connection is judged: now for a response, the stated time for a stored object;
 * undefined to leave its term unjudged
 * @throws BindingError `host-refused`
 */
export async function verifyHost(
  service: VerifiedService,
  profileHost: EnvelopeOctets,
  connectionHost: EnvelopeOctets,
  domain: string | undefined,
  nowMs: number | undefined,
): Promise<VerifiedHost> {
  const known = hosts.get(service) ?? new LRUCache<string, VerifiedHost>({ max: hostsVerifiedMax });
  hosts.set(service, known);
  const name = chainDigest(profileHost, connectionHost);
  const host = known.get(name) ?? (await chainOf(service, profileHost, connectionHost));
  known.set(name, host);
  // Neither is a matter of signatures, and both are of the caller and his time.
  if (domain !== undefined && !host.domains.includes(domain)) refuse(`does not name ${domain}`);
  const isInForce = nowMs === undefined || (nowMs >= host.notBeforeMs && nowMs < host.notAfterMs);
  if (!isInForce) refuse('is not in force at this time');
  return host;
}

const refuse = (why: string): never => {
  throw new BindingError('host-refused', `the ConnectionHost ${why}`);
};

/** All of the chain that the octets alone decide. */
async function chainOf(
  service: VerifiedService,
  profileHost: EnvelopeOctets,
  connectionHost: EnvelopeOctets,
): Promise<VerifiedHost> {
  const host = await verifyProfileHost(profileHost);
  const connection = await connectionOf(service, connectionHost);
  if (connection.SubjectUDF !== host.udf) refuse('is that of another host');
  if (connection.AuthorityUDF !== service.udf) refuse('is that of another service');
  const domains = connection.ServiceID ?? [];
  // Raw keys, not names, decide whether both speak of one key (S04).
  const named = await refuseAs('the key of the ConnectionHost', () => publicKeyOf(connection.KeyAuthentication ?? {}));
  if (!named.equals(host.key)) refuse('names another key than the ProfileHost');
  const notBeforeMs = connection.NotBefore?.getTime();
  const notAfterMs = connection.NotAfter?.getTime();
  if (notBeforeMs === undefined || notAfterMs === undefined) return refuse('has no term');
  if (notAfterMs - notBeforeMs > connectionHostMsMax) refuse('has a longer term than is allowed');
  return { key: host.key, udf: host.udf, domains, notBeforeMs, notAfterMs };
}

/**
 * Verifies a ProfileHost by itself: all there is where a service does not bind its hosts.
 *
 * @throws BindingError `host-refused`
 */
export async function verifyProfileHost(octets: EnvelopeOctets): Promise<{ key: PublicKeyEd448; udf: string }> {
  const { profile, offlineKey } = await refuseAs('the ProfileHost', () => verifyProfile(octets, 'ProfileHost'));
  if (!profile.KeyAuthentication) throw new BindingError('host-refused', 'the ProfileHost has no KeyAuthentication');
  return {
    key: await refuseAs('the host key', () => publicKeyOf(profile.KeyAuthentication ?? {})),
    udf: offlineKey.udf,
  };
}

async function connectionOf(service: VerifiedService, octets: EnvelopeOctets): Promise<ConnectionHost> {
  const verified = await refuseAs('the ConnectionHost', () =>
    verifyConnection(octets, 'ConnectionHost', service.signers),
  );
  return verified.connection;
}

async function refuseAs<T>(what: string, judge: () => T | Promise<T>): Promise<T> {
  try {
    return await judge();
  } catch (error) {
    if (error instanceof BindingError) throw error;
    throw new BindingError('host-refused', `${what} does not hold: ${(error as Error).message}`, { cause: error });
  }
}

/** Names a host's credentials by what they say, so that a chain is verified once and not with every response. */
export function chainDigest(profileHost: EnvelopeOctets, connectionHost: EnvelopeOctets): string {
  return octetsDigest([profileHost, connectionHost]);
}

function octetsDigest(envelopes: readonly EnvelopeOctets[]): string {
  const empty = new Uint8Array(0);
  // The signature stands in the trailer: a copy of the payload under a false one must not be taken for verified.
  const parts = envelopes.flatMap((e) => [e.header, e.payload ?? empty, e.trailer ?? empty]);
  return Buffer.from(sha512(...parts.map((part) => sha512(part)))).toString('latin1');
}
