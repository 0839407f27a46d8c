/**
 * The files by which a provider's processes are hosts of its service (S26), made by `mesh-admin service` and read by
 * everything that signs.
 *
 * `service/` holds the key of the ProfileService, which no serving process reads, and one folder a role. A role's
 * folder holds all that a process of that role needs, so that it can be mounted alone.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { keyFileOfSeed, readKeyFile, writeKeyFile } from '@meshd/crypto/key-file';
import { type Random, systemRandom } from '@meshd/crypto/random';
import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged, type ObjectTable } from '@meshd/encoding/codec';
import { connectionHostMsMax } from '@meshd/limits/limits';
import { canonicalDomain } from '@meshd/schema/address';
import { ConnectionHost } from '@meshd/schema/connections';
import type { PublicKey } from '@meshd/schema/keys';
import { ProfileHost, ProfileService } from '@meshd/schema/profiles';
import { BindingError } from './errors.js';
import { verifyHost, verifyProfileHost, verifyService } from './host-chain.js';

/** Roles of processes that sign. */
export const hostRoles = ['router', 'shard', 'outbound'] as const;
/** One of {@link hostRoles}. */
export type HostRole = (typeof hostRoles)[number];

/** Names of the files. */
export const hostFileNames = {
  serviceKey: 'service-key.json',
  profileService: 'profile-service.dare',
  hostKey: 'host-key.json',
  profileHost: 'profile-host.dare',
  connectionHost: 'connection-host.dare',
} as const;

/** A ConnectionHost begins a little before it is made: clocks of clients are not ours. */
const backdatedMs = 300_000;
const privateMode = 0o600;
const publicMode = 0o644;

/** What a process signs with, checked. */
export interface HostIdentity {
  readonly signingKey: SigningKey;
  /** UDF of the ProfileHost. */
  readonly udf: string;
  readonly serviceUdf: string;
  readonly domains: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly profileService: EnvelopeOctets;
  readonly profileHost: EnvelopeOctets;
  readonly connectionHost: EnvelopeOctets;
}

/** Where time and chance come from. */
export interface MakingOptions {
  readonly nowMs: number;
  readonly random?: Random;
}

/**
 * Makes the service's key and profile, where they are missing. What is there stays: a second key would be a second
 * service, and every client would refuse it.
 *
 * @param directory the folder `service` of the provider's data
 * @throws BindingError `host-files` when only one of the two files is there
 */
export async function initService(
  directory: string,
  options: MakingOptions,
): Promise<{ readonly udf: string; readonly made: boolean }> {
  const random = options.random ?? systemRandom;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const keyPath = join(directory, hostFileNames.serviceKey);
  const profilePath = join(directory, hostFileNames.profileService);
  const [key, profile] = await Promise.all([readIfThere(keyPath), readIfThere(profilePath)]);
  if (key !== undefined && profile !== undefined) {
    const service = await verifyService(readEnvelope(profile));
    if (service.offlineKey.udf !== readKeyFile(key).udf)
      throw broken(directory, 'key and profile do not belong together');
    return { udf: service.udf, made: false };
  }
  if (profile !== undefined) throw broken(directory, `${hostFileNames.serviceKey} is missing`);
  const file = key === undefined ? keyFileOfSeed('Ed448', generateSeed(random)) : readKeyFile(key);
  if (key === undefined) await writeSafely(keyPath, writeKeyFile(file), privateMode);
  const signer = signingKeyFromSeed(file.seed);
  const body = { Updated: new Date(options.nowMs), KeyOfflineSignature: publicKeyMember(signer) };
  await writeSafely(profilePath, signed(ProfileService, body, signer), publicMode);
  return { udf: signer.publicKey.udf, made: true };
}

/** What {@link issueHost} needs. */
export interface IssueOptions extends MakingOptions {
  /** Domains that the host answers for. */
  readonly domains: readonly string[];
  /** Life of the connection, milliseconds; at most the 7 days of S26, which is the default. */
  readonly lifeMs?: number;
}

/**
 * Makes the host of a role where it is missing, and a fresh ConnectionHost for it in any case.
 *
 * @param directory the folder `service`, with the service's key in it
 * @throws BindingError `host-files` when the service's key is missing
 */
export async function issueHost(
  directory: string,
  role: HostRole,
  options: IssueOptions,
): Promise<{ readonly udf: string; readonly notAfterMs: number }> {
  const serviceKeyOctets = await readIfThere(join(directory, hostFileNames.serviceKey));
  const profileService = await readIfThere(join(directory, hostFileNames.profileService));
  if (serviceKeyOctets === undefined || profileService === undefined)
    throw broken(directory, 'no service was made here');
  const service = signingKeyFromSeed(readKeyFile(serviceKeyOctets).seed);
  const roleDirectory = join(directory, role);
  await mkdir(roleDirectory, { recursive: true, mode: 0o700 });
  const host = await hostOfRole(roleDirectory, options);
  const lifeMs = Math.min(options.lifeMs ?? connectionHostMsMax, connectionHostMsMax) - backdatedMs;
  const notAfterMs = options.nowMs + lifeMs;
  const body = {
    Updated: new Date(options.nowMs),
    SubjectUDF: host.udf,
    AuthorityUDF: service.publicKey.udf,
    ServiceID: options.domains.map((domain) => canonicalDomain(domain)),
    KeyAuthentication: publicKeyMember(host.authentication),
    NotBefore: new Date(options.nowMs - backdatedMs),
    NotAfter: new Date(notAfterMs),
  };
  await writeSafely(join(roleDirectory, hostFileNames.profileService), profileService, publicMode);
  // Last, so that a process that watches it finds the others in place.
  await writeSafely(
    join(roleDirectory, hostFileNames.connectionHost),
    signed(ConnectionHost, body, service),
    publicMode,
  );
  return { udf: host.udf, notAfterMs };
}

/**
 * The host of a role: its key of every day on file; the offline key of its profile is thrown away once it has signed,
 * since a host that is to change gets a new profile.
 */
async function hostOfRole(
  directory: string,
  options: MakingOptions,
): Promise<{ readonly udf: string; readonly authentication: SigningKey }> {
  const keyPath = join(directory, hostFileNames.hostKey);
  const profilePath = join(directory, hostFileNames.profileHost);
  const [key, profile] = await Promise.all([readIfThere(keyPath), readIfThere(profilePath)]);
  if (key !== undefined && profile !== undefined) {
    const host = await verifyProfileHost(readEnvelope(profile));
    const authentication = signingKeyFromSeed(readKeyFile(key).seed);
    if (!authentication.publicKey.equals(host.key)) throw broken(directory, 'key and profile do not belong together');
    return { udf: host.udf, authentication };
  }
  const random = options.random ?? systemRandom;
  const offline = signingKeyFromSeed(generateSeed(random));
  const seed = generateSeed(random);
  const authentication = signingKeyFromSeed(seed);
  const body = {
    Updated: new Date(options.nowMs),
    KeyOfflineSignature: publicKeyMember(offline),
    KeyAuthentication: publicKeyMember(authentication),
  };
  await writeSafely(keyPath, writeKeyFile(keyFileOfSeed('Ed448', seed)), privateMode);
  await writeSafely(profilePath, signed(ProfileHost, body, offline), publicMode);
  return { udf: offline.publicKey.udf, authentication };
}

/**
 * Reads and checks the files of a role.
 *
 * Whether the connection is still good is judged by whoever uses it (readiness): an expired one loads.
 *
 * @throws BindingError `host-files` when a file is missing or says something else than the others
 */
export async function loadHostIdentity(directory: string): Promise<HostIdentity> {
  const read = async (name: string) => {
    const octets = await readIfThere(join(directory, name));
    if (octets === undefined) throw broken(directory, `${name} is missing`);
    return octets;
  };
  try {
    const signingKey = signingKeyFromSeed(readKeyFile(await read(hostFileNames.hostKey)).seed);
    const profileService = readEnvelope(await read(hostFileNames.profileService));
    const profileHost = readEnvelope(await read(hostFileNames.profileHost));
    const connectionHost = readEnvelope(await read(hostFileNames.connectionHost));
    const service = await verifyService(profileService);
    const host = await verifyHost(service, profileHost, connectionHost, undefined, undefined);
    if (!signingKey.publicKey.equals(host.key)) throw broken(directory, 'the key is not that of the profile');
    const { udf, domains, notBeforeMs, notAfterMs } = host;
    const serviceUdf = service.udf;
    return {
      signingKey,
      udf,
      serviceUdf,
      domains,
      notBeforeMs,
      notAfterMs,
      profileService,
      profileHost,
      connectionHost,
    };
  } catch (error) {
    if (error instanceof BindingError && error.code === 'host-files') throw error;
    throw broken(directory, (error as Error).message, error);
  }
}

function broken(directory: string, why: string, cause?: unknown): BindingError {
  return new BindingError('host-files', `host files in ${directory}: ${why}`, { cause });
}

/** A key as profiles name it. */
function publicKeyMember(key: SigningKey): PublicKey {
  const { udf, raw } = key.publicKey;
  return { UDF: udf, PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } } };
}

/** A stored object, signed, as the octets of its file. */
function signed<T>(table: ObjectTable<T>, body: T, key: SigningKey): Uint8Array {
  const payload = encodeTagged(table, body, 'json');
  return writeEnvelope(signEnvelope({ payload, contentType: 'application/mmm', keys: [key] }));
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes beside and renames: a reader sees the old file or the new one, never half of one, also after a power cut. */
async function writeSafely(path: string, octets: Uint8Array, mode: number): Promise<void> {
  const beside = `${path}.${process.pid}.new`;
  await rm(beside, { force: true });
  const file = await open(beside, 'wx', mode);
  try {
    await file.writeFile(octets);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
}
