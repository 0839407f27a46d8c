/** Keys, profiles and hosts for the tests of this package. Nothing else imports this. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged, type ObjectTable } from '@meshd/encoding/codec';
import { ConnectionAccount } from '@meshd/schema/connections';
import type { PublicKey } from '@meshd/schema/keys';
import { ProfileDevice, ProfileMesh } from '@meshd/schema/profiles';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { type HostIdentity, type HostRole, initService, issueHost, loadHostIdentity } from './host-files.js';
import type { BodyForm } from './media-type.js';
import { type AuthenticateOptions, authenticateRequest } from './request-authenticate.js';
import { decodeRequest, receiveRequest } from './request-open.js';
import { type RequestSigner, signRequest, type TicketSigner } from './request-sign.js';

export const nowMs = Date.UTC(2026, 0, 15, 12);
export const domain = 'example.com';
export const newKey = (): SigningKey => signingKeyFromSeed(generateSeed());

export function keyMember(key: SigningKey): PublicKey {
  const { udf, raw } = key.publicKey;
  return { UDF: udf, PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } } };
}

export function stored<T>(table: ObjectTable<T>, body: T, ...keys: SigningKey[]): EnvelopeOctets {
  return signEnvelope({ payload: encodeTagged(table, body, 'json'), keys });
}

export interface Device {
  readonly offline: SigningKey;
  readonly authentication: SigningKey;
  readonly signature: SigningKey;
  readonly profile: EnvelopeOctets;
  readonly connection: EnvelopeOctets;
}

export function makeDevice(accountKey: SigningKey = newKey()): Device {
  const [offline, authentication, signature] = [newKey(), newKey(), newKey()];
  const keys = { KeySignature: keyMember(signature), KeyAuthentication: keyMember(authentication) };
  return {
    offline,
    authentication,
    signature,
    profile: stored(
      ProfileDevice,
      { KeyOfflineSignature: keyMember(offline), KeyAuthentication: keyMember(authentication) },
      offline,
    ),
    connection: stored(ConnectionAccount, { ServiceID: ['alice@example.com'], ...keys }, accountKey),
  };
}

export interface Mesh {
  readonly offline: SigningKey;
  readonly online: SigningKey;
  readonly profile: EnvelopeOctets;
}

export function makeMesh(): Mesh {
  const [offline, online] = [newKey(), newKey()];
  const body = { KeyOfflineSignature: keyMember(offline), KeysOnlineSignature: [keyMember(online)] };
  return { offline, online, profile: stored(ProfileMesh, body, offline) };
}

/** A provider's files in a folder of their own, removed by `remove`. */
export async function makeHost(options: { domains?: string[]; atMs?: number; role?: HostRole } = {}): Promise<{
  readonly identity: HostIdentity;
  readonly directory: string;
  remove(): Promise<void>;
}> {
  const directory = await mkdtemp(join(tmpdir(), 'meshd-binding-'));
  const atMs = options.atMs ?? nowMs;
  const role = options.role ?? 'router';
  await initService(directory, { nowMs: atMs });
  await issueHost(directory, role, { domains: options.domains ?? [domain], nowMs: atMs });
  const identity = await loadHostIdentity(join(directory, role));
  return { identity, directory, remove: () => rm(directory, { recursive: true }) };
}

export interface BuildOptions {
  readonly service?: string;
  readonly atMs?: number;
  readonly id?: Uint8Array;
  readonly form?: BodyForm;
  readonly ticket?: TicketSigner;
}

/** A signed request as body and as what its sender keeps. */
export function build<T extends Transaction>(
  transaction: T,
  message: RequestOf<T>,
  signers: readonly RequestSigner[],
  { service = domain, atMs = nowMs, id, form, ticket }: BuildOptions = {},
) {
  const base = { transaction, message, signers, service, form, ticket, nowMs: atMs, random: systemRandom };
  return signRequest(id === undefined ? base : { ...base, id });
}

/** Takes a body through all checks of the service's half. */
export async function authenticate(
  body: Uint8Array,
  options: Partial<AuthenticateOptions> = {},
  form: BodyForm = 'json',
) {
  const opened = decodeRequest(receiveRequest(body, form));
  return authenticateRequest(opened, { nowMs, domains: new Set([domain, 'b.example']), host: domain, ...options });
}

/** Changes the JSON text of a body, `from` to `to`, once. */
export function edited(body: Uint8Array, from: string, to: string): Uint8Array {
  const text = Buffer.from(body).toString('utf8');
  if (!text.includes(from)) throw new Error(`nothing to change: ${from}`);
  return Buffer.from(text.replace(from, to));
}

/** An envelope of a request around any payload text, signed as it should be. */
export function enveloped(payloadText: string, trailer = '{}'): Uint8Array {
  return Buffer.from(`[{"dig":"S512"},"${Buffer.from(payloadText).toString('base64url')}",${trailer}]`);
}
