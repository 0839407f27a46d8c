import { bytesPerAccountMax, containersPerAccountMax, framesPerAccountMax } from '@meshd/limits/limits';
import { type EntryFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';

/** What an account holds. */
export interface Usage {
  /** Octets of headers, payloads and trailers. */
  readonly bytes: number;
  readonly frameCount: number;
  readonly containerCount: number;
}

/** What an account may hold. */
export interface Quota {
  readonly bytesMax: number;
  readonly framesMax: number;
  readonly containersMax: number;
}

/** The quota of an account for which nothing else was agreed. */
export const defaultQuota: Quota = {
  bytesMax: bytesPerAccountMax,
  framesMax: framesPerAccountMax,
  containersMax: containersPerAccountMax,
};

/**
 * Adds a batch to what an account holds.
 *
 * @param opens whether the batch makes a container.
 * @returns the usage with the batch, or a fault at the first entry that no longer fits.
 */
export function chargeBatch(
  usage: Usage,
  quota: Quota,
  frames: readonly UploadedFrame[],
  opens: boolean,
): Usage | EntryFault {
  const containerCount = usage.containerCount + (opens ? 1 : 0);
  if (containerCount > quota.containersMax) {
    return reject(frames[0]?.indexRequest ?? 0, 'quota', `an account has at most ${quota.containersMax} containers`);
  }
  let { bytes, frameCount } = usage;
  for (const frame of frames) {
    bytes += frame.sizeBytes;
    frameCount += 1;
    if (bytes > quota.bytesMax) return reject(frame.indexRequest, 'quota', `over ${quota.bytesMax} octets`);
    if (frameCount > quota.framesMax) return reject(frame.indexRequest, 'quota', `over ${quota.framesMax} frames`);
  }
  return { bytes, frameCount, containerCount };
}
