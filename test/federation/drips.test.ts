/** A peer that answers an octet a second: the time of a transaction is one for all of it, however busy it looks. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { awkwardThenWell, Federation } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] [R174] [R177] messages to a peer that drips', () => {
  it('wait while it drips its Hello, and arrive once each', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'drip' }, reason: 'timeout' });
  });

  it('that it took while it dripped its answer arrive once each too', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'drip' }, reason: 'timeout', isKnown: true });
  });
});
