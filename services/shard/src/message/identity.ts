import { label, sha256 } from '@meshd/crypto/digest';
import type { VerifiedMessage } from '@meshd/schema/message-check';

const identityLabel = label('mesh-message-identity-1');

/**
 * What a message is known by at one recipient (S73): the raw key of its signer and its core. `UniqueID` and `MessageID` never
 * decide: whoever brings the message could change them.
 *
 * @returns 32 octets
 */
export function messageIdentity({ signer, core }: Pick<VerifiedMessage, 'signer' | 'core'>): Uint8Array {
  return sha256(identityLabel, signer.raw, core);
}
