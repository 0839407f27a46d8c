/** A peer with a certificate of another name, under an authority that is trusted: it is told nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awkwardThenWell, Federation, messagesSent } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] [S74] messages to a peer with a wrong certificate', () => {
  it('are not shown to it, and arrive once each when it has the right one', async () => {
    const { peer } = await awkwardThenWell(federation, {
      ...{ conduct: { behaviour: 'wrong-certificate' }, reason: 'transport' },
    });
    expect(peer.sink.tally.counts.failedHandshakes).toBeGreaterThan(0);
  });

  it('that was the right one before are not shown to it either', async () => {
    const conduct = { behaviour: 'wrong-certificate' } as const;
    const { peer } = await awkwardThenWell(federation, { conduct, reason: 'transport', isKnown: true });
    const { requests, copies } = peer.sink.tally.counts;
    // While the certificate was wrong nothing was posted, so nothing came twice.
    expect([copies, requests.Post]).toEqual([1 + messagesSent, expect.any(Number)]);
  });
});
