import { createHash, type Hash } from 'node:crypto';
import { access, type FileHandle, open, rename, rm } from 'node:fs/promises';
import { constantTimeEqual } from '@meshd/crypto/digest';
import { DareError } from '@meshd/dare/errors';
import { type SliceLayout, sliceLayout } from '@meshd/dare/sealed-file';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { EncodingError } from '@meshd/encoding/errors';
import type { JsonObject } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import { largeNameBytesMax, largePlainBytes } from '@meshd/limits/large';
import { LargeData } from '@meshd/schema/large';
import { loadCa } from '../account-state.js';
import { withDevice } from '../device.js';
import type { ClientEnvironment } from '../environment.js';
import { ClientError } from '../errors.js';
import { Home } from '../home.js';
import { type LargeLocator, parseLocator } from '../large-locator.js';
import { LargeSource } from '../large-source.js';
import { connectionFor, domainOf } from '../session.js';
import { findMessage, type ListedMessage } from './messages.js';

/** How a file is fetched. */
export interface LargeFetching {
  /** Identifier of the message. */
  readonly id: string;
  /** Where the file is to be; under the name that the message gives, in the current folder, where absent. */
  readonly path?: string | undefined;
  /** Where the sender's service is, where its domain does not say so, and what certificates to trust there. */
  readonly url?: string | undefined;
  readonly ca?: string | undefined;
}

/** A file that is here. */
export interface FetchedLarge {
  readonly path: string;
  readonly bytes: number;
  readonly digest: Uint8Array;
  /** Octets that an earlier run had fetched. */
  readonly resumedBytes: number;
}

/** What a message says of a file. */
interface Announced {
  readonly sender: string;
  readonly locator: LargeLocator;
  readonly name: string;
  readonly bytes: number;
  readonly digest: Uint8Array;
}

const bodyTags = defineTags('message', { LargeData });
const digestBytes = 64;

/**
 * What a verified message announces.
 * @throws ClientError `usage` for another message, `entry` for one that announces nothing sound
 */
export function announcedBy({
  id,
  type,
  sender,
  body,
}: Pick<ListedMessage, 'id' | 'type' | 'sender' | 'body'>): Announced {
  if (type !== LargeData.name) throw new ClientError('usage', `message ${id} tells of no large file (${type})`);
  if (body === undefined) throw new ClientError('entry', `message ${id} cannot be read here`);
  const { Locator = '', Octets: bytes, Digest: digest, Name: name = '' } = decoded(body);
  const locator = parseLocator(Locator);
  // A sender must not be able to send our requests anywhere else than to his own service.
  if (locator.domain !== domainOf(sender)) {
    throw new ClientError('entry', `the file is not at the service of ${sender}, who sent the message`);
  }
  if (bytes === undefined || bytes < 0 || digest?.length !== digestBytes) {
    throw new ClientError('entry', 'the message says neither how large the file is nor what its digest is');
  }
  return { sender, locator, name, bytes, digest };
}

function decoded(body: JsonObject): LargeData {
  try {
    return decodeTagged(bodyTags, writeJson({ [LargeData.name]: body }), { form: 'json' }).value;
  } catch (cause) {
    if (!(cause instanceof EncodingError)) throw cause;
    throw new ClientError('entry', `the message tells of no file in a way that can be read: ${cause.message}`, {
      cause,
    });
  }
}

/** A name that is one in the current folder, whatever the sender wrote: no path, nothing hidden, nothing unprintable. */
export function safeName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  const plain = last.replace(/[\u0000-\u001f\u007f]/g, '').replace(/^[.\s]+/, '');
  return plain === '' || Buffer.byteLength(plain) > largeNameBytesMax ? 'large-data' : plain;
}

/**
 * Fetches the file that a message tells of from the sender's service, slice by slice. Each slice is verified before it is
 * written, and the whole by the digest that the sender signed; until then it lies beside its place, and a run that was
 * broken off is continued by the next one. Nothing of it is in memory but two slices.
 *
 * @throws ClientError `usage` where the place is taken, `refused` where the file is gone, `entry` where it is not what the
 *   sender announced, `unavailable`
 */
export async function fetchLarge(
  folder: string,
  environment: ClientEnvironment,
  { id, path: given, url, ca }: LargeFetching,
): Promise<FetchedLarge> {
  const home = new Home(folder);
  const { announced, own } = await withDevice(folder, environment, async (device, state) => {
    const message = await findMessage(device, id, ['inbound', 'outbound']);
    return { announced: announcedBy(message), own: { domain: domainOf(state.address), url: state.url } };
  });
  const path = given ?? safeName(announced.name);
  await requireFree(path);
  const { locator, sender } = announced;
  const isOwn = locator.domain === own.domain;
  const connection = connectionFor(home, environment, {
    domain: locator.domain,
    url: url ?? (isOwn ? own.url : undefined),
    ca: ca ?? (isOwn ? await loadCa(home) : undefined),
  });
  try {
    const layout = sliceLayout(announced.bytes);
    const source = new LargeSource({ connection, environment, locator, layout, account: sender });
    await source.requireFeature();
    return await fetchTo(environment, source, announced, layout, path);
  } finally {
    await connection.close();
  }
}

async function requireFree(path: string): Promise<void> {
  const isTaken = await access(path).then(
    () => true,
    () => false,
  );
  if (isTaken) throw new ClientError('usage', `${path} exists already; remove it or choose another place with --out`);
}

async function fetchTo(
  environment: ClientEnvironment,
  source: LargeSource,
  announced: Announced,
  layout: SliceLayout,
  path: string,
): Promise<FetchedLarge> {
  const { bytes, digest } = announced;
  // Named after the digest: what lies there is of this very file, whoever began to fetch it.
  const partPath = `${path}.${Buffer.from(digest).toString('hex').slice(0, 16)}.part`;
  for (let again = false; ; again = true) {
    const part = await open(partPath, again ? 'w+' : 'a+').catch((cause) => {
      throw new ClientError('usage', `cannot write ${partPath}: ${(cause as Error).message}`, { cause });
    });
    let resumedBytes: number;
    let isWhole: boolean;
    try {
      ({ resumedBytes, isWhole } = await fillPart(environment, source, announced, layout, part));
      if (isWhole) await part.sync();
    } finally {
      await part.close();
    }
    if (isWhole) {
      await rename(partPath, path);
      return { path, bytes, digest, resumedBytes };
    }
    await rm(partPath, { force: true });
    // What an earlier run left may have been damaged by a power cut; what was fetched in one go is what the sender stored.
    if (resumedBytes === 0) {
      throw new ClientError(
        'entry',
        `the file is not the one that ${announced.sender} announced: its digest is another`,
      );
    }
  }
}

/** Fetches what a part lacks. @returns whether the whole has its digest */
async function fillPart(
  environment: ClientEnvironment,
  source: LargeSource,
  { locator, name, digest, bytes }: Announced,
  layout: SliceLayout,
  part: FileHandle,
): Promise<{ readonly resumedBytes: number; readonly isWhole: boolean }> {
  const hash = createHash('sha512');
  const { size } = await part.stat();
  const first = size >= bytes && bytes > 0 ? layout.sliceCount : Math.floor(size / largePlainBytes);
  const resumedBytes = Math.min(bytes, first * largePlainBytes);
  // A torn slice at the end is fetched again. Appending then writes at the new end.
  await part.truncate(resumedBytes);
  await hashPart(part, hash, resumedBytes);
  const label = `fetching ${safeName(name)} (slices)`;
  let next: Promise<Uint8Array> | undefined = first < layout.sliceCount ? source.slice(first) : undefined;
  for (let slice = first; slice < layout.sliceCount; slice += 1) {
    const sealed = (await next) as Uint8Array;
    next = slice + 1 < layout.sliceCount ? source.slice(slice + 1) : undefined;
    next?.catch(() => undefined);
    const plain = openSlice(locator, layout, slice, sealed);
    hash.update(plain);
    await part.appendFile(plain);
    environment.progress(label, slice + 1, layout.sliceCount);
  }
  return { resumedBytes, isWhole: constantTimeEqual(hash.digest(), digest) };
}

function openSlice({ secrets }: LargeLocator, layout: SliceLayout, slice: number, sealed: Uint8Array): Uint8Array {
  try {
    return secrets.open(layout, slice, sealed);
  } catch (cause) {
    if (!(cause instanceof DareError)) throw cause;
    const where = `slice ${slice + 1} of ${layout.sliceCount}`;
    throw new ClientError('entry', `${where} is not what the sender stored; nothing of it was kept`, { cause });
  }
}

async function hashPart(part: FileHandle, hash: Hash, bytes: number): Promise<void> {
  const room = Buffer.allocUnsafe(Math.min(bytes, largePlainBytes));
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await part.read(room, 0, Math.min(room.length, bytes - at), at);
    if (bytesRead === 0) throw new ClientError('state', 'what was fetched before has become shorter; fetch again');
    hash.update(room.subarray(0, bytesRead));
    at += bytesRead;
  }
}
