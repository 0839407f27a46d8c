/** A peer that takes a request, or only a connection, and says nothing more: given up after 5 s (draft 9.1.2.1). */
import { outboundTransactionMsMax } from '@meshd/limits/limits';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awkwardThenWell, Federation } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] [R174] [R177] messages to a peer that accepts and then hangs', () => {
  it('wait while it hangs at the first Hello, and arrive once each', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'hang' }, reason: 'timeout' });
  });

  it('wait while it hangs at a Post', async () => {
    const conduct = { behaviour: 'hang' } as const;
    const { failedAfterMs } = await awkwardThenWell(federation, { conduct, reason: 'timeout', isKnown: true });
    if (federation.report.isOurs) expect(failedAfterMs).toBeGreaterThanOrEqual(outboundTransactionMsMax);
  });

  it('wait while it accepts connections and does not even speak TLS', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'mute' }, reason: /timeout|transport/ });
  });
});
