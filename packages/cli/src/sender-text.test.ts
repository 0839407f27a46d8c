import type { ListedMessage } from '@meshd/client/operations/messages';
import { describe, expect, it } from 'vitest';
import {
  changedSendersText,
  identityNoticeJson,
  identityNoticesText,
  senderText,
  standingJson,
} from './sender-text.js';

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

describe('[S72] what is said of messages that the service refused under known addresses', () => {
  const notice = {
    ...{ id: 'NOTICE', account: 'bob@beta.test', messageId: 'ONE', isDeleted: false },
    timeMs: Date.UTC(2026, 0, 2, 3, 4),
  };

  it('is when, under which address, and what to do', () => {
    const text = identityNoticesText([notice]).join('\n');
    expect(text).toMatch(/^ANOTHER ACCOUNT THAN BEFORE.*refused/);
    expect(text).toMatch(/2026-01-02 03:04\S* +bob@beta\.test +NOTICE/);
    expect(text).toMatch(/ask the person.*mesh contact delete.*mesh contact import.*mesh message delete/s);
    const json = { id: 'NOTICE', time: '2026-01-02T03:04:00.000Z', account: 'bob@beta.test', messageId: 'ONE' };
    expect(identityNoticeJson(notice)).toEqual(json);
  });

  it('is nothing where there are none, and nothing that a terminal would act upon', () => {
    expect(identityNoticesText([])).toEqual([]);
    expect(identityNoticesText([{ ...notice, account: 'bob\u001b[2J@beta.test' }]).join('')).not.toContain('\u001b');
  });
});
