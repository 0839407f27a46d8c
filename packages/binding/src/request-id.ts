/** The `ID` of a request (encoding 6.4): 8 octets of time, 16 random octets. */
import { concat, u64 } from '@meshd/crypto/digest';
import type { Random } from '@meshd/crypto/random';
import { clockSkewMsMax, requestIdBytes } from '@meshd/limits/limits';

const timeBytes = 8;

/** A fresh `ID` for a request sent at `nowMs` (milliseconds since 1970, UTC). */
export function makeRequestId(nowMs: number, random: Random): Uint8Array {
  return concat(u64(nowMs), random(requestIdBytes - timeBytes));
}

/** Whether the octets have the form of an `ID`. */
export function isRequestId(id: Uint8Array | undefined): id is Uint8Array {
  return id?.length === requestIdBytes;
}

/**
 * Whether the time in an `ID` is near enough to ours (S27).
 *
 * The comparison is done on integers of any size: a hostile time of 2^64 − 1 must not round into something acceptable.
 */
export function isTimely(id: Uint8Array, nowMs: number): boolean {
  const sentMs = Buffer.from(id.buffer, id.byteOffset, id.byteLength).readBigUInt64BE(0);
  const differenceMs = sentMs - BigInt(nowMs);
  return (differenceMs < 0n ? -differenceMs : differenceMs) <= BigInt(clockSkewMsMax);
}
