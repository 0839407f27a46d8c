/** Waiting for something to become true. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Options of {@link waitFor}. */
export interface WaitOptions {
  /** What is awaited, for the message when it does not come. */
  readonly what: string;
  readonly deadlineMs: number;
  /** Pause between two looks. */
  readonly pauseMs?: number;
  /** Asked at every look; a text means that waiting has become pointless, and why. */
  readonly hopeless?: () => string | undefined;
}

/**
 * Asks again and again until the answer is not undefined. An error counts as "not yet" and is told when time is over.
 *
 * @throws Error when the deadline passes or `hopeless` says so
 */
export async function waitFor<T>(ask: () => Promise<T | undefined>, options: WaitOptions): Promise<T> {
  const endMs = performance.now() + options.deadlineMs;
  let last = '';
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = `: ${(error as Error).message}`;
    }
    const reason = options.hopeless?.();
    if (reason !== undefined) throw new Error(`${options.what}: ${reason}`);
    if (performance.now() > endMs)
      throw new Error(`${options.what} did not come within ${options.deadlineMs} ms${last}`);
    await sleep(options.pauseMs ?? 50);
  }
}
