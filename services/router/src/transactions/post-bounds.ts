/** Bounds of a Post, the same for devices and services (semantics 6.7, 10), and what both forms answer with. */
import { type EnvelopeOctets, envelopeBytes, envelopeBytesAtMost } from '@meshd/dare/envelope';
import { messageBytesMax, postDecodedBytesMax, postDeliveriesMax, postMessagesMax } from '@meshd/limits/limits';
import type { EntryResponse } from '@meshd/schema/common';
import type { PostRequest } from '@meshd/schema/protocol';
import { MeshError } from '@meshd/schema/status';

/** The members of a Post, none absent. */
export interface PostParts {
  readonly accounts: readonly string[];
  readonly messages: readonly EnvelopeOctets[];
  readonly self: readonly EnvelopeOctets[];
}

/**
 * Takes a Post apart. One message that is too large refuses all of them: nothing is done.
 *
 * @throws MeshError `too-large`, `malformed`
 */
export function postParts({ Accounts = [], Message = [], Self = [] }: PostRequest): PostParts {
  if (Message.length > postMessagesMax || Self.length > postMessagesMax) {
    throw new MeshError('too-large', `a post has at most ${postMessagesMax} messages`);
  }
  if (Accounts.length > postDeliveriesMax || Message.length * Accounts.length > postDeliveriesMax) {
    throw new MeshError('too-large', `a post has at most ${postDeliveriesMax} messages times accounts`);
  }
  const sizes = sizesOf([...Message, ...Self]);
  if (sizes.some((bytes) => bytes > messageBytesMax)) {
    throw new MeshError('too-large', `a message has at most ${messageBytesMax} octets`);
  }
  if (sum(sizes) > postDecodedBytesMax) {
    throw new MeshError('too-large', `a post has at most ${postDecodedBytesMax} octets`);
  }
  if (Message.length === 0 && Self.length === 0) throw new MeshError('malformed', 'a post without messages');
  if (Message.length > 0 && Accounts.length === 0) throw new MeshError('malformed', 'Accounts is missing');
  return { accounts: Accounts, messages: Message, self: Self };
}

/** Sizes of messages, or what they cannot exceed where that is little enough. */
function sizesOf(messages: readonly EnvelopeOctets[]): number[] {
  const atMost = messages.map(envelopeBytesAtMost);
  const isNear = sum(atMost) > postDecodedBytesMax || atMost.some((bytes) => bytes > messageBytesMax);
  return isNear ? messages.map(envelopeBytes) : atMost;
}

const sum = (sizes: readonly number[]): number => sizes.reduce((all, bytes) => all + bytes, 0);

/** Refuses an account that is named twice: each entry of the answer is for one. */
export function refuseRepeated(accounts: readonly string[]): void {
  if (new Set(accounts).size !== accounts.length) throw new MeshError('malformed', 'an account is named twice');
}

/** Entries for who does not know the member `Account`: one a message, accepted if it is for all (semantics 6.7). */
export function perMessage(entries: readonly EntryResponse[]): EntryResponse[] {
  const joined = new Map<number, EntryResponse>();
  for (const { IndexRequest = 0, Result, IndexContainer } of entries) {
    const before = joined.get(IndexRequest);
    const result = before?.Result === 'Reject' ? 'Reject' : Result;
    const index = before?.IndexContainer ?? IndexContainer;
    joined.set(IndexRequest, {
      IndexRequest,
      ...(index === undefined ? {} : { IndexContainer: index }),
      ...(result === undefined ? {} : { Result: result }),
    });
  }
  return [...joined.values()];
}
