import { type VerifiedService, verifyService } from '@meshd/binding/host-chain';
import { constantTimeEqual } from '@meshd/crypto/digest';
import { coreOfFrame, leafOfFrame, logId } from '@meshd/dare/core';
import {
  checkPayloadDigest,
  type DareEnvelope,
  type EnvelopeOctets,
  openEnvelope,
  readEnvelope,
  writeEnvelope,
} from '@meshd/dare/envelope';
import { inclusionProof, verifyInclusion } from '@meshd/dare/log-tree';
import { decodeManifest } from '@meshd/dare/manifest';
import {
  binary,
  decodeTagged,
  defineObject,
  defineTags,
  encodeTagged,
  integer,
  sequence,
  string,
} from '@meshd/encoding/codec';
import { proofBytesMax } from '@meshd/limits/client';
import { isContainerName } from '@meshd/schema/container-name';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { type SignedHeads, verifyHeads } from '../signed-heads.js';
import { completeFrames } from './download.js';
import { readableReplica, syncAccount } from './sync.js';

/**
 * A proof file: everything that somebody else needs to see that a service, which he identifies by its key, has stated that
 * an envelope stands at an index of a container. Envelopes are octets in JSON.
 */
const ContainerProof = defineObject({
  name: 'ContainerProof',
  fields: {
    Version: integer,
    Container: string,
    Index: integer,
    Envelope: binary,
    /** Audit path, lowest sibling first (RFC 6962). */
    Inclusion: sequence(binary),
    /** Under the host's signature, with its profile and connection. */
    Heads: binary,
    ProfileService: binary,
  },
});
const proofTags = defineTags('proof', { ContainerProof });
const proofVersion = 1;

/** What a proof proves. */
export interface ProvenFrame {
  readonly accountUdf: string;
  readonly domain: string;
  readonly serviceUdf: string;
  readonly container: string;
  readonly log: Uint8Array;
  readonly frameIndex: number;
  /** Size and root of the container at the time of the service's statement. */
  readonly frameCount: number;
  readonly root: Uint8Array;
  readonly statedMs: number;
  readonly payloadDigest: Uint8Array;
  readonly uniqueId: string | undefined;
  readonly event: string | undefined;
  /** Who vouches for the frame in a manifest of its own; the manifest of a later frame may do so, too. */
  readonly signer: string | undefined;
}

/** Digest of the body, or what a frame without its body states: its leaf covers it either way. */
function digestOfFrame(envelope: DareEnvelope): Uint8Array {
  if (envelope.payload !== null) return checkPayloadDigest(envelope);
  if (envelope.payloadDigest === undefined) throw new ClientError('proof', 'an envelope without payload and digest');
  return envelope.payloadDigest;
}

function leafOf(octets: EnvelopeOctets, frameIndex: number): Uint8Array {
  const envelope = openEnvelope(octets);
  return leafOfFrame(frameIndex, coreOfFrame(envelope, digestOfFrame(envelope)), envelope.signatures);
}

/**
 * Makes a proof file for a frame, after bringing the container up to date. The path is made from this replica, which the
 * service's signed head was compared with.
 *
 * @throws ClientError `proof` where the service signs no heads, `usage` for a frame that is not there
 */
export async function proveFrame(
  device: Device,
  container: string,
  frameIndex: number,
): Promise<{ readonly file: Uint8Array; readonly proven: ProvenFrame }> {
  if (!isContainerName(container)) throw new ClientError('usage', `${container} is no container name`);
  await syncAccount(device, [container]);
  const replica = await readableReplica(device, container);
  const heads = await device.heads.latest();
  const head = heads?.heads.get(container);
  if (heads === undefined || head === undefined) {
    throw new ClientError('proof', `the service has signed no head of ${container}, so nothing can be proved with it`);
  }
  const frameCount = Math.min(head.size, replica.reader.size);
  if (frameIndex >= frameCount) {
    throw new ClientError('usage', `${container} has frames 0 to ${frameCount - 1}, and no frame ${frameIndex}`);
  }
  await completeFrames(device, replica, frameIndex, frameIndex);
  const { leaves } = replica.recompute();
  const { envelope: profileService } = await device.session.serviceProfile();
  const file = encodeTagged(
    ContainerProof,
    {
      ...{ Version: proofVersion, Container: container, Index: frameIndex },
      Envelope: writeEnvelope(await replica.envelope(frameIndex)),
      Inclusion: inclusionProof(leaves.slice(0, head.size), frameIndex),
      Heads: writeEnvelope(heads.octets),
      ProfileService: writeEnvelope(profileService.octets),
    },
    'json',
  );
  return { file, proven: await checkProof(file) };
}

function refuse(why: string, cause?: unknown): never {
  throw new ClientError('proof', `the proof does not hold: ${why}`, { cause });
}

async function heldBy<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    return refuse(`${what}: ${(cause as Error).message}`, cause);
  }
}

interface ProofParts {
  readonly container: string;
  readonly frameIndex: number;
  readonly envelope: EnvelopeOctets;
  readonly path: readonly Uint8Array[];
  readonly service: VerifiedService;
  readonly heads: SignedHeads;
}

async function partsOf(file: Uint8Array): Promise<ProofParts> {
  if (file.length > proofBytesMax) refuse('the file is larger than a proof can be');
  const { value } = await heldBy('it is no proof file', () =>
    decodeTagged(proofTags, file, { form: 'json', refuseRepeated: true }),
  );
  const { Version: version, Container: container, Index: frameIndex, Envelope, Heads, ProfileService } = value;
  if (version !== proofVersion) refuse('it is of another version; update this program');
  if (container === undefined || frameIndex === undefined || !Envelope || !Heads || !ProfileService) {
    return refuse('a part is missing');
  }
  const envelope = await heldBy('the envelope', () => readEnvelope(Envelope));
  const service = await heldBy('the service', () => verifyService(readEnvelope(ProfileService)));
  const heads = await heldBy('the heads', () => verifyHeads(readEnvelope(Heads), service));
  return { container, frameIndex, envelope, path: value.Inclusion ?? [], service, heads };
}

/**
 * Checks a proof file, without asking anybody: service → host → signed head → root → envelope. Whether the service is the
 * one that the reader means, he has to compare himself, by its UDF.
 *
 * @throws ClientError `proof`
 */
export async function checkProof(file: Uint8Array): Promise<ProvenFrame> {
  const { container, frameIndex, envelope: octets, path, service, heads } = await partsOf(file);
  const head = heads.heads.get(container) ?? refuse(`the service says nothing of ${container}`);
  const envelope = openEnvelope(octets);
  const stated = envelope.header.ContainerInfo?.Index;
  if (stated !== frameIndex) refuse(`the envelope says that it is frame ${stated}`);
  const leaf = await heldBy('the envelope', () => leafOf(octets, frameIndex));
  const { size: frameCount, root, log } = head;
  if (!verifyInclusion({ frameIndex, frameCount, leaf, path, root })) {
    refuse(`the envelope is not frame ${frameIndex} under the root that the service signed`);
  }
  if (frameIndex === 0 && !constantTimeEqual(logId(heads.accountUdf, container, leaf), log)) {
    refuse('the head names another log');
  }
  const entry = envelope.signatures.find(({ Manifest }) => Manifest !== undefined);
  if (entry?.Manifest !== undefined) {
    const manifest = await heldBy('the manifest', () => decodeManifest(entry.Manifest as Uint8Array));
    if (manifest.object !== container || manifest.subject !== heads.accountUdf || manifest.index !== frameIndex) {
      refuse('its manifest is that of another frame');
    }
  }
  const { UniqueID: uniqueId, Event: event } = envelope.contentMetaData ?? {};
  return {
    ...{ accountUdf: heads.accountUdf, domain: heads.domain, serviceUdf: service.udf, container, log, frameIndex },
    ...{ frameCount, root, statedMs: heads.timeMs, payloadDigest: digestOfFrame(envelope), uniqueId, event },
    signer: entry?.kid,
  };
}
