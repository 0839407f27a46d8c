/** Which keys a profile brings, and for what each counts. Pure: a payload in, keys out. */
import { type Curve, curveOfName } from '@meshd/crypto/curves';
import { importPublicKey } from '@meshd/crypto/ed448';
import { udfOfKey } from '@meshd/crypto/key-udf';
import { udfEquals } from '@meshd/crypto/udf';
import { decodeBase64Url } from '@meshd/encoding/base64url';
import { EncodingError } from '@meshd/encoding/errors';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject, JsonValue } from '@meshd/encoding/json-value';

/** A public key that may have signed. */
export interface CandidateKey {
  readonly curve: Curve;
  readonly raw: Uint8Array;
  readonly udf: string;
}

/** What a payload says of keys, if it is a profile. */
export interface ProfileKeys {
  /** The profile's tag; undefined for payloads that are no profile. */
  readonly tag: string | undefined;
  /** `KeyOfflineSignature`: the one key that a profile vouches for itself with (encoding 2.5). */
  readonly offline: readonly CandidateKey[];
  /** `KeysOnlineSignature`: they sign what stands beside the profile, never the profile. */
  readonly online: readonly CandidateKey[];
  /** Member whose key bears the name of another key (encoding 1.6); undefined where all names are true. */
  readonly misnamed: string | undefined;
}

const none: ProfileKeys = { tag: undefined, offline: [], online: [], misnamed: undefined };

/** A candidate key from curve and octets. Throws CryptoError for octets that are no usable key. */
export function candidateKey(curve: Curve, raw: Uint8Array): CandidateKey {
  if (curve === 'Ed448') importPublicKey(raw);
  return { curve, raw, udf: udfOfKey(curve, raw) };
}

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

const listOf = (value: JsonValue | undefined): JsonValue[] => {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
};

/** The one object inside a tagged object; undefined for anything else. */
function bodyOfTagged(value: JsonValue): { tag: string; body: JsonObject } | undefined {
  if (!isObject(value)) return undefined;
  const [tag, ...others] = Object.keys(value);
  const body = tag === undefined ? undefined : value[tag];
  return tag !== undefined && others.length === 0 && isObject(body) ? { tag, body } : undefined;
}

/** Curve and octets of a `PublicKey`; undefined where it holds none that is known. */
function parametersOf(value: JsonValue): { curve: Curve; raw: Uint8Array } | undefined {
  const parameters =
    isObject(value) && isObject(value.PublicParameters) ? value.PublicParameters.PublicKeyECDH : undefined;
  if (!isObject(parameters)) return undefined;
  const { crv, Public } = parameters;
  if (typeof crv !== 'string' || typeof Public !== 'string') return undefined;
  try {
    return { curve: curveOfName(crv), raw: decodeBase64Url(Public) };
  } catch {
    return undefined;
  }
}

function isMisnamed(value: JsonValue): boolean {
  const parameters = parametersOf(value);
  const name = isObject(value) ? value.UDF : undefined;
  if (parameters === undefined || name === undefined || name === null) return false;
  try {
    return typeof name !== 'string' || !udfEquals(name, udfOfKey(parameters.curve, parameters.raw));
  } catch {
    return true;
  }
}

function keyOf(value: JsonValue): CandidateKey[] {
  const parameters = parametersOf(value);
  if (parameters === undefined || isMisnamed(value)) return [];
  try {
    return [candidateKey(parameters.curve, parameters.raw)];
  } catch {
    return [];
  }
}

/** The keys of a profile. None for a payload that is no profile. */
export function profileKeys(payload: Uint8Array | null): ProfileKeys {
  if (payload === null) return none;
  try {
    const tagged = bodyOfTagged(parseJson(payload));
    if (tagged === undefined || !tagged.tag.startsWith('Profile')) return none;
    const { tag, body } = tagged;
    return {
      tag,
      offline: listOf(body.KeyOfflineSignature).flatMap(keyOf),
      online: listOf(body.KeysOnlineSignature).flatMap(keyOf),
      misnamed: Object.keys(body).find((member) => listOf(body[member]).some(isMisnamed)),
    };
  } catch (error) {
    if (error instanceof EncodingError) return none;
    throw error;
  }
}

/** A profile, as {@link vouchingKeys} needs it. */
type Vouching = Pick<ProfileKeys, 'tag' | 'offline' | 'online'>;

/**
 * Keys that vouch for one envelope of a message, its own profile's apart: a Mesh for the account beside it, any profile
 * for what is no profile. Profiles other than an account's stand or fall by their own key.
 */
export function vouchingKeys(tag: string | undefined, beside: readonly Vouching[]): readonly CandidateKey[] {
  if (tag !== undefined && tag !== 'ProfileAccount') return [];
  const vouching = tag === undefined ? beside : beside.filter((profile) => profile.tag === 'ProfileMesh');
  return vouching.flatMap(({ offline, online }) => [...offline, ...online]);
}
