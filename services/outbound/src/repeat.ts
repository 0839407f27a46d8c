/** Work that is done over and over while the process lives. */
import { setTimeout as sleep } from 'node:timers/promises';

/** What {@link repeat} needs. */
export interface RepeatOptions {
  /** Between the end of one run and the next, milliseconds. */
  readonly everyMs: number;
  /** A run failed; the next comes all the same. */
  readonly onError: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Repeats until the signal fires; the promise resolves when the last run has ended. */
export async function repeat(run: () => Promise<unknown>, { everyMs, onError, signal }: RepeatOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      await run();
    } catch (error) {
      if (!signal.aborted) onError(error);
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
