import { contactCatalog } from '@meshd/schema/container-name';
import { accountKeys } from '../contact-entry.js';
import type { Device } from '../device.js';
import { mayRead } from '../entitlement.js';
import { ownPermissions } from '../own-permissions.js';
import { type Standing, standingOf } from '../people/exchange.js';
import { contactsOf, udfOf } from './contacts.js';
import type { ListedMessage } from './messages.js';
import { syncAccount } from './sync.js';

/** Who has written a message, as far as the user's contacts know (S72). */
export interface SenderStanding {
  /** `changed`: the user knows another account under the sender's address. */
  readonly standing: Standing;
  /** Known, and its account was shown in person or compared. */
  readonly isVerified: boolean;
}

/**
 * Compares the accounts that have signed messages with those that the contacts name, which are brought up to date. The service
 * refuses another account under a known address (S72): one can have written before it was known, or the service lets it in.
 *
 * @param messages of the inbound box; others are passed over
 * @returns nothing of own messages, and nothing at all where this device may not read contacts
 */
export async function senderStandings(
  device: Device,
  messages: readonly ListedMessage[],
): Promise<ReadonlyMap<ListedMessage, SenderStanding>> {
  const { session } = device;
  const own = [session.state.address, ...(session.state.former ?? [])];
  const others = messages.filter(({ box, sender }) => box === 'inbound' && !own.includes(sender));
  if (others.length === 0 || !mayRead(ownPermissions(session), contactCatalog)) return new Map();
  await syncAccount(device, [contactCatalog]);
  const contacts = await contactsOf(device);
  const byAccount = new Map([...contacts.values()].map((each) => [udfOf(each), each]));
  return new Map(
    others.map((message) => {
      const { sender, account } = message;
      const accountUdf = accountKeys(account).udf;
      // Who has moved wrote from his former address, and is known under the one that he has now (R027).
      const contact = contacts.get(sender) ?? byAccount.get(accountUdf);
      const standing = standingOf({ accountUdf }, contact);
      return [message, { standing, isVerified: standing === 'known' && contact?.isVerified === true }];
    }),
  );
}
