/** A peer whose answer does not end: no more of it is read than any answer may have. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { awkwardThenWell, Federation } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] [R174] messages to a peer whose answer is too large', () => {
  it('wait, and arrive once each', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'oversized' }, reason: /response-too-large|timeout/ });
  });

  it('to their Post wait, and arrive once each', async () => {
    const conduct = { behaviour: 'oversized' } as const;
    await awkwardThenWell(federation, { conduct, reason: /response-too-large|timeout/, isKnown: true });
  });
});
