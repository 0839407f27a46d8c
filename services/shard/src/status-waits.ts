import {
  statusWaitMsMax,
  statusWaitsMax,
  statusWaitsPerAccountMax,
  statusWaitsPerDeviceMax,
} from '@meshd/limits/limits';
import { MeshError } from '@meshd/schema/status';
import { keyText, type Store } from './storage/store.js';

/** Who waits. */
export interface Waiter {
  /** Canonical address. */
  readonly account: string;
  /** Raw authentication key of the device. */
  readonly key: Uint8Array;
}

/** One request that waits. End it, whatever happens. */
export interface StatusWait {
  /** Whether the time is over. */
  isOver(): boolean;
  /**
   * Resolves at the next commit of the account, also if it was since the last call, or when the time is over.
   *
   * @throws MeshError `shutting-down`.
   */
  next(): Promise<void>;
  end(): void;
}

/**
 * Requests that wait for a change of their account (S83): woken by the commits of this process, which is the only writer
 * of its accounts; bounded for each device and account; ended with the process.
 */
export class StatusWaits {
  readonly #counts = new Map<string, number>();
  readonly #wakes = new Set<() => void>();
  #stopped = false;

  get count(): number {
    return this.#wakes.size;
  }

  /** Ends all that wait; they are told to come back. */
  stop(): void {
    this.#stopped = true;
    for (const wake of this.#wakes) wake();
  }

  /**
   * Begins to wait.
   *
   * @param waitMs cut to the longest there is.
   * @param signal fires when nobody waits for the answer any more.
   * @throws MeshError `rate-limited` (429) when the device or account waits too often already, `shutting-down`.
   */
  begin(store: Pick<Store, 'watchAccount'>, { account, key }: Waiter, waitMs: number, signal: AbortSignal): StatusWait {
    if (this.#stopped) throw new MeshError('shutting-down');
    if (this.#wakes.size >= statusWaitsMax) throw new MeshError('overloaded', '', { resource: 'waiting requests' });
    const device = `${account} ${keyText(key)}`;
    const isFull =
      this.#countOf(device) >= statusWaitsPerDeviceMax || this.#countOf(account) >= statusWaitsPerAccountMax;
    if (isFull) throw new MeshError('rate-limited', 'too many waiting requests');
    let over = false;
    let pending = false;
    let resolveNext: (() => void) | undefined;
    const wake = (): void => {
      pending = true;
      resolveNext?.();
    };
    const stopWatching = store.watchAccount(account, wake);
    // The timer alone says that the time is over: it may fire before a clock would agree, and it fires once.
    const timer = setTimeout(
      () => {
        over = true;
        wake();
      },
      Math.min(waitMs, statusWaitMsMax),
    );
    signal.addEventListener('abort', wake);
    this.#wakes.add(wake);
    for (const name of [device, account]) this.#counts.set(name, this.#countOf(name) + 1);
    return {
      isOver: () => over || signal.aborted,
      next: async () => {
        if (!pending && !signal.aborted && !this.#stopped) {
          await new Promise<void>((resolve) => {
            resolveNext = resolve;
          });
        }
        pending = false;
        if (this.#stopped) throw new MeshError('shutting-down');
      },
      end: () => {
        clearTimeout(timer);
        stopWatching();
        signal.removeEventListener('abort', wake);
        this.#wakes.delete(wake);
        for (const name of [device, account]) this.#release(name);
      },
    };
  }

  #countOf(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  #release(name: string): void {
    const left = this.#countOf(name) - 1;
    if (left > 0) this.#counts.set(name, left);
    else this.#counts.delete(name);
  }
}
