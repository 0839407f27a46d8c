import { randomBytes } from 'node:crypto';

/** A source of `length` fresh random octets. Passed in wherever octets are drawn, so that tests can repeat a run. */
export type Random = (length: number) => Uint8Array;

/** The operating system's generator: the only source used outside tests. */
export const systemRandom: Random = (length) => randomBytes(length);
