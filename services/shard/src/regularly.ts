import { sweepMs } from '@meshd/limits/limits';

/**
 * Does something at once, since time went on while the process did not run, and then every `sweepMs`, one turn at a time, until
 * the function returned is called; that ends the signal and waits for the turn under way.
 *
 * @param everyMs tests are quicker
 */
export function regularly(work: (signal: AbortSignal) => Promise<void>, everyMs = sweepMs): () => Promise<void> {
  const over = new AbortController();
  let turn: Promise<void> | undefined;
  const take = (): void => {
    turn ??= work(over.signal).finally(() => {
      turn = undefined;
    });
  };
  const timer = setInterval(take, everyMs);
  timer.unref();
  take();
  return async () => {
    clearInterval(timer);
    over.abort();
    await turn;
  };
}
