/** A peer whose answers are no answers. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { awkwardThenWell, Federation } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] messages to a peer that answers garbage', () => {
  it('under the media type of an answer wait, and arrive once each', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'garbage' }, reason: 'response-form' });
  });

  it('to their Post wait, and arrive once each', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'garbage' }, reason: 'response-form', isKnown: true });
  });

  it('that is not even HTTP wait, and arrive once each', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'noise' }, reason: 'transport', isKnown: true });
  });
});
