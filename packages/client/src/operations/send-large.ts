import { encodeTagged } from '@meshd/encoding/codec';
import { LargeData } from '@meshd/schema/large';
import { requireAccount } from '../account-state.js';
import { withDevice } from '../device.js';
import type { ClientEnvironment } from '../environment.js';
import { Home } from '../home.js';
import { locatorText } from '../large-locator.js';
import { Session } from '../session.js';
import { requireKnown, type SentMessage, sendMessage } from './send-message.js';
import { forgetUpload, noteTold, planUpload, type StoredLarge, storeLarge } from './store-large.js';

/** A file, and who is to have it. */
export interface LargeSending {
  /** Canonical addresses. */
  readonly recipients: readonly string[];
  readonly path: string;
  /** Until when it is wanted; the service's own time where absent. */
  readonly keptUntilMs?: number | undefined;
}

/** What was sent. */
export interface LargeSent {
  readonly stored: StoredLarge;
  readonly messages: readonly SentMessage[];
}

const type = LargeData.name;

/**
 * Sends a file of any size (draft 9): stores it at the own service, and tells each recipient where it is and how it is opened,
 * in an encrypted message. A run that was broken off is continued by the next one for the same file. While the file is on its
 * way other commands use the home.
 *
 * @throws ClientError `entry` where the key of a recipient is not known, and what {@link storeLarge} throws
 */
export async function sendLarge(
  folder: string,
  environment: ClientEnvironment,
  { recipients, path, keptUntilMs }: LargeSending,
): Promise<LargeSent> {
  const planned = await withDevice(folder, environment, async (device) => {
    await requireKnown(device, recipients, type);
    return planUpload(device.session.home, environment, path);
  });
  const home = new Home(folder);
  const session = await Session.open(home, environment, await requireAccount(home));
  const { upload, stored } = await storeLarge(session, planned, keptUntilMs).finally(() => session.close());
  const messages = await withDevice(folder, environment, async (device) => {
    const sent: SentMessage[] = [];
    let noted = upload;
    for (const recipient of recipients.filter((each) => !upload.told.includes(each))) {
      const body = (own: object) => bodyOf(stored, own);
      // On disk before it is sent: a recipient is told once, whatever breaks off.
      const { messages: told } = await sendMessage(device, { recipients: [recipient], type, body, mayBeClear: false });
      sent.push(...told);
      noted = await noteTold(home, noted, recipient);
    }
    await forgetUpload(home, noted);
    return sent;
  });
  return { stored, messages };
}

function bodyOf({ locator, bytes, digest, name, expiresMs }: StoredLarge, own: object): Uint8Array {
  const members: LargeData = {
    ...own,
    ...{ Locator: locatorText(locator), Octets: bytes, Digest: digest, Name: name, Expires: new Date(expiresMs) },
  };
  return encodeTagged(LargeData, members, 'json');
}
