import { udfEquals } from '@meshd/crypto/udf';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { ReplyContact, RequestContact } from '@meshd/schema/messages-mesh';
import type { ProfileAccount } from '@meshd/schema/profiles';
import { accountKeys, type Correspondent } from '../contact-entry.js';
import { ClientError } from '../errors.js';
import type { MessageFrame } from '../message-read.js';
import { type ContactCard, readCard } from './card.js';

const exchangeTags = defineTags('message of a contact exchange', { RequestContact, ReplyContact });

/** What somebody says who wants to be known, or answers one who does. */
export interface Introduction {
  readonly card: ContactCard;
  /** The other one's card is wanted. */
  readonly wantsReply: boolean;
  readonly subject: string;
  /** Identifier of the request that it answers. */
  readonly answers: string | undefined;
}

/**
 * Reads a request for contact, or the answer to one: the card in it must be that of the very account which has sent it.
 *
 * @throws ClientError `profile`
 */
export async function readIntroduction({ sender, account, bodyOctets }: MessageFrame): Promise<Introduction> {
  if (bodyOctets === undefined) throw new ClientError('profile', 'the message cannot be read on this device');
  const { value } = decodeTagged(exchangeTags, bodyOctets, { form: 'json', refuseRepeated: true });
  // Who sends no card is known by what his message shows: that is signed as well.
  const card = value.Self === undefined ? bareCard(sender, account) : await readCard(value.Self, sender);
  if (!udfEquals(card.accountUdf, accountKeys(account).udf)) {
    throw new ClientError('profile', `the card in the message of ${sender} is that of another account`);
  }
  const { Reply: wantsReply = false, Subject: subject = '', References: references = [] } = value;
  return { card, wantsReply, subject, answers: references[0]?.MessageID };
}

function bareCard(address: string, account: ProfileAccount): ContactCard {
  return { address, name: '', account, accountUdf: accountKeys(account).udf };
}

/** What is known of somebody who introduces himself; `changed`: under that address another account is known (S72). */
export type Standing = 'new' | 'known' | 'changed';

/** Compares an account that shows itself with the contact of that address, or with the fingerprint that somebody gave for it. */
export function standingOf(
  { accountUdf }: Pick<ContactCard, 'accountUdf'>,
  contact: Correspondent | undefined,
): Standing {
  const { account, expectedUdf } = contact ?? {};
  const known = account === undefined ? expectedUdf : accountKeys(account).udf;
  if (known !== undefined && !udfEquals(known, accountUdf)) return 'changed';
  return account === undefined ? 'new' : 'known';
}

/** The newer of two profiles of one account (S72). */
export function newerProfile(known: ProfileAccount | undefined, shown: ProfileAccount): ProfileAccount {
  if (known === undefined) return shown;
  return (shown.Updated?.getTime() ?? 0) >= (known.Updated?.getTime() ?? 0) ? shown : known;
}
