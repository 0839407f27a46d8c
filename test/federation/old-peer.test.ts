/** A peer from before authentication: it can prove nothing it says, so nothing is sent to it, and the sender learns why (S75). */
import { refusalText } from '@meshd/client/refusal-text';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Federation } from './federation-kit.js';

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.open();
});
afterAll(() => federation?.stop());

describe.concurrent('[R169] [S75] messages to a peer that does not offer auth-1', () => {
  it('come back at once, with that reason, and are never sent', async () => {
    const [sender, peer] = await Promise.all([federation.sender(), federation.peer({ behaviour: 'old' })]);
    const ids = await sender.send(2, peer.account('bob'));
    await federation.untilEnded(sender, ids, ['refused']);
    expect(peer.sink.tally.counts.requests).not.toHaveProperty('Post');
    if (!federation.report.isOurs) return;
    const fates = [...(await sender.fates(ids)).values()];
    expect(fates.map((fate) => refusalText(fate?.statusExtended))).toEqual(
      ids.map(() => 'the service of the recipient cannot prove its answers (26)'),
    );
  });
});
