/** The digests and signatures that a container rests on, ready to be checked by Node alone: no reading, no trees, no disk. */
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import type { Device } from '@meshd/client/device';
import { concat, label } from '@meshd/crypto/digest';
import { coreOfFrame } from '@meshd/dare/core';
import { digestOf, openEnvelope } from '@meshd/dare/envelope';
import { decodeManifest } from '@meshd/dare/manifest';

/** Frames whose digests and signatures can be checked again and again. */
export interface ToCheck {
  readonly frameCount: number;
  /** @throws Error if a signature does not verify */
  check(): void;
}

interface PreparedFrame {
  /** What is digested by SHA-512: content, metadata, encryption, core, proofs, and a node of the tree of encoding 3.6. */
  readonly long: readonly Uint8Array[];
  /** What is digested by SHA-256: leaf and node of the second tree. */
  readonly short: readonly Uint8Array[];
  readonly signed: { readonly input: Uint8Array; readonly signature: Uint8Array } | undefined;
}

const spkiPrefix = Buffer.from('3043300506032b6571033a00', 'hex');
const manifestLabel = label('mesh-manifest-1');
const [longNode, shortNode] = [new Uint8Array(128), new Uint8Array(65)];
const coreBytes = 12 + 3 * 64;
const leafBytes = 1 + 12 + 8 + 2 * 64;

/** Prepares the frames of a replica that this device has written. */
export async function framesToCheck(device: Device, container: string): Promise<ToCheck> {
  const { raw } = device.session.keys.key('connectionSignature').publicKey;
  const key = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
  const replica = await device.replica(container);
  const frames: PreparedFrame[] = [];
  for (let frameIndex = 0; frameIndex < replica.reader.size; frameIndex += 1) {
    frames.push(preparedFrame(openEnvelope(await replica.envelope(frameIndex))));
  }
  return { frameCount: frames.length, check: () => checkFrames(frames, key) };
}

function preparedFrame(envelope: ReturnType<typeof openEnvelope>): PreparedFrame {
  const { payload, header, contentMetaDataOctets, signatures } = envelope;
  const content = payload ?? new Uint8Array(0);
  const core = coreOfFrame(envelope, digestOf(content));
  const recipients = (header.recipients ?? []).flatMap(({ epk, wmk }) => [epk?.PublicKeyECDH?.Public, wmk]);
  const present = [header.Salt, ...recipients].filter((part) => part !== undefined);
  const [manifest] = signatures.flatMap(({ Manifest }) => Manifest ?? []);
  const proofs = manifest ?? new Uint8Array(0);
  const { body, signature } = manifest === undefined ? {} : decodeManifest(manifest);
  const signed = body && signature && { input: concat(manifestLabel, body, core), signature };
  return {
    long: [content, contentMetaDataOctets, concat(...present), new Uint8Array(coreBytes), proofs, longNode],
    short: [new Uint8Array(leafBytes), shortNode],
    signed,
  };
}

function checkFrames(frames: readonly PreparedFrame[], key: KeyObject): void {
  for (const { long, short, signed } of frames) {
    for (const octets of long) hash('sha512', octets, 'buffer');
    for (const octets of short) hash('sha256', octets, 'buffer');
    if (signed !== undefined && !verify(null, signed.input, key, signed.signature)) {
      throw new Error('a manifest of ours does not verify');
    }
  }
}
