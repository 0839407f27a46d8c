/**
 * Reads a request body under bounds of size, memory and time (semantics 2.2, 8.4).
 *
 * A small body has one window of time; a large one must bring as much as a small one in every window, so that a slow
 * line can upload and a slow attacker cannot wait.
 */
import type { IncomingMessage } from 'node:http';
import { httpBodyBytesMax, httpBodyMsMax, httpBodyWindowBytesMin, httpBodyWindowMs } from '@meshd/limits/limits';
import { MeshError } from '@meshd/schema/status';
import type { Reservation } from './octet-budget.js';

/** Bounds of time, for tests that cannot wait. */
export interface BodyTimes {
  readonly windowMs: number;
  readonly windowBytesMin: number;
  readonly totalMs: number;
}

const timesDefault: BodyTimes = {
  windowMs: httpBodyWindowMs,
  windowBytesMin: httpBodyWindowBytesMin,
  totalMs: httpBodyMsMax,
};

/** The peer went away in the middle: there is nobody to answer. */
export class PeerGoneError extends Error {
  override readonly name = 'PeerGoneError';
}

/**
 * Reads the whole body.
 *
 * @param bytesStated `Content-Length`, where there is one
 * @param share takes the octets as they come; the caller gives them back
 * @throws MeshError `too-large`, `timeout`, `overloaded`, `rate-limited`; {@link PeerGoneError}
 */
export function readBody(
  request: IncomingMessage,
  bytesStated: number | undefined,
  share: Reservation,
  times: BodyTimes = timesDefault,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    let windowBytes = 0;
    let windowsMs = 0;
    let isOver = false;
    const leave = () => {
      isOver = true;
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
    };
    const fail = (error: Error) => {
      leave();
      request.pause();
      reject(error);
    };
    // One timer for both bounds.
    const afterWindow = () => {
      windowsMs += times.windowMs;
      if (windowBytes < times.windowBytesMin || windowsMs >= times.totalMs) {
        fail(new MeshError('timeout'));
        return;
      }
      windowBytes = 0;
      timer = setTimeout(afterWindow, Math.min(times.windowMs, times.totalMs - windowsMs));
    };
    let timer: NodeJS.Timeout | undefined;
    // Nearly every body came with its head, and is read before this turn of the event loop ends: it needs no timer at all.
    queueMicrotask(() => {
      if (!isOver) timer = setTimeout(afterWindow, Math.min(times.windowMs, times.totalMs));
    });
    const onData = (part: Buffer) => {
      bytes += part.length;
      windowBytes += part.length;
      try {
        if (bytes > httpBodyBytesMax) {
          throw new MeshError('too-large', `a body holds at most ${httpBodyBytesMax} octets`);
        }
        share.grow(part.length);
        parts.push(part);
      } catch (error) {
        fail(error as Error);
      }
    };
    const onEnd = () => {
      leave();
      const body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, bytes);
      if (bytesStated === undefined || bytes === bytesStated) resolve(body);
      else reject(new PeerGoneError('the body ended early'));
    };
    const onClose = () => fail(new PeerGoneError('the connection was closed'));
    request.on('data', onData).once('end', onEnd).once('close', onClose).once('error', onClose);
  });
}
