/** A peer whose answers are true and belong to other requests: nothing may be concluded from them (S22). */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { awkwardThenWell, Federation } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] [S22] messages to a peer that answers another request', () => {
  it('with a signature for that other one wait, and arrive once each', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'other-request' }, reason: 'response-refused' });
  });

  it('than their Post wait, and arrive once each', async () => {
    const conduct = { behaviour: 'other-request' } as const;
    await awkwardThenWell(federation, { conduct, reason: 'response-refused', isKnown: true });
  });

  it('by its ID alone wait, and arrive once each', async () => {
    await awkwardThenWell(federation, {
      conduct: { behaviour: 'wrong-id' },
      reason: 'response-refused',
      isKnown: true,
    });
  });
});
