import { watchPauseMsMax, watchPauseMsMin, watchPollMs } from '@meshd/limits/client';
import { statusWaitMsMax } from '@meshd/limits/limits';
import { findAccount } from '../account-state.js';
import { Device } from '../device.js';
import type { ClientEnvironment } from '../environment.js';
import { ClientError } from '../errors.js';
import { Home } from '../home.js';
import { Session } from '../session.js';
import { type AccountView, askStatus, storedReplicas } from './account-status.js';
import { type SyncedContainer, syncAccount } from './sync.js';

/** How to watch. */
export interface WatchOptions {
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** Told of every container that has grown, verified and stored. */
  readonly onChange: (changed: readonly SyncedContainer[]) => void | Promise<void>;
  /** Told once the watch stands, and whenever it stands again. */
  readonly onWatching?: ((isAgain: boolean) => void) | undefined;
  /** Told why the service cannot be reached; it is tried again. */
  readonly onLost?: ((reason: string) => void) | undefined;
}

/** Waits, or until the signal. */
function pauseUntil(environment: ClientEnvironment, durationMs: number, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  return Promise.race([environment.pause(durationMs), aborted]);
}

const hasGrown = ({ fetchedCount }: SyncedContainer) => fetchedCount > 0;

/** What passes by itself: the service is away, or another command has the home. */
const passing: ReadonlySet<string> = new Set(['unavailable', 'busy']);
/** Refusals that say "again later": a router that is stopped ends its waits with one. */
const laterStatuses: ReadonlySet<number | undefined> = new Set([408, 429, 503, 504]);

const passes = (error: unknown): error is ClientError =>
  error instanceof ClientError && (passing.has(error.code) || laterStatuses.has(error.refusal?.status));

/** Waits for a change outside the lock: other commands use the home meanwhile. @returns what the service then shows */
async function waitForChange(device: Device, signal: AbortSignal): Promise<AccountView | undefined> {
  const { session } = device;
  if (await session.offers('wait')) {
    const known = await storedReplicas(device);
    return askStatus(device, { known, waitMs: statusWaitMsMax, signal });
  }
  await pauseUntil(session.environment, watchPollMs, signal);
  return undefined;
}

/**
 * Watches an account: waits at the service for a change (S83), fetches and verifies it, and tells of it; again until the
 * signal. The answer to the waiting request says already what to fetch, so a change is here one request after it. What is
 * lost is found again: after a cut the service is asked anew with what is known here.
 *
 * @throws ClientError for what does not pass by itself: a refusal, a rollback, a fork, a changed pin
 */
export async function watchAccount(
  folder: string,
  environment: ClientEnvironment,
  options: WatchOptions,
): Promise<void> {
  const { signal, onChange, onWatching, onLost } = options;
  const home = new Home(folder);
  const device = await openDevice(home, environment);
  let pauseMs = watchPauseMsMin;
  let isFirst = true;
  let isLost = false;
  let view: AccountView | undefined;
  try {
    while (!signal.aborted) {
      try {
        const synced = await syncLocked(home, device, view);
        view = undefined;
        const changed = synced.filter(hasGrown);
        if (changed.length > 0 && !isFirst) await onChange(changed);
        if (isFirst || isLost) onWatching?.(!isFirst);
        isFirst = false;
        isLost = false;
        pauseMs = watchPauseMsMin;
        if (!signal.aborted) view = await waitForChange(device, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!passes(error)) throw error;
        if (!isLost) onLost?.(error.message);
        isLost = true;
        await pauseUntil(environment, pauseMs, signal);
        pauseMs = Math.min(watchPauseMsMax, pauseMs * 2);
      }
    }
  } finally {
    await device.close();
  }
}

async function syncLocked(home: Home, device: Device, view: AccountView | undefined): Promise<SyncedContainer[]> {
  return home.exclusively(async () => {
    try {
      return await syncAccount(device, undefined, { view });
    } finally {
      await device.release();
    }
  });
}

async function openDevice(home: Home, environment: ClientEnvironment): Promise<Device> {
  const state = await findAccount(home);
  if (state === undefined) {
    throw new ClientError('usage', `no account in ${home.folder}; create one with: mesh account create NAME@DOMAIN`);
  }
  return new Device(await Session.open(home, environment, state));
}
