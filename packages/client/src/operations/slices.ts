import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { frameSliceBytes } from '@meshd/limits/client';
import { uploadPayloadBytesMax } from '@meshd/limits/limits';
import type { ContainerUpdate } from '@meshd/schema/common';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import type { Home } from '../home.js';
import { octetsToText, textToOctets } from '../octet-text.js';
import { requireSuccess } from '../session.js';

/** A frame that is being fetched in slices: everything but the payload, which grows in a file of its own. */
interface StoredPart {
  version: 1;
  frameIndex: number;
  /** The envelope without its payload, in JSON. */
  shell: string;
}

const partPath = (container: string) => ['containers', `${container}.part`] as const;
const shellPath = (container: string) => ['containers', `${container}.part.json`] as const;

async function forgetPart(home: Home, container: string): Promise<void> {
  await home.remove(...shellPath(container));
  await home.remove(...partPath(container));
}

/** What an earlier run got of this frame. */
async function loadPart(
  home: Home,
  container: string,
  frameIndex: number,
): Promise<{ shell: EnvelopeOctets; payload: Uint8Array } | undefined> {
  const stored = await home.readJson<StoredPart>(...shellPath(container)).catch(() => undefined);
  const payload = await home.read(...partPath(container));
  if (stored?.version !== 1 || stored.frameIndex !== frameIndex || payload === undefined) return undefined;
  return { shell: readEnvelope(textToOctets(stored.shell)), payload };
}

/** Whether an earlier run began to fetch this frame in slices. */
export async function hasPart(device: Device, container: string, frameIndex: number): Promise<boolean> {
  return (await loadPart(device.session.home, container, frameIndex)) !== undefined;
}

const withoutPayload = (envelope: EnvelopeOctets): EnvelopeOctets => ({ ...envelope, payload: new Uint8Array(0) });
const sameShell = (a: EnvelopeOctets, b: EnvelopeOctets) =>
  Buffer.compare(writeEnvelope(withoutPayload(a)), writeEnvelope(withoutPayload(b))) === 0;

async function fetchSlice(
  device: Device,
  container: string,
  frameIndex: number,
  offset: number,
): Promise<{ update: ContainerUpdate; slice: EnvelopeOctets; heads: EnvelopeOctets | undefined }> {
  const response = await device.session.call('Download', {
    Select: [{ Container: container, IndexMin: frameIndex, IndexMax: frameIndex }],
    ConstraintsPost: { BytesOffset: offset, BytesMax: frameSliceBytes },
  });
  requireSuccess(`Download of ${container}`, response);
  const update = response.message.Updates?.[0];
  const slice = update?.Envelopes?.[0];
  if (update?.Container !== container || slice === undefined) {
    throw new ClientError('unavailable', `the service gives no frame ${frameIndex} of ${container}; try again later`);
  }
  return { update, slice, heads: response.message.EnvelopedHeads };
}

/**
 * Fetches one frame in slices of its payload. Each slice is on disk before the next is asked for, so that a cut, also of
 * the process, costs one slice at most. Whether the whole is the frame, the reader decides by its digest.
 *
 * @returns the service's last answer, with the whole frame in it
 */
export async function fetchSliced(
  device: Device,
  container: string,
  frameIndex: number,
): Promise<{ update: ContainerUpdate; heads: EnvelopeOctets | undefined }> {
  const { home, environment } = device.session;
  let part = await loadPart(home, container, frameIndex);
  for (;;) {
    const offset = part?.payload.length ?? 0;
    const { update, slice, heads } = await fetchSlice(device, container, frameIndex, offset);
    const octets = slice.payload ?? new Uint8Array(0);
    if (part === undefined) {
      await forgetPart(home, container);
      const shell = withoutPayload(slice);
      const stored: StoredPart = { version: 1, frameIndex, shell: octetsToText(writeEnvelope(shell)) };
      await home.writeJson(stored, ...shellPath(container));
      part = { shell, payload: new Uint8Array(0) };
    } else if (!sameShell(part.shell, slice)) {
      await forgetPart(home, container);
      throw new ClientError('frame', `the slices of frame ${frameIndex} of ${container} are not of one frame`);
    }
    await home.append(octets, ...partPath(container));
    part = { shell: part.shell, payload: Buffer.concat([part.payload, octets]) };
    environment.progress(`${container} ${frameIndex}`, part.payload.length, part.payload.length);
    if (part.payload.length > uploadPayloadBytesMax) {
      await forgetPart(home, container);
      throw new ClientError('frame', `frame ${frameIndex} of ${container} is larger than any can be`);
    }
    if (octets.length < frameSliceBytes) {
      await forgetPart(home, container);
      return { update: { ...update, Envelopes: [{ ...part.shell, payload: part.payload }] }, heads };
    }
  }
}
