import { sha512 } from '@meshd/crypto/digest';
import { importPublicKey, type SigningKey } from '@meshd/crypto/ed448';
import { nonceUdf } from '@meshd/crypto/udf';
import { coreOfFrame } from '@meshd/dare/core';
import { encryptContentTo } from '@meshd/dare/encrypt';
import { type EnvelopeOctets, makeEnvelope, openEnvelope, writeContentMeta } from '@meshd/dare/envelope';
import type { ContentMeta, Header } from '@meshd/dare/header';
import { manifestKinds, signManifest } from '@meshd/dare/manifest';
import { signatureEntry } from '@meshd/dare/sign';
import { encodeTagged, type ObjectTable } from '@meshd/encoding/codec';
import { inboundSpool, itemContentType } from '@meshd/schema/container-name';
import { MessageComplete, type Reference } from '@meshd/schema/messages-mesh';
import type { ClientEnvironment } from './environment.js';

/*
 * Messages of a device for its own account's inbound spool (semantics 6.6, S41 kind 3): what the other devices should know.
 * The manifest beside the signature binds the message to the account; an administrator's key makes it an act of
 * administration (S25).
 */

/** What a message is made of. */
export interface SelfMessage<T> {
  readonly table: ObjectTable<T>;
  readonly body: T;
  /** Also its `MessageID`. */
  readonly uniqueId: string;
  /** Raw encryption keys of those who shall read it; none: it travels in clear. */
  readonly readers?: readonly Uint8Array[];
}

/** A fresh identifier of a message. */
export function freshMessageId({ random }: Pick<ClientEnvironment, 'random'>): string {
  return nonceUdf(random);
}

/** Makes the message. @param signer the device's signature key, or an administrator's key of the Mesh */
export function buildSelfMessage<T>(
  message: SelfMessage<T>,
  accountUdf: string,
  signer: SigningKey,
  { nowMs, random }: Pick<ClientEnvironment, 'nowMs' | 'random'>,
): EnvelopeOctets {
  const { table, body, uniqueId, readers = [] } = message;
  const plain = encodeTagged(table, body, 'json');
  const recipients = readers.map(importPublicKey);
  const sealed = readers.length === 0 ? undefined : encryptContentTo({ plain, recipients, random, pad: true });
  const payload = sealed?.payload ?? plain;
  const createdMs = nowMs();
  const meta: ContentMeta = { UniqueID: uniqueId, MessageType: table.name, cty: itemContentType };
  const created: ContentMeta = { ...meta, Created: new Date(createdMs) };
  const header: Header = { dig: 'S512', ...sealed?.header, ContentMetaData: writeContentMeta(created) };
  const core = coreOfFrame(openEnvelope(makeEnvelope({ header, payload })), sha512(payload));
  const fields = {
    ...{ kind: manifestKinds.self, from: 0, index: 0, root: new Uint8Array(32), createdMs },
    ...{ subject: accountUdf, object: inboundSpool },
  };
  const entry = signatureEntry(signer, payload, { Manifest: signManifest(signer, fields, core) });
  const witness = sealed?.witness(entry.signature as Uint8Array);
  const signatures = [witness === undefined ? entry : { ...entry, witness }];
  return makeEnvelope({ header, payload, trailer: { signatures, PayloadDigest: sha512(payload) } });
}

/** A mark: says what became of messages. */
export function markMessage(uniqueId: string, references: readonly Reference[]): SelfMessage<MessageComplete> {
  return { table: MessageComplete, uniqueId, body: { MessageID: uniqueId, References: [...references] } };
}
