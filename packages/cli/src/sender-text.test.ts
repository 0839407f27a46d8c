import type { ListedMessage } from '@meshd/client/operations/messages';
import { describe, expect, it } from 'vitest';
import { changedSendersText, senderText, standingJson } from './sender-text.js';

const from = (sender: string) => ({ sender }) as ListedMessage;
const changed = { standing: 'changed', isVerified: false } as const;

describe('[S72] what is said of a sender', () => {
  it('is whether the user knows him, and how well', () => {
    const said = (standing: Parameters<typeof senderText>[1]) => senderText(from('bob@beta.test'), standing).join();
    expect(said({ standing: 'known', isVerified: true })).toBe('a contact of yours, verified');
    expect(said({ standing: 'known', isVerified: false })).toBe('a contact of yours, not compared');
    expect(said({ standing: 'new', isVerified: false })).toBe('no contact of yours');
    expect(said(undefined)).toBe('');
    expect(said(changed)).toMatch(
      /^ANOTHER ACCOUNT THAN BEFORE: .*bob@beta\.test.*mesh contact delete bob@beta\.test$/,
    );
    expect([standingJson(undefined), standingJson(changed)]).toEqual([
      { standing: null, verified: null },
      { standing: 'changed', verified: false },
    ]);
  });

  it('is said once below a list, however much he has written', () => {
    const [bob, again, carol] = [from('bob@beta.test'), from('bob@beta.test'), from('carol@beta.test')];
    const standings = new Map([
      [bob, changed],
      [again, changed],
    ]);
    expect(changedSendersText([bob, again, carol], standings)).toEqual([expect.stringContaining('bob@beta.test')]);
    expect(changedSendersText([carol], standings)).toEqual([]);
  });
});
