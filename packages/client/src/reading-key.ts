import { udfEquals } from '@meshd/crypto/udf';
import { decryptEnvelope, isEncrypted } from '@meshd/dare/decrypt';
import { type DareEnvelope, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import type { Header } from '@meshd/dare/header';
import type { DecryptionKey } from '@meshd/dare/recipients';
import type { Session } from './session.js';
import type { PlannedEntry } from './writer.js';

/** The key that catalogs are encrypted to; it opens what was encrypted to former ones as well (S62). */
export function readingKey(session: Session): DecryptionKey {
  return session.keys.decryption('accountEncryption');
}

/** The body of a frame that the reader has accepted; undefined where there is none. @throws DareError */
export function plainOf(envelope: DareEnvelope, key: DecryptionKey): Uint8Array | undefined {
  if (envelope.payload === null || envelope.payload.length === 0) return undefined;
  // The reader has accepted the frame under a manifest (S43), which is the proof that S61 asks for.
  return isEncrypted(envelope) ? decryptEnvelope(envelope, key, 'manifest').plain : envelope.payload;
}

/** The body of an entry that this device has encrypted itself and not sent yet. */
export function plainOfPlanned({ body }: PlannedEntry, key: DecryptionKey): Uint8Array | undefined {
  if (body === undefined) return undefined;
  return plainOf(openEnvelope(makeEnvelope({ header: { dig: 'S512', ...body.header }, payload: body.payload })), key);
}

/** Whether nothing is encrypted here, or to the account's current key (S62). */
export function isUnderCurrentKey({ keys }: Session, { recipients = [] }: Header): boolean {
  const { udf } = keys.key('accountEncryption').publicKey;
  return recipients.length === 0 || recipients.some(({ kid }) => kid !== undefined && udfEquals(kid, udf));
}
