/** The worker is stopped in good order while it sends: what it has begun it ends, and the rest it gives back. */
import { controllerLimitStart } from '@meshd/limits/outbound';
import { laneOfRecipient } from '@meshd/schema/address';
import { expect, it, vi } from 'vitest';
import {
  expectResults,
  patience,
  programOf,
  sharedProviders,
  testMs,
  untilWaiting,
  waiting,
} from './infrastructure-kit.js';

const made = sharedProviders();

/** Twice as many names of one lane as Posts may be in work: those of the second half are leased and wait. */
const names = Array.from({ length: 400 }, (_, at) => `nobody${at}@beta.test`)
  .filter((name) => laneOfRecipient(name) === 0)
  .slice(0, 2 * controllerLimitStart);

it(
  '[R169] what was leased and not begun goes back without an attempt, and is sent as soon as a worker is there',
  async () => {
    const { alice, alpha, beta } = made();
    const worker = programOf(alpha, 'outbound');
    worker.signal('SIGSTOP');
    const ids: string[] = [];
    for (const address of names) ids.push(await alice.send({ address }));
    beta.door.mute();
    worker.signal('SIGCONT');
    await untilWaiting(alpha, (rows) => rows.length === names.length && rows.every((row) => row.lease_owner !== null));
    const stopped = alpha.processes.stopOne('outbound');
    await vi.waitFor(() => expect(worker.tail()).toContain('"stopping"'), patience);
    beta.door.open();
    expect(await stopped).toEqual({ code: 0, signal: null });
    const left = await waiting(alpha);
    expect(left.filter((row) => row.lease_owner !== null)).toEqual([]);
    expect(left.filter((row) => row.attempts === 0).length).toBeGreaterThanOrEqual(controllerLimitStart);
    await alpha.processes.startOne('outbound');
    // Nobody has these names: that is an end too, and the senders learn it.
    await expectResults(
      alice,
      ids,
      ids.map(() => 'refused'),
    );
    expect(await waiting(alpha)).toEqual([]);
  },
  testMs,
);
