import { sha512 } from '@meshd/crypto/digest';
import { importPublicKey, type SigningKey } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { coreOfFrame } from '@meshd/dare/core';
import { encryptContentTo } from '@meshd/dare/encrypt';
import { type EnvelopeOctets, envelopeBytes, makeEnvelope, openEnvelope, writeContentMeta } from '@meshd/dare/envelope';
import type { ContentMeta, Header } from '@meshd/dare/header';
import { manifestKinds, recipientsObject, signManifest } from '@meshd/dare/manifest';
import { signatureEntry } from '@meshd/dare/sign';
import { itemContentType } from '@meshd/schema/container-name';
import { ClientError } from './errors.js';

/*
 * Messages to others as they leave a device (semantics 8.1, S41 kind 2, S61, S71): the body, encrypted where the
 * recipient's key is known; a signature of the device over it; beside that the manifest, which says who sends it to whom, and
 * the two statements by which a stranger's service can judge both.
 */

/** What a message says, and to whom. */
export interface MessageDraft {
  /** Tag of the body, and `MessageType` of the metadata. */
  readonly type: string;
  /** The tagged object in JSON; its `MessageID` is `uniqueId`, its `Sender` the account. */
  readonly body: Uint8Array;
  readonly uniqueId: string;
  /** Canonical address. One message a recipient: every name in a manifest is shown to every service that gets it. */
  readonly recipient: string;
  /** Raw encryption keys of those who shall read it, the sender's own included; none: it travels in clear. */
  readonly readers: readonly Uint8Array[];
}

/** Who sends, and how he proves it. */
export interface MessageSender {
  /** Canonical address. */
  readonly address: string;
  /** Signature key of the device's connection. */
  readonly signer: SigningKey;
  readonly connectionAccount: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;
}

/** Clock and randomness. */
export interface MessageMaker {
  readonly nowMs: number;
  readonly random: Random;
}

/** The body as it travels. */
interface Sealed {
  readonly header: Header;
  readonly payload: Uint8Array;
  witness?(signature: Uint8Array): Uint8Array;
}

/**
 * Makes a message.
 *
 * @param bytesMax size of the envelope in JSON-B (encoding 2.1).
 * @throws ClientError `entry` for a message that is too large.
 */
export function buildMessage(
  draft: MessageDraft,
  sender: MessageSender,
  maker: MessageMaker,
  bytesMax: number,
): EnvelopeOctets {
  const sealed = seal(draft, maker.random);
  const meta: ContentMeta = {
    UniqueID: draft.uniqueId,
    MessageType: draft.type,
    cty: itemContentType,
    Created: new Date(maker.nowMs),
  };
  const header: Header = { dig: 'S512', ...sealed.header, ContentMetaData: writeContentMeta(meta) };
  const entry = proofOf(draft, sender, header, sealed, maker.nowMs);
  const trailer = { signatures: [entry], PayloadDigest: sha512(sealed.payload) };
  const made = makeEnvelope({ header, payload: sealed.payload, trailer });
  const bytes = envelopeBytes(made);
  if (bytes > bytesMax) {
    throw new ClientError('entry', `the message has ${bytes} octets, ${bytesMax} at most; send the file with --large`);
  }
  return made;
}

function seal({ body, readers }: MessageDraft, random: Random): Sealed {
  if (readers.length === 0) return { header: {}, payload: body };
  return encryptContentTo({ plain: body, recipients: readers.map(importPublicKey), random, pad: true });
}

function proofOf(draft: MessageDraft, sender: MessageSender, header: Header, sealed: Sealed, nowMs: number) {
  const { payload } = sealed;
  const core = coreOfFrame(openEnvelope(makeEnvelope({ header, payload })), sha512(payload));
  const fields = {
    ...{ kind: manifestKinds.message, from: 0, index: 0, root: new Uint8Array(32), createdMs: nowMs },
    ...{ subject: sender.address, object: recipientsObject([draft.recipient]) },
  };
  const entry = signatureEntry(sender.signer, payload, {
    Manifest: signManifest(sender.signer, fields, core),
    Connection: sender.connectionAccount,
    Account: sender.profileAccount,
  });
  return sealed.witness === undefined ? entry : { ...entry, witness: sealed.witness(entry.signature as Uint8Array) };
}
