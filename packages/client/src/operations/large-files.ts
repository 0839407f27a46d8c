import type { Device } from '../device.js';
import { requireSuccess } from '../session.js';

/** A file that the own service keeps. Sizes are octets, sealed. */
export interface KeptLarge {
  readonly identifier: string;
  readonly bytes: number;
  /** Less than `bytes`: its upload was broken off. */
  readonly storedBytes: number;
  readonly expiresMs: number;
}

/** All of them, and the room that there is. */
export interface KeptLargeFiles {
  readonly files: readonly KeptLarge[];
  readonly bytesUsed: number;
  readonly bytesMax: number;
}

/** What the own service keeps for others to fetch. @throws ClientError */
export async function largeFiles({ session }: Device): Promise<KeptLargeFiles> {
  const response = await session.call('StoreLarge', {});
  requireSuccess('the list of large files', response);
  const { Files: files = [], OctetsUsed: bytesUsed = 0, OctetsMax: bytesMax = 0 } = response.message;
  return {
    files: files.map(({ Identifier = '', Octets = 0, Stored = 0, Expires }) => {
      return { identifier: Identifier, bytes: Octets, storedBytes: Stored, expiresMs: Expires?.getTime() ?? 0 };
    }),
    ...{ bytesUsed, bytesMax },
  };
}

/** Takes a file back: nobody can fetch it any more. @throws ClientError */
export async function withdrawLarge({ session }: Device, identifier: string): Promise<void> {
  requireSuccess('to withdraw the file', await session.call('StoreLarge', { Identifier: identifier, Withdraw: true }));
}
