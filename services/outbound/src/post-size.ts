/**
 * How much goes into one Post: what the destination's line carried lately within `postTargetMs`. Gathering saves signatures
 * and round trips where the line is fast; on a slow one a large Post would run into its deadline with all that is in it.
 */
import { messageBytesMax, outboundTransactionMsMax } from '@meshd/limits/limits';
import { postBytesMax, postTargetMs } from '@meshd/limits/outbound';

/** Octets a second that one Post got lately; undefined before the first. */
export type PostRate = number | undefined;

/** Weight of the newest Post. */
const newestShare = 0.25;

/**
 * The rate after one more Post.
 *
 * @param bytes of its messages
 * @param tookMs until its answer was there, or until it was given up
 */
export function afterPost(rate: PostRate, bytes: number, tookMs: number, isDone: boolean): PostRate {
  // One that was given up carried less than it was given, nobody knows how much.
  const seen = ((isDone ? 1 : 0.5) * bytes * 1000) / Math.max(tookMs, 1);
  return rate === undefined ? seen : rate + newestShare * (seen - rate);
}

/**
 * Octets of messages for the next Post; one message always goes, whatever its size. Small messages go together as far as a full
 * one would, unless that is likely to take half of a transaction's time or more: a peer that is slow with each message, however
 * small, would get none of them otherwise.
 */
export function nextPostBytes(rate: PostRate): number {
  if (rate === undefined) return messageBytesMax;
  const likely = (rate * postTargetMs) / 1000;
  const least = Math.min(messageBytesMax, (rate * outboundTransactionMsMax) / 2 / 1000);
  return Math.round(Math.min(Math.max(likely, least, 1), postBytesMax));
}
