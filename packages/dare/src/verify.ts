import { type PublicKeyEd448, verify, verifyAsync } from '@meshd/crypto/ed448';
import { signatureEntriesMax } from '@meshd/limits/limits';
import { checkPayloadDigest, type DareEnvelope, digestOf, isDigestIdentifier } from './envelope.js';
import { DareError } from './errors.js';
import type { ContentMeta, SignatureEntry } from './header.js';

declare const verifiedBrand: unique symbol;

/**
 * An envelope with at least one valid signature by a trusted key, none by a trusted key that fails, and a payload that
 * has the digest that was signed. Only this module makes one. It says nothing of header and metadata, which no
 * signature covers.
 */
export type VerifiedEnvelope = DareEnvelope & {
  readonly payload: Uint8Array;
  readonly [verifiedBrand]: true;
};

/** The key for a `kid` among those that the context trusts; undefined if none of them is called so. */
export type FindKey = (kid: string) => PublicKeyEd448 | undefined;

/** What verification gives: the branded envelope, the recomputed digest and who signed, in the order of entries. */
export interface Verified {
  readonly envelope: VerifiedEnvelope;
  readonly payloadDigest: Uint8Array;
  readonly signers: readonly PublicKeyEd448[];
}

// The brand exists in the type alone; the private member is its other half, for code that must not rely on a cast.
class ProvenEnvelope implements DareEnvelope {
  readonly octets: DareEnvelope['octets'];
  readonly header: DareEnvelope['header'];
  readonly payload: DareEnvelope['payload'];
  readonly trailer: DareEnvelope['trailer'];
  readonly signatures: DareEnvelope['signatures'];
  readonly payloadDigest?: Uint8Array;
  readonly contentMetaData?: ContentMeta;
  readonly contentMetaDataOctets: Uint8Array;
  readonly #proven = true;

  constructor(opened: DareEnvelope) {
    this.octets = opened.octets;
    this.header = opened.header;
    this.payload = opened.payload;
    this.trailer = opened.trailer;
    this.signatures = opened.signatures;
    if (opened.payloadDigest !== undefined) this.payloadDigest = opened.payloadDigest;
    if (opened.contentMetaData !== undefined) this.contentMetaData = opened.contentMetaData;
    this.contentMetaDataOctets = opened.contentMetaDataOctets;
  }

  static is(envelope: DareEnvelope): boolean {
    return #proven in envelope && envelope.#proven;
  }
}

/** Whether this very object came out of a verification. */
export function isVerified(envelope: DareEnvelope): envelope is VerifiedEnvelope {
  return ProvenEnvelope.is(envelope);
}

interface Check {
  readonly key: PublicKeyEd448;
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
}

/** Signatures of stored objects: named by a digest, with signature octets. Other `alg` are other rules' business. */
export function isStoredObjectSignature(entry: SignatureEntry): boolean {
  return entry.signature !== undefined && isDigestIdentifier(entry.alg ?? '');
}

function plan(opened: DareEnvelope, findKey: FindKey): { payloadDigest: Uint8Array; checks: Check[] } {
  // Every entry may name the same trusted key, and each would cost a verification.
  if (opened.signatures.length > signatureEntriesMax) throw new DareError('limit', 'too many signature entries');
  const payloadDigest = checkPayloadDigest(opened);
  const payload = opened.payload as Uint8Array;
  if (payload.length === 0) throw new DareError('empty-payload', 'a signature over an empty payload proves nothing');
  const checks: Check[] = [];
  for (const entry of opened.signatures) {
    if (!isStoredObjectSignature(entry)) continue;
    const key = findKey(entry.kid ?? '');
    if (key === undefined) continue;
    const digest = sameDigest(entry.alg, opened.header.dig) ? payloadDigest : digestOf(payload, entry.alg);
    checks.push({ key, digest, signature: entry.signature as Uint8Array });
  }
  if (checks.length === 0) throw new DareError('signature', 'no signature by a trusted key');
  return { payloadDigest, checks };
}

function sameDigest(alg: string | undefined, dig: string | undefined): boolean {
  const plain = (identifier: string | undefined) => (identifier === 'SHA2' ? 'S512' : (identifier ?? 'S512'));
  return plain(alg) === plain(dig);
}

function conclude(
  opened: DareEnvelope,
  payloadDigest: Uint8Array,
  checks: readonly Check[],
  results: readonly boolean[],
): Verified {
  if (!results.every(Boolean)) throw new DareError('signature', 'a signature by a trusted key does not verify');
  const signers = checks.map((check) => check.key);
  return { envelope: new ProvenEnvelope(opened) as DareEnvelope as VerifiedEnvelope, payloadDigest, signers };
}

/**
 * Verifies the signatures of a stored object (encoding 2.5): digest first, then every entry whose key the context
 * trusts, on the thread pool. Entries by other keys are passed over; never is a key taken from the payload.
 *
 * @throws DareError `redacted`, `payload-digest`, `algorithm`, `empty-payload` (S03), or `signature` if no trusted key
 * signed or one of their signatures fails, `limit` for too many entries.
 */
export async function verifyEnvelope(opened: DareEnvelope, findKey: FindKey): Promise<Verified> {
  const { payloadDigest, checks } = plan(opened, findKey);
  const results = await Promise.all(checks.map((check) => verifyAsync(check.key, check.digest, check.signature)));
  return conclude(opened, payloadDigest, checks, results);
}

/** As {@link verifyEnvelope}, on this thread: for clients and tools, and where one verification is all there is. */
export function verifyEnvelopeSync(opened: DareEnvelope, findKey: FindKey): Verified {
  const { payloadDigest, checks } = plan(opened, findKey);
  const results = checks.map((check) => verify(check.key, check.digest, check.signature));
  return conclude(opened, payloadDigest, checks, results);
}
