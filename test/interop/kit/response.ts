/** Answers: their signature (S22), and the chain from a host to its service (S26). */
import { isSignedBy, objectOf, onlyMember, open, type SignatureEntry, type Wire } from './dare.js';
import { type PublicKeyMember, rawKeyOf, verify } from './keys.js';
import { b64, concat, label, lv, sameOctets, sha512, text, unb64 } from './octets.js';
import { credDigest, type Sent } from './request.js';

/** Members that answers of this suite's transactions may have (schema 2). */
export interface ResponseMembers {
  readonly Status?: number;
  readonly StatusExtended?: number;
  readonly StatusDescription?: string;
  readonly ID?: string;
  readonly Reason?: string;
  readonly URL?: string;
  readonly Version?: {
    readonly Major?: number;
    readonly Minor?: number;
    readonly Encodings?: readonly { readonly ID?: readonly string[] }[];
    readonly Features?: readonly string[];
    readonly URI?: readonly string[];
  };
  readonly Alternates?: unknown;
  readonly ConstraintsUpdate?: { readonly MaxEntries?: number; readonly BytesMax?: number };
  readonly ConstraintsPost?: { readonly MaxEntries?: number; readonly BytesMax?: number };
  readonly PolicyAccount?: {
    readonly Minimum?: number;
    readonly Maximum?: number;
    readonly InvalidCharacters?: string;
  };
  readonly EnvelopedProfileService?: Wire;
  readonly EnvelopedProfileHost?: Wire;
  readonly EnvelopedConnectionHost?: Wire;
  readonly EnvelopedProfileMaster?: Wire;
  readonly EnvelopedCatalogEntryDevice?: Wire;
  readonly ContainerStatus?: readonly ContainerStatus[];
  readonly Updates?: readonly (ContainerStatus & { readonly Envelopes?: readonly Wire[]; readonly PageKey?: string })[];
  readonly Entries?: readonly EntryResponse[];
  readonly ConstraintsData?: unknown;
}

export interface ContainerStatus {
  readonly Container?: string;
  readonly Index?: number;
  readonly Digest?: string;
}

export interface EntryResponse {
  readonly IndexRequest?: number;
  readonly IndexContainer?: number;
  readonly Result?: string;
  readonly StatusExtended?: number;
}

interface HostConnection {
  readonly SubjectUDF?: string;
  readonly AuthorityUDF?: string;
  readonly ServiceID?: readonly string[];
  readonly KeyAuthentication?: PublicKeyMember;
  readonly NotBefore?: string;
  readonly NotAfter?: string;
}
interface Profile {
  readonly KeyOfflineSignature?: PublicKeyMember;
  readonly KeysOnlineSignature?: readonly PublicKeyMember[];
  readonly KeyAuthentication?: PublicKeyMember;
}

/** A self-signed profile: its members and raw offline key. @throws Error */
export function selfSigned(wire: Wire | undefined, tag: string): { profile: Profile; raw: Uint8Array; udf: string } {
  const profile = objectOf<Profile>(wire, tag);
  const raw = rawKeyOf(profile.KeyOfflineSignature);
  const udf = profile.KeyOfflineSignature?.UDF as string;
  if (!isSignedBy(wire as Wire, raw, udf)) throw new Error(`${tag} is not signed by its own key`);
  return { profile, raw, udf };
}

/** The host's key, once the service vouches for it at this time and for this domain. @throws Error */
export function hostKeyOf(
  profileHost: Wire | undefined,
  connectionHost: Wire | undefined,
  service: { readonly raw: Uint8Array; readonly udf: string },
  domain: string,
  nowMs: number,
): Uint8Array {
  const host = selfSigned(profileHost, 'ProfileHost');
  const connection = objectOf<HostConnection>(connectionHost, 'ConnectionHost');
  const raw = rawKeyOf(host.profile.KeyAuthentication);
  const [from, to] = [Date.parse(connection.NotBefore ?? ''), Date.parse(connection.NotAfter ?? '')];
  const faults = [
    isSignedBy(connectionHost as Wire, service.raw, service.udf) || 'ConnectionHost is not signed by the service',
    connection.SubjectUDF === host.udf || 'SubjectUDF is another host',
    connection.AuthorityUDF === service.udf || 'AuthorityUDF is another service',
    connection.ServiceID?.includes(domain) || `ServiceID lacks ${domain}`,
    sameOctets(rawKeyOf(connection.KeyAuthentication), raw) || 'KeyAuthentication differs',
    (from <= nowMs && nowMs <= to) || 'not valid now',
    to - from <= 7 * 86_400_000 || 'valid for more than 7 days',
  ].filter((fault) => fault !== true);
  if (faults.length > 0) throw new Error(faults.join('; '));
  return raw;
}

export interface OpenedAnswer {
  readonly tag: string;
  readonly message: ResponseMembers;
  readonly payload: Uint8Array;
  readonly entry?: SignatureEntry;
}

/** An answer's payload, its signature not judged: for naked ones, and for looking. */
export function peek(body: string): OpenedAnswer {
  const value = JSON.parse(body) as Wire | object;
  const opened = Array.isArray(value) ? open(value) : undefined;
  const payload = opened ? (opened.payload as Uint8Array) : new TextEncoder().encode(body);
  const [tag, message] = onlyMember(JSON.parse(text(payload)) as object);
  const entry = opened?.trailer.signatures?.[0];
  return { tag, message: message as ResponseMembers, payload, ...(entry === undefined ? {} : { entry }) };
}

/** Opens an answer and checks that it is the answer of this domain's service to this request. @throws Error */
export function openAnswer(
  body: string,
  sent: Sent,
  domain: string,
  service: { readonly raw: Uint8Array; readonly udf: string },
  known: { readonly profileHost?: Wire | undefined; readonly connectionHost?: Wire | undefined },
  nowMs: number,
): OpenedAnswer {
  if (!body.startsWith('[')) throw new Error(`an unsigned answer: ${body.slice(0, 200)}`);
  const { payload, trailer } = open(JSON.parse(body) as Wire);
  const entries = trailer.signatures ?? [];
  const entry = entries[0];
  if (entries.length !== 1 || entry?.alg !== 'S512-RSP1') throw new Error(`signed as ${entry?.alg}`);
  if (payload === null) throw new Error('an answer without payload');
  const digest = sha512(payload);
  if (trailer.PayloadDigest !== undefined && trailer.PayloadDigest !== b64(digest)) throw new Error('payload digest');
  const profileHost = entry.Profile ?? known.profileHost;
  const connectionHost = entry.Connection ?? known.connectionHost;
  const raw = hostKeyOf(profileHost, connectionHost, service, domain, nowMs);
  const kid = objectOf<Profile>(profileHost, 'ProfileHost').KeyAuthentication?.UDF;
  if (entry.kid !== kid) throw new Error('signed by another key than the host has');
  const cred = credDigest(entry.Profile, entry.Connection, entry.Account);
  const bound = concat(label('mesh-response-1'), lv(sent.service), sent.payloadDigest, sent.reqAuth, digest, cred);
  if (!verify(raw, bound, unb64(entry.signature ?? ''))) throw new Error('the answer is not signed for this request');
  const opened = peek(body);
  if (opened.message.ID !== b64(sent.id)) throw new Error(`ID ${opened.message.ID} is not the request's`);
  return opened;
}
