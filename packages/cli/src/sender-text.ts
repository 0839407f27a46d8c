/** What is said of who has written a message, beside the address that it bears, and of who was not let write. */
import type { IdentityNotice, ListedMessage } from '@meshd/client/operations/messages';
import type { SenderStanding } from '@meshd/client/operations/sender-standing';
import { textTable } from './table.js';
import { isoTime, timeText } from './when.js';

/** Standings of messages, as the client tells them. */
export type Standings = ReadonlyMap<ListedMessage, SenderStanding>;

/** What a list says of an account beside its address. */
export const standingTexts = { new: '', known: 'known', changed: 'ANOTHER ACCOUNT THAN BEFORE' } as const;

/** Members of a message in `--json`; null where nothing is known of its sender. */
export function standingJson(standing: SenderStanding | undefined) {
  return { standing: standing?.standing ?? null, verified: standing?.isVerified ?? null };
}

/** What one message says of its sender (S72); nothing of own messages. */
export function senderText({ sender }: Pick<ListedMessage, 'sender'>, standing: SenderStanding | undefined): string[] {
  switch (standing?.standing) {
    case 'changed':
      return [`${standingTexts.changed}: ${changedText(sender)}`];
    case 'known':
      return [standing.isVerified ? 'a contact of yours, verified' : 'a contact of yours, not compared'];
    case 'new':
      return ['no contact of yours'];
    default:
      return [];
  }
}

/** What to do about senders under whose address the user knows another account; nothing where there are none. */
export function changedSendersText(messages: readonly ListedMessage[], standings: Standings): string[] {
  const changed = messages.filter((message) => standings.get(message)?.standing === 'changed');
  const senders = [...new Set(changed.map(({ sender }) => sender))];
  return senders.map((sender) => `${standingTexts.changed}: ${changedText(sender)}`);
}

const changedText = (sender: string) =>
  `not the one that you know as ${sender} has written; ask the person, and if it is right: mesh contact delete ${sender}`;

/** A notice as `--json` has it. */
export function identityNoticeJson({ id, account, messageId, timeMs }: IdentityNotice) {
  return { id, time: isoTime(timeMs), account, messageId };
}

/** What the service refused under addresses of people whom the user knows, and what to do; nothing where there is nothing. */
export function identityNoticesText(notices: readonly IdentityNotice[]): string[] {
  if (notices.length === 0) return [];
  const rows = notices.map(({ id, account, timeMs }) => [timeMs === undefined ? '' : timeText(timeMs), account, id]);
  return [
    `${standingTexts.changed}: your service has refused messages of an account that is not the one you know by the address:`,
    textTable(['time (UTC)', 'from', 'id'], rows),
    'ask the person in another way, and if it is right: mesh contact delete ADDRESS, mesh contact import CARD with the new card;',
    'mesh message delete ID puts such a notice away',
  ];
}
