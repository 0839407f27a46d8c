import type { SigningKey } from '@meshd/crypto/ed448';
import { importPublicKey } from '@meshd/crypto/ed448';
import { nonceUdf } from '@meshd/crypto/udf';
import { type FrameDraft, frameZero, type SealedBatch, sealBatch } from '@meshd/dare/batch';
import type { ItemFrames } from '@meshd/dare/catalog-replay';
import { type EncryptedContent, encryptContentTo } from '@meshd/dare/encrypt';
import type { ContentMeta, KeyValue } from '@meshd/dare/header';
import { catalogContentType, itemContentType } from '@meshd/schema/container-name';
import type { ClientEnvironment } from './environment.js';
import type { ContainerReader } from './reader.js';
import type { Session } from './session.js';

/** What is to happen to one key of a catalog. */
export interface PlannedEntry {
  readonly uniqueId: string;
  /** Shown to the user. */
  readonly name: string;
  /** Encrypted body, or undefined to delete. Encrypted once, whatever conflicts do to position and event; anew under a new key. */
  readonly body: Pick<EncryptedContent, 'header' | 'payload'> | undefined;
  /** When the change was made, where that is not now. */
  readonly modifiedMs?: number | undefined;
  /** What the service may read of the entry, in clear (semantics 8.3). */
  readonly keyValues?: readonly KeyValue[] | undefined;
}

/** Encrypts a JSON body to the account's current encryption key (S60, S62). */
export function encryptBody(session: Session, plain: Uint8Array): EncryptedContent {
  const account = session.keys.key('accountEncryption').publicKey;
  return encryptContentTo({
    plain,
    recipients: [importPublicKey(account.raw)],
    random: session.environment.random,
    pad: true,
  });
}

function metaOf(entry: PlannedEntry, before: ItemFrames | undefined, nowMs: number): ContentMeta {
  const now = new Date(entry.modifiedMs ?? nowMs);
  const { uniqueId, keyValues } = entry;
  const values = keyValues === undefined ? {} : { KeyValues: [...keyValues] };
  if (before === undefined) return { UniqueID: uniqueId, cty: itemContentType, Event: 'New', Created: now, ...values };
  const links = { Modified: now, First: before.first, Previous: before.current };
  if (entry.body === undefined) return { UniqueID: uniqueId, Event: 'Delete', ...links };
  return { UniqueID: uniqueId, cty: itemContentType, Event: 'Update', ...links, ...values };
}

/** Drafts of the entries on top of what the reader has; keys that occur twice build on each other. */
function draftsOf(entries: readonly PlannedEntry[], reader: ContainerReader, nowMs: number): FrameDraft[] {
  const changed = new Map<string, ItemFrames | undefined>();
  // Frame 0 takes the first place of a container that does not exist yet.
  const firstIndex = reader.size === 0 ? 1 : reader.size;
  return entries.map((entry, at) => {
    const { uniqueId, body } = entry;
    const index = firstIndex + at;
    const before = changed.has(uniqueId) ? changed.get(uniqueId) : reader.replay?.items.get(uniqueId);
    changed.set(uniqueId, body === undefined ? undefined : { first: before?.first ?? index, current: index });
    const contentMeta = metaOf(entry, before, nowMs);
    if (body === undefined) return { contentMeta, payload: new Uint8Array(0) };
    return { contentMeta, header: body.header, payload: body.payload };
  });
}

/** Frame 0 of a catalog, where the container does not exist yet. */
export function openingDrafts(reader: ContainerReader, environment: ClientEnvironment): FrameDraft[] {
  if (reader.size > 0) return [];
  const uniqueId = nonceUdf(environment.random);
  return [frameZero({ contentType: catalogContentType, uniqueId, createdMs: environment.nowMs() })];
}

/** Drafts put into place: indexes, digests, and one manifest by `signer` over all of them (S42). */
export function seal(
  session: Session,
  reader: ContainerReader,
  drafts: readonly FrameDraft[],
  signer: SigningKey,
): SealedBatch {
  return sealBatch(drafts, {
    ...reader.trees,
    signer,
    accountUdf: session.identity.accountUdf,
    container: reader.container,
    createdMs: session.environment.nowMs(),
  });
}

/** A batch of entries on top of the replica, signed by this device. */
export function buildBatch(session: Session, reader: ContainerReader, entries: readonly PlannedEntry[]): SealedBatch {
  const drafts = [
    ...openingDrafts(reader, session.environment),
    ...draftsOf(entries, reader, session.environment.nowMs()),
  ];
  return seal(session, reader, drafts, session.keys.key('connectionSignature'));
}
