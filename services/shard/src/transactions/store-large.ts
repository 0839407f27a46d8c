import { constantTimeEqual } from '@meshd/crypto/digest';
import {
  largeIdentifierCharactersMax,
  largeKeptMsDefault,
  largeKeptMsMax,
  largeSliceBytesMax,
} from '@meshd/limits/large';
import { outboundSpool } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import { authorise, type Principal } from '../authorise.js';
import type { ShardContext } from '../context.js';
import { mayWrite } from '../permissions.js';
import type { LargeFile } from '../storage/large-store.js';

/** What is to be done with a file. */
export type LargeStep =
  | {
      readonly kind: 'begin';
      readonly bytesTotal: number;
      readonly reader: Uint8Array;
      readonly expiresMs?: number | undefined;
    }
  | { readonly kind: 'slice'; readonly offset: number; readonly data: Uint8Array }
  | { readonly kind: 'withdraw' }
  | { readonly kind: 'look' };

/** A request about one file, or with an empty identifier about all. */
export interface StoreLargeRequest {
  readonly principal: Principal;
  readonly identifier: string;
  readonly step: LargeStep;
}

/** How files stand. */
export interface LargeState {
  readonly files: readonly LargeFile[];
  /** Told to who looks: a sum over all files at every slice would be work for nothing. */
  readonly room: { readonly bytesUsed: number; readonly bytesMax: number } | undefined;
}

/** Raw Ed448 keys. */
const readerBytes = 57;

/**
 * Keeps a file for an account's owner until its recipients have fetched it (draft 9: very large data by reference). Every step
 * may be repeated: what was begun is found, a slice that is there is not added again, and each answer says where to go on.
 *
 * Who may post messages may store files: those of permission `Messaging`.
 *
 * @throws MeshError `malformed`, `not-found` where the file does not exist or has expired, `event-conflict` where something else
 *   was begun under the identifier, `quota`, `not-authorised`, and what {@link authorise} throws; StorageError
 */
export async function storeLarge(context: ShardContext, request: StoreLargeRequest): Promise<LargeState> {
  const { principal, identifier, step } = request;
  if (identifier.length > largeIdentifierCharactersMax) throw new MeshError('malformed', 'Identifier is too long');
  const { state, permissions } = await context.store.readAccount(principal.account, (reader) =>
    authorise(principal, reader.state),
  );
  if (!mayWrite(permissions, outboundSpool)) throw new MeshError('not-authorised', outboundSpool);
  if (identifier === '' && step.kind !== 'look') throw new MeshError('malformed', 'Identifier is missing');
  if (step.kind === 'begin') return told(await begin(context, state.id, identifier, step));
  if (step.kind === 'slice') return told(await append(context, state.id, identifier, step));
  const { large } = context.store;
  if (step.kind === 'withdraw') {
    await large.withdraw(state.id, identifier);
    return { files: [], room: undefined };
  }
  const files = await large.list(state.id);
  const nowMs = context.clock();
  return {
    files: files.filter((file) => file.expiresAtMs > nowMs && (identifier === '' || file.identifier === identifier)),
    // What is not freed yet takes room too.
    room: {
      bytesUsed: files.reduce((bytes, { bytesTotal }) => bytes + bytesTotal, 0),
      bytesMax: context.largeBytesMax,
    },
  };
}

const told = (file: LargeFile): LargeState => ({ files: [file], room: undefined });

async function begin(
  context: ShardContext,
  accountId: number,
  identifier: string,
  { bytesTotal, reader, expiresMs }: Extract<LargeStep, { kind: 'begin' }>,
): Promise<LargeFile> {
  if (!Number.isSafeInteger(bytesTotal) || bytesTotal < 1) throw new MeshError('malformed', 'Octets out of range');
  if (reader.length !== readerBytes) throw new MeshError('malformed', 'Reader is no key');
  const { store, clock, largeBytesMax } = context;
  const nowMs = clock();
  const wishedMs = expiresMs === undefined ? largeKeptMsDefault : expiresMs - nowMs;
  if (wishedMs <= 0) throw new MeshError('malformed', 'Expires is over');
  const keptMs = Math.min(wishedMs, largeKeptMsMax);
  const file = await store.large.begin(accountId, { identifier, reader, bytesTotal, keptMs }, largeBytesMax);
  if (file === undefined) throw new MeshError('quota', '', { resource: 'large data' });
  if (file.expiresAtMs <= nowMs) throw new MeshError('not-found', 'the file has expired');
  if (file.bytesTotal !== bytesTotal || !constantTimeEqual(file.reader, reader)) {
    throw new MeshError('event-conflict', 'another file has this identifier');
  }
  return file;
}

async function append(
  context: ShardContext,
  accountId: number,
  identifier: string,
  { offset, data }: Extract<LargeStep, { kind: 'slice' }>,
): Promise<LargeFile> {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new MeshError('malformed', 'Offset out of range');
  if (data.length < 1) throw new MeshError('malformed', 'Data is empty');
  if (data.length > largeSliceBytesMax) {
    throw new MeshError('too-large', `a slice holds at most ${largeSliceBytesMax} octets`);
  }
  const file = await context.store.large.append(accountId, identifier, offset, data);
  if (file === undefined) throw new MeshError('not-found', 'there is no such file, or it has expired');
  return file;
}
