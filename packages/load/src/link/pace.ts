/**
 * When octets come out at the far end of a line, if each waits for those before it. Timers come late: what the line missed
 * thereby, up to a burst, it makes up for, as a token bucket does. Pure but for what it remembers.
 */
export class Pace {
  readonly #bitsPerSecond: number;
  readonly #burstMs: number;
  /** When the line has sent all that it was given. */
  #freeMs = Number.NEGATIVE_INFINITY;

  /** @param burstBytes let pass at once after a pause */
  constructor(bitsPerSecond: number, burstBytes: number) {
    this.#bitsPerSecond = bitsPerSecond;
    this.#burstMs = this.#msOf(burstBytes);
  }

  /**
   * Sends octets.
   *
   * @returns when the last of them is through, in the milliseconds of `nowMs`
   */
  take(bytes: number, nowMs: number): number {
    this.#freeMs = Math.max(this.#freeMs, nowMs - this.#burstMs) + this.#msOf(bytes);
    return this.#freeMs;
  }

  #msOf(bytes: number): number {
    return (bytes * 8 * 1000) / this.#bitsPerSecond;
  }
}
