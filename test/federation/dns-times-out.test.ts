/** A domain whose name servers do not answer: discovery is part of a transaction, and must end with it. */
import type { ZoneFault } from '@meshd/dev/dns-zone';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Federation, messagesSent, onceEach, untilAttempted } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] [R177] messages to a domain whose DNS', () => {
  it('says nothing wait, and arrive once each when it answers', async () => {
    await whileNameServers('silent', (domain) => `_mmm._tcp.${domain}`);
  });

  it('says nothing of the host wait, and arrive once each when it answers', async () => {
    await whileNameServers('silent', (domain) => `host.${domain}`);
  });

  it('has failed wait, and arrive once each when it answers', async () => {
    await whileNameServers('servfail', (domain) => `_mmm._tcp.${domain}`);
  });
});

/** Sends while a name has a fault, and has it mended. */
async function whileNameServers(fault: ZoneFault, nameOf: (domain: string) => string): Promise<void> {
  const [sender, peer] = await Promise.all([federation.sender(), federation.peer()]);
  const zone = federation.zoneAt(peer.domain, peer.sink.address.port);
  await peer.publish({ ...zone, faults: { [nameOf(peer.domain)]: fault } });
  const ids = await sender.send(messagesSent, peer.account('bob'));
  const waiting = await untilAttempted(sender, ids);
  if (federation.report.isOurs) expect(waiting.map(({ Reason }) => Reason)).toContain('discovery-failed');
  expect(await sender.results(ids)).toEqual(['queued']);
  await peer.publish();
  await federation.untilEnded(sender, ids, ['delivered'], peer.domain);
  await onceEach(sender, peer, ids);
}
