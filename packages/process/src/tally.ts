interface Told {
  readonly untilMs: number;
  more: number;
}

/** How seldom a {@link Tally} tells. */
export interface TallyOptions {
  /** Of one subject not more often than this. */
  readonly everyMs: number;
  /** Subjects that are remembered; the oldest give way. */
  readonly subjectsMax: number;
}

/**
 * What others can cause at will: of each subject it is told at once, then at most once in a time, with the number of those
 * between.
 */
export class Tally {
  readonly #options: TallyOptions;
  readonly #told = new Map<string, Told>();

  constructor(options: TallyOptions) {
    this.#options = options;
  }

  /**
   * Counts what happened.
   *
   * @returns how often it happened since it was told last, this included; undefined where it is not to be told now
   */
  count(subject: string, nowMs: number, times = 1): number | undefined {
    const told = this.#told.get(subject);
    if (told !== undefined && nowMs < told.untilMs) {
      told.more += times;
      return undefined;
    }
    this.#told.delete(subject);
    const [oldest] = this.#told.keys();
    if (oldest !== undefined && this.#told.size >= this.#options.subjectsMax) this.#told.delete(oldest);
    this.#told.set(subject, { untilMs: nowMs + this.#options.everyMs, more: 0 });
    return (told?.more ?? 0) + times;
  }
}
