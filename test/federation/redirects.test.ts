/** A peer that sends elsewhere: between services nothing is followed (S74), and the messages wait. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awkwardThenWell, Federation } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] [S74] messages to a peer that redirects', () => {
  it('by HTTP go nowhere else, and arrive once each when it does not', async () => {
    await redirected('redirect', 'unsigned-error');
  });

  it('in an answer that it proves go nowhere else, and arrive once each when it does not', async () => {
    await redirected('redirect-signed', 'status-307');
  });
});

/** Sends the worker to another peer of the same kind, who must not be spoken to. */
async function redirected(behaviour: 'redirect' | 'redirect-signed', reason: string): Promise<void> {
  const elsewhere = await federation.peer();
  const redirectTo = `${elsewhere.sink.url}/.well-known/mmm`;
  await awkwardThenWell(federation, { conduct: { behaviour, redirectTo }, reason, isKnown: true });
  expect(elsewhere.sink.tally.counts).toMatchObject({ connections: 0, messages: 0 });
}
