import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { sha256 } from '@meshd/crypto/digest';
import { sliceLayout } from '@meshd/dare/sealed-file';
import { largePlainBytes } from '@meshd/limits/large';
import type { LargeFile } from '@meshd/schema/large';
import type { RequestOf } from '@meshd/schema/protocol';
import type { ClientEnvironment } from '../environment.js';
import { ClientError } from '../errors.js';
import type { Home } from '../home.js';
import { type LargeLocator, largeLocator, makeLargeKey, readerOf } from '../large-locator.js';
import { requireSuccess, type Session } from '../session.js';

/*
 * The sender's half of large data: a file goes to the own service slice by slice, each sealed as it leaves. Nothing of it is
 * in memory but two slices, and what a crash or a cut leaves behind is continued: the service says how much it has, and the
 * key is kept until the messages that tell of the file are sent.
 */

/** What a home remembers of a file that is on its way. */
export interface LargeUpload {
  readonly version: 1;
  readonly path: string;
  readonly bytes: number;
  /** Time of its last change, nanoseconds as text: a changed file is another one. */
  readonly modified: string;
  /** The key of its locator. */
  readonly key: string;
  /** Recipients that were told. */
  readonly told: readonly string[];
}

/** A file that is stored. */
export interface StoredLarge {
  readonly locator: LargeLocator;
  readonly name: string;
  readonly bytes: number;
  /** SHA-2-512 of the file. */
  readonly digest: Uint8Array;
  readonly expiresMs: number;
}

const folder = 'large';

function stateOf({ path, bytes, modified }: Pick<LargeUpload, 'path' | 'bytes' | 'modified'>): [string, string] {
  const text = Buffer.from(`${path}\n${bytes}\n${modified}`, 'utf8');
  return [folder, `${Buffer.from(sha256(text)).toString('hex')}.json`];
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw new ClientError('usage', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

async function looked(file: FileHandle, path: string): Promise<{ bytes: number; modified: string }> {
  const found = await file.stat({ bigint: true });
  if (!found.isFile()) throw new ClientError('usage', `${path} is no file`);
  return { bytes: Number(found.size), modified: String(found.mtimeNs) };
}

/**
 * The upload of a file that an earlier run has begun, or a new one, remembered before anything is sent.
 *
 * @param given path of the file
 * @throws ClientError `usage` for a file that cannot be read
 */
export async function planUpload(home: Home, environment: ClientEnvironment, given: string): Promise<LargeUpload> {
  const path = resolve(given);
  const file = await opened(path);
  try {
    const found = { path, ...(await looked(file, path)) };
    const begun = await home.readJson<LargeUpload>(...stateOf(found)).catch(() => undefined);
    return begun?.version === 1 ? begun : await renewUpload(home, environment, found);
  } finally {
    await file.close();
  }
}

async function renewUpload(
  home: Home,
  { random }: ClientEnvironment,
  { path, bytes, modified }: Pick<LargeUpload, 'path' | 'bytes' | 'modified'>,
): Promise<LargeUpload> {
  const upload: LargeUpload = { version: 1, path, bytes, modified, key: makeLargeKey(random), told: [] };
  await home.writeJson(upload, ...stateOf(upload));
  return upload;
}

/** Remembers who was told. */
export async function noteTold(home: Home, upload: LargeUpload, recipient: string): Promise<LargeUpload> {
  const noted = { ...upload, told: [...upload.told, recipient] };
  await home.writeJson(noted, ...stateOf(noted));
  return noted;
}

/** Forgets an upload that is over. */
export async function forgetUpload(home: Home, upload: LargeUpload): Promise<void> {
  await home.remove(...stateOf(upload));
}

/** A request about large files; the answer's one file. */
async function ask(session: Session, what: string, message: RequestOf<'StoreLarge'>): Promise<LargeFile> {
  const response = await session.call('StoreLarge', message);
  requireSuccess(what, response);
  const [file] = response.message.Files ?? [];
  if (file === undefined) throw new ClientError('unavailable', `the service says nothing of ${what}; try again later`);
  return file;
}

/**
 * Stores a file, or what is missing of it.
 *
 * @param keptUntilMs until when it is wanted; the service's own time where absent
 * @returns the upload, renewed where the service has dropped what there was, and the file
 * @throws ClientError `usage` where the file has changed meanwhile, `refused` where there is no room, `unavailable`
 */
export async function storeLarge(
  session: Session,
  planned: LargeUpload,
  keptUntilMs: number | undefined,
): Promise<{ readonly upload: LargeUpload; readonly stored: StoredLarge }> {
  const { environment, home, domain } = session;
  if (!(await session.offers('large-1'))) {
    throw new ClientError('unavailable', `the service of ${domain} takes no large files`);
  }
  const begin = async (upload: LargeUpload) => {
    const locator = largeLocator(domain, upload.key);
    const begun = await ask(session, 'the file', {
      Identifier: locator.identifier,
      Octets: sliceLayout(upload.bytes).sealedBytes,
      Reader: readerOf(locator).key.publicKey.raw,
      ...(keptUntilMs === undefined ? {} : { Expires: new Date(keptUntilMs) }),
    });
    return { upload, locator, begun };
  };
  const { upload, locator, begun } = await begin(planned).catch(async (error) => {
    // What was begun has expired meanwhile.
    if (!(error instanceof ClientError) || error.refusal?.status !== 404) throw error;
    return begin(await renewUpload(home, environment, planned));
  });
  const file = await opened(upload.path);
  try {
    const sent = await sendSlices(session, file, upload, locator, begun);
    await requireUnchanged(session, file, upload, locator);
    const { Expires: expires } = sent.file;
    const { bytes } = upload;
    const name = basename(upload.path);
    return { upload, stored: { locator, name, bytes, digest: sent.digest, expiresMs: expires?.getTime() ?? 0 } };
  } finally {
    await file.close();
  }
}

/** Sends what the service has not; reads all, for the digest. The next slice is sealed while one is on its way. */
async function sendSlices(
  session: Session,
  file: FileHandle,
  { path, bytes }: LargeUpload,
  { identifier, secrets }: LargeLocator,
  begun: LargeFile,
): Promise<{ readonly digest: Uint8Array; readonly file: LargeFile }> {
  const { environment } = session;
  const layout = sliceLayout(bytes);
  const hash = createHash('sha512');
  const room = Buffer.allocUnsafe(largePlainBytes);
  const label = `sending ${basename(path)} (slices)`;
  const stored = begun.Stored ?? 0;
  let onItsWay: Promise<LargeFile> = Promise.resolve(begun);
  for (let slice = 0; slice < layout.sliceCount; slice += 1) {
    const plain = room.subarray(0, layout.plainBytesOf(slice));
    await readWhole(file, plain, slice * largePlainBytes, path);
    hash.update(plain);
    const offset = layout.sealedOffsetOf(slice);
    if (offset >= stored) {
      const Data = secrets.seal(layout, slice, plain, environment.random);
      await onItsWay;
      onItsWay = sendSlice(session, { Identifier: identifier, Offset: offset, Data });
      // Awaited before the next one; until then nothing must be made of its failure.
      onItsWay.catch(() => undefined);
    }
    environment.progress(label, slice + 1, layout.sliceCount);
  }
  return { digest: hash.digest(), file: await onItsWay };
}

async function sendSlice(
  session: Session,
  message: { readonly Identifier: string; readonly Offset: number; readonly Data: Uint8Array },
): Promise<LargeFile> {
  const file = await ask(session, 'a slice of the file', message);
  if (file.Stored !== message.Offset + message.Data.length) {
    throw new ClientError('conflict', 'something else was added to the file at the service; send it again');
  }
  return file;
}

async function readWhole(file: FileHandle, into: Uint8Array, position: number, path: string): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) throw changed(path);
    done += bytesRead;
  }
}

const changed = (path: string) => new ClientError('usage', `${path} has changed while it was sent; send it again`);

/** A file that was written to meanwhile is neither the old nor the new one: nobody is told of it. */
async function requireUnchanged(
  session: Session,
  file: FileHandle,
  upload: LargeUpload,
  { identifier }: LargeLocator,
): Promise<void> {
  const { bytes, modified } = await looked(file, upload.path);
  if (bytes === upload.bytes && modified === upload.modified) return;
  await forgetUpload(session.home, upload);
  await session.call('StoreLarge', { Identifier: identifier, Withdraw: true });
  throw changed(upload.path);
}
