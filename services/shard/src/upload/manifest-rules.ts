import { constantTimeEqual } from '@meshd/crypto/digest';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { udfEquals } from '@meshd/crypto/udf';
import { DareError } from '@meshd/dare/errors';
import type { SignatureEntry } from '@meshd/dare/header';
import { decodeManifest, type Manifest, manifestAlgorithm, manifestKinds, verifyManifest } from '@meshd/dare/manifest';
import { deviceCatalog } from '@meshd/schema/container-name';
import { conflict, type EntryFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';

/** Entries of a frame that claim to be a container manifest; kinds 2 and 3 ride on ordinary signatures and stay. */
export function manifestEntries(frame: UploadedFrame): SignatureEntry[] {
  return frame.signatures.filter((entry) => entry.alg === manifestAlgorithm);
}

/** What the manifest of a frame must say. */
export interface ExpectedManifest {
  /** First index that no manifest covers yet. */
  readonly from: number;
  /** Index of the frame that carries it. */
  readonly index: number;
  /** S44 root of the frames before it. */
  readonly root: Uint8Array;
  /** UDF of the ProfileAccount. */
  readonly subject: string;
  /** Name of the container. */
  readonly object: string;
}

/** A manifest that says what it must; its signature is still to be verified. */
export interface PendingManifest {
  /** The batch's last entry, where every fault of a manifest stands (S42). */
  readonly indexRequest: number;
  readonly kid: string;
  readonly manifest: Manifest;
  readonly core: Uint8Array;
  /** Only administrators are entitled; of a container manifest it is its container that says so. */
  readonly isAdministration?: boolean;
}

/** Who once could write a container. */
export interface FormerWriter {
  readonly key: PublicKeyEd448;
  /** Whether a manifest at this index lies behind where the writer's hand reached (S48). */
  readonly isBehindCut: (frameIndex: number) => boolean;
}

/** Who may have signed a manifest. */
export interface Writers {
  /** Keys that may write the container now (S43; for `mmm_Device` S25). */
  readonly entitled: readonly PublicKeyEd448[];
  /** Devices that were revoked: what they wrote before is theirs still, if somebody brings it back (S47). */
  readonly former: readonly FormerWriter[];
}

/**
 * Judges the manifest of one frame by S41 and S42, all but its signature.
 *
 * What was made for another account or container is refused for good (23); another position or root means that the
 * writer has not seen the newest frames, and is a conflict (12).
 *
 * @param indexRequest the batch's last entry.
 */
export function judgeManifest(
  frame: UploadedFrame,
  expected: ExpectedManifest,
  indexRequest: number,
): PendingManifest | EntryFault {
  const entries = manifestEntries(frame);
  const entry = entries[0];
  if (entry?.Manifest === undefined) {
    return reject(indexRequest, 'manifest', 'the last entry of a batch, and frame 0, need a manifest');
  }
  if (entries.length > 1 || entry.signature !== undefined || entry.kid === undefined) {
    return reject(indexRequest, 'manifest', 'a frame has one manifest entry: kid and Manifest, no signature');
  }
  const manifest = decodedManifest(entry.Manifest);
  if (manifest === undefined || manifest.kind !== manifestKinds.frame) {
    return reject(indexRequest, 'manifest', 'not a manifest of version 1, kind 1');
  }
  if (!sameName(expected.subject, manifest.subject) || manifest.object !== expected.object) {
    return reject(indexRequest, 'manifest', 'the manifest is for another account or container');
  }
  if (manifest.from !== expected.from || manifest.index !== expected.index) {
    return conflict(indexRequest, 'index-mismatch', `the manifest must cover ${expected.from} to ${expected.index}`);
  }
  if (!constantTimeEqual(manifest.root, expected.root)) {
    return conflict(indexRequest, 'index-mismatch', 'the manifest names another root of the frames before it');
  }
  return { indexRequest, kid: entry.kid, manifest, core: frame.core };
}

/** A manifest, or undefined for octets that are none. */
export function decodedManifest(octets: Uint8Array): Manifest | undefined {
  try {
    return decodeManifest(octets);
  } catch (error) {
    if (error instanceof DareError) return undefined;
    throw error;
  }
}

/** A batch's frames in between carry no manifest: two that cover one frame would be an overlap to readers (S43). */
export function judgeNoManifest(frames: readonly UploadedFrame[], indexRequest: number): EntryFault | undefined {
  if (frames.every((frame) => manifestEntries(frame).length === 0)) return undefined;
  return reject(indexRequest, 'manifest', 'a batch has one manifest, on its last entry; frame 0 has its own');
}

/**
 * Verifies one manifest under the keys that may write the container, on the thread pool.
 *
 * The `kid` only finds candidates among them (S04).
 *
 * @returns the key that signed, or a fault: `not-authorised` (in `mmm_Device` `administrator-required`) when no entitled
 *   key has that name, `manifest` when the signature is not by it, `revocation-cut` for what a revoked device wrote too
 *   late.
 */
export async function verifyPending(
  pending: PendingManifest,
  { entitled, former }: Writers,
): Promise<PublicKeyEd448 | EntryFault> {
  const revoked = former.filter(({ key }) => sameName(key.udf, pending.kid));
  const current = entitled.filter((key) => sameName(key.udf, pending.kid));
  if (current.length === 0 && revoked.some(({ isBehindCut }) => isBehindCut(pending.manifest.index))) {
    return conflict(pending.indexRequest, 'revocation-cut', 'the device that wrote this had been revoked');
  }
  const candidates = [...current, ...revoked.map(({ key }) => key)];
  for (const key of candidates) {
    if (await verifyManifest(key, pending.manifest, pending.core)) return key;
  }
  if (candidates.length > 0) {
    return reject(pending.indexRequest, 'manifest', 'the signature of the manifest is not valid');
  }
  const administration = pending.isAdministration ?? pending.manifest.object === deviceCatalog;
  return administration
    ? reject(pending.indexRequest, 'administrator-required', 'an administrator must have signed this')
    : reject(pending.indexRequest, 'not-authorised', 'the signer may not write this container');
}

/** Names come from the wire: what is no UDF at all equals none. Nearly always both are written alike. */
export function sameName(udf: string, name: string): boolean {
  if (udf === name) return true;
  try {
    return udfEquals(udf, name);
  } catch {
    return false;
  }
}
