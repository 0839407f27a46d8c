/**
 * How every figure of `npm run bench` is measured: a value of ours stands beside its limit, which a bare program reaches
 * on the same machine in the same run. Both are measured by turns, whoever went first last time goes second now, and the
 * median over the rounds counts. One JSON line a figure; a target that is not met is said, not hidden.
 */

/** What a round gives: both in the figure's unit. */
export interface Round {
  readonly value: number;
  readonly limit: number;
}

/** A figure under measurement. */
export interface Measurement {
  /** One round; `flip` is true in every second one, for those who go by turns. */
  round(flip: boolean): Promise<Round> | Round;
  /** Anything else worth a member of the line, asked for at the end. */
  details?(): Record<string, unknown>;
  /** Frees what was prepared. */
  stop?(): Promise<void>;
}

/** A figure that cannot be measured on this machine, and why in a few words. */
export interface Skipped {
  readonly skipped: string;
}

/** One figure of the table. */
export interface Figure {
  readonly name: string;
  /** Unit of value and limit, named last: `envelopesPerSecond`, `nsPerAppend`. */
  readonly unit: string;
  /** What value / limit is to reach. */
  readonly target: number;
  readonly direction: 'at least' | 'at most';
  /** What the limit is, in a few words. */
  readonly limitIs: string;
  /** Rounds that count; at least 5. */
  readonly rounds?: number;
  prepare(): Promise<Measurement | Skipped> | Measurement;
}

/** The line that is printed. */
export interface FigureLine {
  readonly figure: string;
  readonly unit: string;
  readonly value: number;
  readonly limit: number;
  readonly limitIs: string;
  readonly ratio: number;
  readonly target: string;
  readonly met: boolean;
  /** Smallest and largest over the rounds. */
  readonly spread: {
    readonly value: readonly number[];
    readonly limit: readonly number[];
    readonly ratio: readonly number[];
  };
  readonly rounds: number;
}

const roundsMin = 5;

/** The median; of an even count the mean of the middle two. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((left, right) => left - right);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new RangeError('no numbers');
  return (low + high) / 2;
}

function rounded(number: number): number {
  return Number(number.toPrecision(4));
}

function spreadOf(numbers: readonly number[]): number[] {
  return [rounded(Math.min(...numbers)), rounded(Math.max(...numbers))];
}

/** Measures one figure. */
export async function measure(
  figure: Figure,
): Promise<(FigureLine & Record<string, unknown>) | (Skipped & { readonly figure: string })> {
  const measurement = await figure.prepare();
  if ('skipped' in measurement) return { figure: figure.name, skipped: measurement.skipped };
  const count = Math.max(figure.rounds ?? roundsMin, roundsMin);
  try {
    // The first round warms caches and compiler and does not count.
    await measurement.round(false);
    const rounds: Round[] = [];
    for (let at = 0; at < count; at += 1) rounds.push(await measurement.round(at % 2 === 1));
    const ratios = rounds.map(({ value, limit }) => value / limit);
    const ratio = median(ratios);
    return {
      figure: figure.name,
      unit: figure.unit,
      value: rounded(median(rounds.map(({ value }) => value))),
      limit: rounded(median(rounds.map(({ limit }) => limit))),
      limitIs: figure.limitIs,
      ratio: rounded(ratio),
      target: `${figure.direction} ${figure.target}`,
      met: figure.direction === 'at least' ? ratio >= figure.target : ratio <= figure.target,
      spread: {
        value: spreadOf(rounds.map(({ value }) => value)),
        limit: spreadOf(rounds.map(({ limit }) => limit)),
        ratio: spreadOf(ratios),
      },
      rounds: count,
      ...measurement.details?.(),
    };
  } finally {
    await measurement.stop?.();
  }
}

/** Seconds that an action takes. */
export function secondsOf(action: () => void): number {
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

/** Work on items `from` to `to` - 1. */
export type Work = (from: number, to: number) => void;

/**
 * Two rates over the same items, by turns slice after slice: what else the machine does meanwhile falls on both.
 *
 * @param items how many items a round works on.
 * @param sliceItems how many before the other takes its turn; some ten milliseconds of work.
 */
export function byTurns(items: number, sliceItems: number, value: Work, limit: Work): Measurement {
  return {
    round(flip) {
      let valueSeconds = 0;
      let limitSeconds = 0;
      for (let from = 0; from < items; from += sliceItems) {
        const to = Math.min(from + sliceItems, items);
        if (flip) limitSeconds += secondsOf(() => limit(from, to));
        valueSeconds += secondsOf(() => value(from, to));
        if (!flip) limitSeconds += secondsOf(() => limit(from, to));
      }
      return { value: items / valueSeconds, limit: items / limitSeconds };
    },
  };
}
