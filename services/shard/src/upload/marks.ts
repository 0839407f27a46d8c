import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { ChallengeConnection, MessageComplete, type Reference } from '@meshd/schema/messages-mesh';
import type { CatalogKey, MessageMark } from '../storage/store.js';
import { isBadInput } from './device-entry.js';
import type { UploadedFrame } from './frame.js';

/*
 * Marks: a MessageComplete on a spool says what became of messages there (semantics 5, 8.6). They are signed and not
 * encrypted, so that the service can leave out what was read when a device asks for the rest.
 */

const markTags = defineTags('mark', { MessageComplete });
const challengeTags = defineTags('challenge', { ChallengeConnection });

/** `MessageType` of a mark. */
export const markType = MessageComplete.name;

/** What each relationship makes of a message for filters; a message that is read or unread is no longer hidden. */
const marks: Readonly<Record<string, MessageMark | undefined>> = {
  Read: 'read',
  Unread: undefined,
  Deleted: 'deleted',
};

/**
 * The references of a mark; undefined where the frame is none, or cannot be read as one.
 */
export function referencesOf({ meta, payload, enc }: UploadedFrame): readonly Reference[] | undefined {
  if (meta.MessageType !== markType || isEncrypted(enc)) return undefined;
  try {
    return decodeTagged(markTags, payload, { form: 'json', refuseRepeated: true }).value.References ?? [];
  } catch (error) {
    if (isBadInput(error)) return undefined;
    throw error;
  }
}

/** Names of the requests that a challenge is for (S53); undefined where the frame cannot be read as one. */
export function challengedRequests({ payload, enc }: UploadedFrame): readonly string[] | undefined {
  if (isEncrypted(enc)) return undefined;
  try {
    const { value } = decodeTagged(challengeTags, payload, { form: 'json', refuseRepeated: true });
    return (value.References ?? []).map(({ MessageID: name = '' }) => name);
  } catch (error) {
    if (isBadInput(error)) return undefined;
    throw error;
  }
}

/** Whether `enc` of a header says that the payload is ciphertext. */
export function isEncrypted(enc: string | undefined): boolean {
  return enc !== undefined && enc !== 'none';
}

/** Names that marks among these frames refer to. */
export function markedNames(frames: readonly UploadedFrame[]): string[] {
  const names = frames.flatMap((frame) => referencesOf(frame) ?? []).map(({ MessageID: name }) => name);
  return [...new Set(names.filter((name) => name !== undefined))];
}

/**
 * The keys of a spool after the marks among some frames, in order. Marks of messages that the spool does not hold change
 * nothing.
 *
 * @param own keys that the frames themselves add.
 * @param stored keys of the messages they refer to.
 */
export function keysAfterMarks(
  frames: readonly UploadedFrame[],
  own: readonly CatalogKey[],
  stored: ReadonlyMap<string, CatalogKey>,
): CatalogKey[] {
  const keys = new Map(own.map((key) => [key.uniqueId, key]));
  for (const frame of frames) {
    for (const { MessageID: name = '', Relationship: relationship = '' } of referencesOf(frame) ?? []) {
      const key = keys.get(name) ?? stored.get(name);
      if (key === undefined || !Object.hasOwn(marks, relationship)) continue;
      keys.set(name, { ...key, mark: marks[relationship] });
    }
  }
  return [...keys.values()];
}
