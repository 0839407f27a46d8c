/** DARE envelopes in JSON: arrays of header, payload and trailer (encoding 2). */
import type { Key } from './keys.js';
import { verify } from './keys.js';
import { b64, sameOctets, sha512, text, unb64, utf8 } from './octets.js';

/** An envelope as it stands in a message. */
export type Wire = readonly unknown[];

/** An entry of `signatures`. */
export interface SignatureEntry {
  readonly alg?: string;
  readonly kid?: string;
  readonly signature?: string;
  readonly Manifest?: string;
  readonly Profile?: Wire;
  readonly Connection?: Wire;
  readonly Account?: Wire;
}

export interface Trailer {
  readonly signatures?: readonly SignatureEntry[];
  readonly PayloadDigest?: string;
  readonly TreeDigest?: string;
}

export interface Header extends Trailer {
  readonly dig?: string;
  readonly enc?: string;
  readonly Salt?: string;
  readonly Malt?: string;
  readonly recipients?: readonly { kid?: string; epk?: unknown; wmk?: string }[];
  readonly ContentMetaData?: string;
  readonly ContainerInfo?: { readonly Index?: number; readonly ContainerType?: string; readonly DataEncoding?: string };
}

/** Content metadata of frames and messages (encoding 2.4). */
export interface Meta {
  readonly UniqueID?: string;
  readonly Event?: string;
  readonly First?: number;
  readonly Previous?: number;
  readonly cty?: string;
  readonly Created?: string;
  readonly MessageType?: string;
  readonly KeyValues?: readonly { Key: string; Value: string }[];
}

export interface Opened {
  readonly header: Header;
  /** Null when the payload was left out. */
  readonly payload: Uint8Array | null;
  readonly trailer: Trailer;
  readonly meta: Meta;
  readonly metaOctets: Uint8Array;
}

export const dateTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
export const metaMember = (meta: Meta): string => b64(utf8(JSON.stringify(meta)));

/** Takes an envelope apart, header and trailer merged where a member stands in either. */
export function open(wire: Wire): Opened {
  if (!Array.isArray(wire) || wire.length < 1 || wire.length > 3) throw new Error('not an envelope');
  const header = wire[0] as Header;
  const trailer = { ...header, ...((wire[2] as Trailer | undefined) ?? {}) } as Trailer;
  const metaOctets = header.ContentMetaData === undefined ? new Uint8Array(0) : unb64(header.ContentMetaData);
  return {
    header,
    payload: typeof wire[1] === 'string' ? unb64(wire[1]) : null,
    trailer,
    meta: metaOf(metaOctets),
    metaOctets,
  };
}

/** Empty for what is no JSON: such frames are made here on purpose, and their octets still count. */
function metaOf(octets: Uint8Array): Meta {
  try {
    return octets.length === 0 ? {} : (JSON.parse(text(octets)) as Meta);
  } catch {
    return {};
  }
}

/** Signs a stored object: pure Ed448 over the payload digest (encoding 2.5). */
export function signObject(payload: Uint8Array, keys: readonly Key[], header: Header = {}): Wire {
  const digest = sha512(payload);
  const signatures = keys.map((key) => ({ alg: 'S512', kid: key.udf, signature: b64(key.sign(digest)) }));
  return [{ dig: 'S512', ...header }, b64(payload), { signatures, PayloadDigest: b64(digest) }];
}

/** The tagged object as octets. */
export const tagged = (tag: string, members: object): Uint8Array => utf8(JSON.stringify({ [tag]: members }));

/** The members of a stored object, its tag checked. @throws Error */
export function objectOf<T>(wire: Wire | undefined, tag: string): T {
  const payload = wire === undefined ? null : open(wire).payload;
  if (payload === null) throw new Error(`no ${tag}`);
  const [found, members] = onlyMember(JSON.parse(text(payload)) as object);
  if (found !== tag) throw new Error(`${found} instead of ${tag}`);
  return members as T;
}

export function onlyMember(value: object): [string, unknown] {
  const [first, ...others] = Object.entries(value);
  if (first === undefined || others.length > 0) throw new Error('not exactly one member');
  return first;
}

/** Whether one of the S512 signatures is by this key over the payload, digest recomputed. */
export function isSignedBy(wire: Wire, raw: Uint8Array, kid: string): boolean {
  const { payload, trailer } = open(wire);
  if (payload === null || payload.length === 0) return false;
  const digest = sha512(payload);
  if (trailer.PayloadDigest !== undefined && !sameOctets(unb64(trailer.PayloadDigest), digest)) return false;
  return (trailer.signatures ?? []).some(
    (entry) => entry.alg === 'S512' && entry.kid === kid && verify(raw, digest, unb64(entry.signature ?? '')),
  );
}

/** A key as it stands in `epk`. */
export interface PublicKeyHolder {
  readonly PublicKeyECDH?: { readonly Public?: string };
}
export const rawOf = (holder: PublicKeyHolder): Uint8Array => unb64(holder.PublicKeyECDH?.Public ?? '');
