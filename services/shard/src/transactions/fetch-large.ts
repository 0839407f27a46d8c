import { largeIdentifierCharactersMax, largeSliceBytesMax } from '@meshd/limits/large';
import { MeshError } from '@meshd/schema/status';
import type { ShardContext } from '../context.js';
import type { LargePart } from '../storage/large-store.js';

/** Octets of a file that somebody wants. */
export interface FetchLargeRequest {
  /** Canonical address of whose file it is. */
  readonly account: string;
  readonly identifier: string;
  /** Raw key that signed the request. */
  readonly reader: Uint8Array;
  readonly offset: number;
  /** 0: as many as there may be. */
  readonly bytesMax: number;
}

/**
 * Gives octets of a file to whoever holds its locator: the key that signed the request is the one that the locator gives.
 *
 * A file that does not exist, is not complete, has expired, has another reader, and an account that does not exist are all
 * told in one way.
 *
 * @throws MeshError `malformed`, `not-found`; StorageError
 */
export async function fetchLarge(context: ShardContext, request: FetchLargeRequest): Promise<LargePart> {
  const { identifier, offset, bytesMax } = request;
  if (identifier === '' || identifier.length > largeIdentifierCharactersMax) {
    throw new MeshError('malformed', 'Identifier is missing or too long');
  }
  if (!Number.isSafeInteger(offset) || offset < 0) throw new MeshError('malformed', 'Offset out of range');
  const bytes = bytesMax === 0 ? largeSliceBytesMax : Math.min(bytesMax, largeSliceBytesMax);
  const { account: address, reader } = request;
  const part = await context.store.large.read({ address, identifier, reader, offset, bytesMax: bytes });
  if (part === undefined) throw new MeshError('not-found');
  return part;
}
