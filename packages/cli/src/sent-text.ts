/** Messages that were sent, as commands show them. */
import type { SentMessage } from '@meshd/client/operations/send-message';

/** A message to one recipient as `--json` has it. */
export function sentJson({ id, recipient, isEncrypted, state, frameIndex, reason }: SentMessage) {
  return { id, recipient, encrypted: isEncrypted, state, index: frameIndex, reason };
}

/** The same for people. */
export function sentText({ id, recipient, isEncrypted, state, reason }: SentMessage): string {
  const how = isEncrypted ? 'encrypted' : 'in clear';
  if (state === 'sent') return `${id} sent to ${recipient}, ${how}`;
  if (state === 'waiting') return `${id} to ${recipient} waits here, ${how}; mesh account sync sends it`;
  return `${id} to ${recipient} is refused: ${reason}`;
}
