/** What `mesh dare verify` finds out about an envelope. Pure: octets and keys in, verdict out. */
import { importPublicKey, verify } from '@meshd/crypto/ed448';
import { verifyContextualEd25519 } from '@meshd/crypto/ed25519';
import { canonicalName } from '@meshd/crypto/udf';
import { coreOfFrame } from '@meshd/dare/core';
import {
  checkPayloadDigest,
  type DareEnvelope,
  digestOf,
  type EnvelopeOctets,
  isDigestIdentifier,
  openEnvelope,
} from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import type { SignatureEntry } from '@meshd/dare/header';
import { decodeManifest, manifestAlgorithm, verifyManifestSync } from '@meshd/dare/manifest';
import { EncodingError } from '@meshd/encoding/errors';
import { type CandidateKey, profileKeys } from './profile-keys.js';

/** What is said of one signature entry. */
export interface SignatureVerdict {
  readonly kid: string;
  /** It verifies under a key that is called so (or, ignoring names, under any of the keys). */
  readonly valid: boolean;
  /** That key is one to be trusted: given, or, without given keys, a self-signed profile's own. */
  readonly trusted: boolean;
}

/** What is said of an envelope. */
export interface EnvelopeVerdict {
  readonly valid: boolean;
  /** Recomputed, base64url; null where there is no payload to digest. */
  readonly payloadDigest: string | null;
  readonly signatures: readonly SignatureVerdict[];
  /** Why it is not valid; null if it is. */
  readonly failure: string | null;
}

/** Which keys count. */
export interface VerifyKeys {
  /** Keys that the user trusts; if there are none, a self-signed profile is checked against its own. */
  readonly given: readonly CandidateKey[];
  /** Try given keys whatever the entries' `kid` says. */
  readonly ignoreKid: boolean;
  /** Keys of what stands beside the envelope, which count where none are given. */
  readonly vouching?: readonly CandidateKey[];
}

type Proof = (key: CandidateKey) => boolean;

function manifestProof(opened: DareEnvelope, entry: SignatureEntry, payloadDigest: Uint8Array): Proof {
  const manifest = decodeManifest(entry.Manifest as Uint8Array);
  const core = coreOfFrame(opened, payloadDigest);
  return ({ curve, raw }) => curve === 'Ed448' && verifyManifestSync(importPublicKey(raw), manifest, core);
}

function signatureProof(opened: DareEnvelope, entry: SignatureEntry): Proof {
  const { signature, alg } = entry;
  const payload = opened.payload ?? new Uint8Array(0);
  // A signature over nothing is treated as absent (S03), an unknown alg cannot be verified.
  if (signature === undefined || payload.length === 0 || !isDigestIdentifier(alg ?? '')) return () => false;
  const digest = digestOf(payload, alg);
  return ({ curve, raw }) => {
    if (curve === 'Ed448') return verify(importPublicKey(raw), digest, signature);
    return curve === 'Ed25519' && verifyContextualEd25519(raw, digest, signature);
  };
}

function proofOf(opened: DareEnvelope, entry: SignatureEntry, payloadDigest: Uint8Array): Proof {
  if (entry.alg !== manifestAlgorithm || entry.Manifest === undefined) return signatureProof(opened, entry);
  try {
    return manifestProof(opened, entry, payloadDigest);
  } catch (error) {
    if (error instanceof DareError) return () => false;
    throw error;
  }
}

function verdictOf(
  opened: DareEnvelope,
  entry: SignatureEntry,
  payloadDigest: Uint8Array,
  keys: {
    readonly trusted: readonly CandidateKey[];
    readonly others: readonly CandidateKey[];
    readonly ignoreKid: boolean;
  },
): SignatureVerdict {
  const kid = entry.kid ?? '';
  const name = canonicalName(kid);
  const named = (candidates: readonly CandidateKey[]) => candidates.filter((key) => keys.ignoreKid || key.udf === name);
  const proves = proofOf(opened, entry, payloadDigest);
  const trusted = named(keys.trusted);
  if (trusted.length > 0) return { kid, valid: trusted.some(proves), trusted: true };
  return { kid, valid: keys.others.filter((key) => key.udf === name).some(proves), trusted: false };
}

function failureOf(opened: DareEnvelope, signatures: readonly SignatureVerdict[]): string | null {
  if (opened.signatures.length === 0) return 'the envelope bears no signature';
  const trusted = signatures.filter((one) => one.trusted);
  if (trusted.length === 0) return 'no signature by a trusted key; give the signer with --key';
  if (opened.payload?.length === 0 && opened.signatures.every((one) => one.Manifest === undefined)) {
    return 'a signature over an empty payload proves nothing';
  }
  return trusted.every((one) => one.valid) ? null : 'a signature by a trusted key does not verify';
}

const base64Url = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url');

/** Judges an envelope; whatever is wrong with it is part of the verdict. */
export function judgeEnvelope(octets: EnvelopeOctets, keys: VerifyKeys): EnvelopeVerdict {
  let opened: DareEnvelope;
  try {
    opened = openEnvelope(octets);
  } catch (error) {
    return failed(error, null, []);
  }
  const own = profileKeys(opened.payload);
  const trusted = keys.given.length > 0 ? keys.given : [...own.offline, ...(keys.vouching ?? [])];
  const others = [...own.offline, ...own.online];
  const judge = (digest: Uint8Array) =>
    opened.signatures.map((entry) => verdictOf(opened, entry, digest, { trusted, others, ignoreKid: keys.ignoreKid }));
  try {
    const digest = checkPayloadDigest(opened);
    const signatures = judge(digest);
    const named = own.misnamed === undefined ? null : `${own.misnamed}: the UDF is that of another key`;
    const failure = named ?? failureOf(opened, signatures);
    return { valid: failure === null, payloadDigest: base64Url(digest), signatures, failure };
  } catch (error) {
    const computed = opened.payload === null ? null : base64Url(digestOf(opened.payload));
    const untrue = opened.signatures.map((entry) => ({ kid: entry.kid ?? '', valid: false, trusted: false }));
    return failed(error, computed, untrue);
  }
}

function failed(error: unknown, payloadDigest: string | null, signatures: SignatureVerdict[]): EnvelopeVerdict {
  if (!(error instanceof DareError || error instanceof EncodingError)) throw error;
  return { valid: false, payloadDigest, signatures, failure: error.message };
}
