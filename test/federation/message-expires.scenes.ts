/** A message's time ends while it waits, in whatever queue: it ends, and its sender is told. */
import { messageMsMax } from '@meshd/limits/limits';
import { expect, it } from 'vitest';
import {
  changeDatabase,
  expectResults,
  nowhere,
  programOf,
  sharedProviders,
  testMs,
  untilWaiting,
  waiting,
} from './infrastructure-kit.js';

const made = sharedProviders();

const hourMs = 3600 * 1000;
const insertDestination = `INSERT INTO destination (domain, failures, failing_since_ms, last_failure_ms, next_attempt_ms, held)
  VALUES ($1, $2, $3, coalesce($3::bigint, 0), $4, $5)`;

it(
  '[R169] expires when new, behind others, resting, held, gone or left by a dead worker; one on its way when its lease ends',
  async () => {
    const { alice, alpha } = made();
    const nowMs = Date.now();
    await changeDatabase(
      alpha,
      [insertDestination, 'held.test', 0, null, 0, true],
      [insertDestination, 'gone.test', 40, nowMs - 25 * hourMs, nowMs + hourMs, false],
    );
    const send = (address: string): Promise<string> => alice.send({ address });
    const waits = {
      resting: await send(`carol@${nowhere}`),
      held: await send('carol@held.test'),
      gone: await send('carol@gone.test'),
      onItsWay: await send('carol@way.test'),
    };
    await untilWaiting(alpha, (rows) => rows.some((row) => row.recipient === `carol@${nowhere}` && row.attempts > 0));
    const worker = programOf(alpha, 'outbound');
    worker.signal('SIGSTOP');
    const later = {
      isNew: await send('carol@new.test'),
      leftBehind: await send('carol@left.test'),
      behind: await send('carol@way.test'),
    };
    const onItsWay = waits.onItsWay;
    const lease = 'UPDATE outbox SET lease_owner = $1, lease_until_ms = $2 WHERE message_id = $3';
    await changeDatabase(
      alpha,
      [lease, 'dead', 1, later.leftBehind],
      [lease, 'alive', Date.now() + hourMs, onItsWay],
      [
        'UPDATE outbox SET queued_at_ms = queued_at_ms - $1::bigint, expires_at_ms = expires_at_ms - $1::bigint',
        messageMsMax,
      ],
    );
    const ids = [...Object.values(waits), ...Object.values(later)];
    await expectResults(
      alice,
      ids,
      ids.map((id) => (id === onItsWay ? 'queued' : 'expired')),
    );
    expect((await waiting(alpha)).map((row) => row.message_id)).toEqual([onItsWay]);
    await changeDatabase(alpha, [lease, 'alive', 1, onItsWay]);
    await expectResults(alice, [onItsWay], ['expired']);
    expect(await waiting(alpha)).toEqual([]);
    worker.signal('SIGCONT');
  },
  testMs,
);
