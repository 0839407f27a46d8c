/** A domain whose DNS points into our own network: nobody may knock there through us (S70). */
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Federation, messagesSent, onceEach, untilAttempted } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

/** An address of this machine that is not opened to peers, unlike the one that they are given. */
const closed = '127.0.0.2';

describe('[R169] [S70] messages to a domain whose DNS points to a private address', () => {
  it('wait without a connection to it, and arrive once each when it points to the peer', async () => {
    const [sender, peer] = await Promise.all([federation.sender(), federation.peer()]);
    let knocks = 0;
    const inside = createServer((socket) => {
      knocks += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => inside.listen(0, closed, resolve));
    try {
      await peer.publish(federation.zoneAt(peer.domain, (inside.address() as AddressInfo).port, closed));
      const ids = await sender.send(messagesSent, peer.account('bob'));
      const waiting = await untilAttempted(sender, ids);
      if (federation.report.isOurs) expect(waiting.map(({ Reason }) => Reason)).toContain('discovery-private');
      expect(await sender.results(ids)).toEqual(['queued']);
      await peer.publish();
      await federation.untilEnded(sender, ids, ['delivered'], peer.domain);
      await onceEach(sender, peer, ids);
      expect(knocks).toBe(0);
    } finally {
      inside.close();
    }
  });
});
