import { inboundSpool } from '@meshd/schema/container-name';
import type { Reference } from '@meshd/schema/messages-mesh';
import type { Device } from '../device.js';
import { requireNoEvidence } from '../evidence.js';
import { buildSelfMessage, freshMessageId, markMessage } from '../self-message.js';
import { requireSuccess } from '../session.js';
import { listMessages, messageNamed } from './messages.js';

/** What a person says of messages that came; other devices of the account show it too. */
export type Mark = 'Read' | 'Unread' | 'Deleted';

/**
 * Says what became of messages in the inbound spool (semantics 8.6): one `MessageComplete` of this device, which all devices
 * of the account read. It is signed and not encrypted, so that the service can leave out what was read.
 *
 * @throws ClientError `refused`, `evidence`
 */
export async function sayOfMessages({ session }: Device, references: readonly Reference[]): Promise<void> {
  const { environment, identity, keys, home } = session;
  await requireNoEvidence(home);
  const mark = markMessage(freshMessageId(environment), references);
  const signer = keys.key('connectionSignature');
  const self = buildSelfMessage(mark, identity.accountUdf, signer, environment);
  const response = await session.call('Upload', { Self: [self] });
  requireSuccess(`the mark in ${inboundSpool}`, response);
}

/**
 * Marks messages that came, and notices of the service.
 * @param ids identifiers, or the beginnings of them
 * @returns the whole identifiers
 * @throws ClientError `usage` for a message that is not in the inbound spool, `refused`
 */
export async function markMessages(device: Device, ids: readonly string[], mark: Mark): Promise<string[]> {
  const { messages, identityChanged } = await listMessages(device, 'inbound');
  const names = ids.map((id) => messageNamed<{ readonly id: string }>([...messages, ...identityChanged], id).id);
  await sayOfMessages(
    device,
    names.map((id) => ({ MessageID: id, Relationship: mark })),
  );
  return names;
}
