/** When octets come out at the far end of a line, if each waits for those before it. Pure but for what it remembers. */
export class Pace {
  readonly #bitsPerSecond: number;
  /** When the line has sent all that it was given. */
  #freeMs = 0;

  constructor(bitsPerSecond: number) {
    this.#bitsPerSecond = bitsPerSecond;
  }

  /**
   * Sends octets.
   *
   * @returns when the last of them is through, in the milliseconds of `nowMs`
   */
  take(bytes: number, nowMs: number): number {
    this.#freeMs = Math.max(this.#freeMs, nowMs) + (bytes * 8 * 1000) / this.#bitsPerSecond;
    return this.#freeMs;
  }
}
