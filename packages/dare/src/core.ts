import { concat, label, lv, sha256, sha512, u32, u64 } from '@meshd/crypto/digest';
import type { OpenedHeader } from './envelope.js';
import { DareError } from './errors.js';
import type { SignatureEntry } from './header.js';

/*
 * What a frame is, as far as signatures and trees are concerned (S40, S44): the core names content and metadata,
 * the leaf puts it at an index together with the proofs it carried, the log id names the container for life.
 * All parts are octets of typed values, so the same frame in JSON and in JSON-B has one core and one leaf.
 */

const digestSize = 64;
const leafPrefix = Uint8Array.of(0x00);
const noSalt = new Uint8Array(digestSize);
const nothing = new Uint8Array(0);

// Built once: the labels are fixed, and cores are made for every uploaded frame.
const coreLabel = label('mesh-core-1');
const leafLabel = label('mesh-leaf-1');
const logLabel = label('mesh-log-1');

/** One recipient block, as far as the core covers it. */
export interface CoreRecipient {
  readonly kid: string;
  /** Raw octets of the ephemeral public key. */
  readonly epk: Uint8Array;
  /** Wrapped master key. */
  readonly wmk: Uint8Array;
}

/** The parts of a frame's core, as typed octets. */
export interface CoreParts {
  /** SHA-2-512 of the payload octets. */
  readonly payloadDigest: Uint8Array;
  /** Decoded `ContentMetaData`; empty if the header has none. */
  readonly contentMetaData: Uint8Array;
  /** `enc` of the header, empty if absent. */
  readonly enc: string;
  readonly salt?: Uint8Array | undefined;
  /** SHA-2-512 of an erased salt. */
  readonly malt?: Uint8Array | undefined;
  readonly recipients: readonly CoreRecipient[];
}

function saltDigest(parts: CoreParts): Uint8Array {
  if (parts.salt !== undefined && parts.salt.length > 0) return sha512(parts.salt);
  if (parts.malt === undefined || parts.malt.length === 0) return noSalt;
  // A Malt of another size could imitate what follows it in the hashed octets.
  if (parts.malt.length !== digestSize) throw new DareError('shape', 'Malt is not a digest of 64 octets');
  return parts.malt;
}

/**
 * The core of a frame or message (S40).
 *
 * @throws DareError `algorithm` unless the payload digest has 64 octets, `shape` for a malformed `Malt`.
 */
export function coreOf(parts: CoreParts): Uint8Array {
  if (parts.payloadDigest.length !== digestSize) {
    throw new DareError('algorithm', 'a core is made over SHA-2-512 payload digests only');
  }
  const recipients = parts.recipients.flatMap(({ kid, epk, wmk }) => [lv(kid), lv(epk), lv(wmk)]);
  const encryption = concat(lv(parts.enc), saltDigest(parts), u32(parts.recipients.length), ...recipients);
  return sha512(concat(coreLabel, parts.payloadDigest, sha512(parts.contentMetaData), sha512(encryption)));
}

/**
 * The core of an envelope that was opened, or of which the header was.
 *
 * @param payloadDigest recomputed by the caller (`checkPayloadDigest`), or the stated one of a redacted frame.
 * @throws as {@link coreOf}.
 */
export function coreOfFrame(envelope: OpenedHeader, payloadDigest: Uint8Array): Uint8Array {
  const { header } = envelope;
  return coreOf({
    payloadDigest,
    contentMetaData: envelope.contentMetaDataOctets,
    enc: header.enc ?? '',
    salt: header.Salt,
    malt: header.Malt,
    recipients: (header.recipients ?? []).map((entry) => ({
      kid: entry.kid ?? '',
      epk: entry.epk?.PublicKeyECDH?.Public ?? nothing,
      wmk: entry.wmk ?? nothing,
    })),
  });
}

/** Whether an entry proves anything; entries without either member are announcements and enter no leaf. */
export function carriesProof(entry: SignatureEntry): boolean {
  return entry.signature !== undefined || entry.Manifest !== undefined;
}

/**
 * The leaf of the second tree (S44): position, core and the proofs as they stand in the frame.
 *
 * @param frameIndex position in the container, from 0.
 */
export function leafOfFrame(frameIndex: number, core: Uint8Array, signatures: readonly SignatureEntry[]): Uint8Array {
  const proofs = signatures.filter(carriesProof);
  const entries = proofs.flatMap((entry) => [
    lv(entry.alg ?? ''),
    lv(entry.kid ?? ''),
    lv(entry.signature ?? nothing),
    lv(entry.Manifest ?? nothing),
  ]);
  const proofDigest = sha512(concat(u32(proofs.length), ...entries));
  return sha256(concat(leafPrefix, leafLabel, u64(frameIndex), core, proofDigest));
}

/**
 * The name of a container for life (S44): deleting and making it again gives another, because leaf 0 differs.
 *
 * @param accountUdf UDF of the `ProfileAccount`; for containers of `@service` that of the `ProfileService`.
 */
export function logId(accountUdf: string, containerName: string, leafZero: Uint8Array): Uint8Array {
  return sha256(concat(logLabel, lv(accountUdf), lv(containerName), leafZero));
}
