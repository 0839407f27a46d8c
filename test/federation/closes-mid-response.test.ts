/** A peer that closes the connection before its answer is complete: what it took, nobody knows. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { awkwardThenWell, Federation } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] messages to a peer that closes the connection', () => {
  it('in the middle of its Hello wait, and arrive once each', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'cut' }, reason: 'transport' });
  });

  it('in the middle of its answer to a Post are sent again, and are the same for it', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'cut' }, reason: 'transport', isKnown: true });
  });

  it('in the place of its answer to a Post are sent again, and are the same for it', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'lose', on: 'Post' }, reason: 'transport' });
  });
});
