/** A peer that says the right thing and proves nothing: anybody between the two could have said it (S22, S75). */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { awkwardThenWell, Federation } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] [S22] [S75] messages to a peer that does not sign', () => {
  it('its Hello wait, and arrive once each when it does', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'unsigned' }, reason: 'unsigned-error' });
  });

  it('its answer to their Post are not believed to be there, and arrive once each', async () => {
    await awkwardThenWell(federation, { conduct: { behaviour: 'unsigned' }, reason: 'unsigned-error', isKnown: true });
  });
});
