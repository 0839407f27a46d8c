/** A domain that is not there: its name, its service, or the place that its DNS still names. */
import { freePorts } from '@meshd/dev/ports';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Federation, messagesSent, onceEach, type Sender, untilAttempted } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] messages to a domain that is gone', () => {
  it('wait while nobody knows its name, and arrive once each when it is there', async () => {
    const [sender, peer] = await Promise.all([federation.sender(), federation.peer()]);
    await peer.publish({ records: [] });
    const ids = await sender.send(messagesSent, peer.account('bob'));
    await waitsFor(sender, ids, 'discovery-none');
    await peer.publish();
    await federation.untilEnded(sender, ids, ['delivered'], peer.domain);
    await onceEach(sender, peer, ids);
  });

  it('wait while its DNS names a place where nobody is, and arrive once each at the next', async () => {
    const [sender, peer] = await Promise.all([federation.sender(), federation.peer()]);
    const [port] = (await freePorts(1)) as [number];
    await peer.publish(federation.zoneAt(peer.domain, port));
    const ids = await sender.send(messagesSent, peer.account('bob'));
    await waitsFor(sender, ids, 'transport');
    await peer.publish();
    await federation.untilEnded(sender, ids, ['delivered'], peer.domain);
    await onceEach(sender, peer, ids);
  });

  it('and says so in its DNS wait until they expire, or an operator gives them up: then the sender is told', async () => {
    const [sender, peer] = await Promise.all([federation.sender(), federation.peer()]);
    const none = { priority: 0, weight: 0, port: 0, target: '.' };
    await peer.publish({ records: [{ name: `_mmm._tcp.${peer.domain}`, type: 'SRV', data: none }] });
    const ids = await sender.send(messagesSent, peer.account('bob'));
    await waitsFor(sender, ids, 'discovery-refused');
    if (!federation.report.isOurs) return;
    await federation.operate('drop', peer.domain);
    await federation.untilEnded(sender, ids, ['refused']);
    expect([peer.taken, await sender.waiting(ids)]).toEqual([[], []]);
  });
});

async function waitsFor(sender: Sender, ids: readonly string[], reason: string): Promise<void> {
  const waiting = await untilAttempted(sender, ids);
  if (federation.report.isOurs) expect(waiting.map(({ Reason }) => Reason)).toContain(reason);
  expect(await sender.results(ids)).toEqual(['queued']);
}
