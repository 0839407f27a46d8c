/** A peer that has no time and says when to come again. */

import { unsignedPauseMsMax } from '@meshd/limits/limits';
import type { Conduct } from '@meshd/load/sink/behaviour';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Federation, messagesSent, onceEach, untilAttempted } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

/** More than a first failure lets a destination rest, less than a test may take. */
const hintSeconds = 15;

describe.concurrent('[R169] messages to a peer that is busy', () => {
  it('and proves it wait for as long as it asks', async () => {
    const conduct = { behaviour: 'busy', retryAfterSeconds: hintSeconds } as const;
    const nextMs = await waitsForHint(conduct, 'status-503');
    expect(nextMs).toBeGreaterThan((hintSeconds - 5) * 1000);
    expect(nextMs).toBeLessThanOrEqual(hintSeconds * 1000);
  });

  it('and cannot prove it wait too, as nobody can be made to wait for long by that', async () => {
    const conduct = { behaviour: 'busy-unsigned', retryAfterSeconds: 86_400 } as const;
    expect(await waitsForHint(conduct, 'unsigned-error')).toBeLessThanOrEqual(unsignedPauseMsMax);
  });

  it('once are sent again without anybody doing anything', async () => {
    const peer = await federation.peer({ behaviour: 'busy', on: 'Post', times: 1, retryAfterSeconds: 1 });
    const sender = await federation.sender();
    const ids = await sender.send(messagesSent, peer.account('bob'));
    await federation.untilEnded(sender, ids, ['delivered']);
    expect(peer.met).toBe(1);
    await onceEach(sender, peer, ids);
  });
});

/** @returns how far away the next attempt was when the sender was told of it, milliseconds */
async function waitsForHint(conduct: Conduct, reason: string): Promise<number> {
  const [sender, peer] = await Promise.all([federation.sender(), federation.peer()]);
  const first = await sender.send(1, peer.account('bob'));
  await federation.untilEnded(sender, first, ['delivered']);
  peer.sink.behave(conduct);
  const ids = await sender.send(messagesSent, peer.account('bob'));
  const [waiting] = await untilAttempted(sender, ids);
  const nextMs = (waiting?.Next?.getTime() ?? Number.NaN) - Date.now();
  if (federation.report.isOurs) expect(waiting?.Reason).toBe(reason);
  peer.sink.behave({ behaviour: 'well' });
  await federation.untilEnded(sender, ids, ['delivered'], peer.domain);
  await onceEach(sender, peer, [...first, ...ids]);
  return nextMs;
}
