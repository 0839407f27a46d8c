import { constantTimeEqual } from '@meshd/crypto/digest';
import { type EnvelopeOctets, openEnvelope, readEnvelope } from '@meshd/dare/envelope';
import type { ContentMeta } from '@meshd/dare/header';
import { type DecryptionKey, decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { deviceCatalog, isAccountContainer } from '@meshd/schema/container-name';
import { AccountCopy, type CopiedContainer, type CopyList, exportKeysOf } from '../account-copy.js';
import { decryptionOfEpochs, epochsOf, openAccountKeys } from '../account-keys.js';
import { uniqueIdFor } from '../blind.js';
import { openedItems } from '../catalog/opened-items.js';
import { readOwnContact } from '../contact-entry.js';
import { replayRules } from '../container-rules.js';
import type { Device } from '../device.js';
import { readBody } from '../entry-body.js';
import { showProgress } from '../environment.js';
import { ClientError } from '../errors.js';
import { enqueue, type PendingEntry } from '../pending.js';
import { plainOf } from '../reading-key.js';
import { Replay } from '../replay.js';
import { floorsOf } from '../store-floors.js';
import { encryptBody } from '../writer.js';
import { flushPending } from './flush.js';
import { readableReplica, synchronise } from './sync.js';
import { boundsOf, splitBatches } from './upload.js';

/** A copy whose files were all found to be as the device had verified them that made it. */
export interface CheckedCopy {
  readonly list: CopyList;
  readonly key: DecryptionKey;
  readonly keyBlind: Uint8Array;
}

/**
 * Checks a copy of an account: that its keys open with the export key, and that every container is, frame by frame, the one of
 * which the device that exported it had verified size and root.
 *
 * @throws ClientError `usage`, `entry` for another key, `frame` for a file that was changed or is missing
 */
export async function checkCopy(folder: string, exportKey: string): Promise<CheckedCopy> {
  const { list, key, keyBlind } = await openCopy(folder, exportKey);
  for (const container of list.containers) await new AccountCopy(folder).check(container);
  return { list, key, keyBlind };
}

async function openCopy(folder: string, exportKey: string): Promise<CheckedCopy> {
  const { reader, signer } = exportKeysOf(exportKey);
  const copy = new AccountCopy(folder);
  const [list, sealed] = [await copy.list(), await copy.keys()];
  if (list === undefined || sealed === undefined) {
    throw new ClientError(
      'usage',
      `${folder} holds no finished copy of an account; make one with: mesh account export`,
    );
  }
  const activation = await openAccountKeys(
    readEnvelope(sealed),
    [signer.publicKey],
    decryptionKeyFromSeed('Ed448', reader),
  ).catch((cause) => {
    throw new ClientError('entry', 'the keys of this copy do not open with that export key', { cause });
  });
  const { KeysEncryption: members, KeyBlind: keyBlind, Stores: stores = [], AccountUDF: accountUdf } = activation;
  if (keyBlind === undefined || accountUdf !== list.accountUdf) {
    throw new ClientError('frame', 'the keys of this copy are those of another account');
  }
  const verified = floorsOf(stores);
  for (const { container, frameCount, root } of list.containers) {
    const head = verified.get(container);
    if (head?.size === frameCount && constantTimeEqual(head.root, root)) continue;
    throw new ClientError('frame', `${container} in the list of this copy is not the one that was exported`);
  }
  return { list, key: decryptionOfEpochs(epochsOf(members)), keyBlind };
}

/** What became of the entries of one container. */
export interface ImportedContainer {
  readonly container: string;
  readonly addedCount: number;
  /** There already, with the same content. */
  readonly sameCount: number;
  /** There already with other content, which stayed. */
  readonly keptCount: number;
}

/** What an import came to. */
export interface ImportedAccount {
  readonly list: CopyList;
  readonly containers: readonly ImportedContainer[];
  /** Containers that are no catalogs of things: devices and messages. They were checked and stay in the copy. */
  readonly leftOut: readonly string[];
}

/** How to import. */
export interface ImportOptions {
  readonly folder: string;
  readonly exportKey: string;
  /** What is here with other content gives way to what is in the copy. */
  readonly replace?: boolean | undefined;
}

/**
 * Puts what a copy of an account holds now, its passwords, notes, contacts, files, into the account of this device: encrypted to
 * its key, signed by it, under its blinded names. History, devices and messages are of the account that they were made in, and
 * stay in the copy.
 *
 * Nothing is deleted; what is here already with other content stays, unless `replace`. Interrupted it may be called again: what
 * has arrived is found to be the same.
 *
 * @throws ClientError as {@link checkCopy}, and those of an upload
 */
export async function importAccount(device: Device, options: ImportOptions): Promise<ImportedAccount> {
  const { folder, exportKey } = options;
  const { list, ...keys } = await checkCopy(folder, exportKey);
  await synchronise(device);
  const containers: ImportedContainer[] = [];
  const leftOut: string[] = [];
  for (const listed of list.containers) {
    const frames: EnvelopeOctets[] = [];
    await new AccountCopy(folder).check(listed, (octets) => frames.push(octets));
    const items = isImported(listed, frames) ? itemsOf(listed, frames, keys) : undefined;
    if (items === undefined) leftOut.push(listed.container);
    else containers.push(await putItems(device, listed.container, items, options));
  }
  const { failures } = await flushPending(device);
  if (failures[0] !== undefined) throw failures[0].error;
  return { list, containers, leftOut };
}

function isImported({ container }: CopiedContainer, [zero]: readonly EnvelopeOctets[]): boolean {
  if (container === deviceCatalog || !isAccountContainer(container) || zero === undefined) return false;
  return replayRules(container, openEnvelope(zero).contentMetaData?.cty).kind === 'catalog';
}

/** An entry as the copy has it now. */
interface CopiedItem {
  readonly uniqueId: string;
  readonly plainKey: string | undefined;
  readonly name: string;
  readonly plain: Uint8Array;
  readonly meta: ContentMeta;
}

function itemsOf(
  { container }: CopiedContainer,
  frames: readonly EnvelopeOctets[],
  { key, keyBlind }: Pick<CheckedCopy, 'key' | 'keyBlind'>,
): CopiedItem[] {
  const opened = frames.map((octets) => openEnvelope(octets));
  const replay = new Replay(replayRules(container, opened[0]?.contentMetaData?.cty));
  for (const [frameIndex, { contentMetaData: meta = {} }] of opened.entries()) {
    if (frameIndex > 0) replay.apply(frameIndex, meta);
  }
  return [...replay.items].flatMap(([uniqueId, { current }]) => {
    const frame = opened[current];
    const plain = frame && plainOf(frame, key);
    // What the owner of the copied account says of himself would be false in another one.
    if (frame === undefined || plain === undefined || readOwnContact(plain) !== undefined) return [];
    const { name, plainKey } = readBody(plain);
    if (plainKey !== undefined && uniqueIdFor(keyBlind, container, plainKey) !== uniqueId && plainKey !== uniqueId) {
      throw new ClientError('frame', `frame ${current} of ${container} is filed under the key of something else`);
    }
    return [{ uniqueId, plainKey, name, plain, meta: frame.contentMetaData ?? {} }];
  });
}

async function putItems(
  device: Device,
  container: string,
  items: readonly CopiedItem[],
  { replace = false }: ImportOptions,
): Promise<ImportedContainer> {
  const { session } = device;
  const { keys, home, environment } = session;
  const replica = await readableReplica(device, container);
  const here = new Map((await openedItems(device, replica)).map(({ uniqueId, body }) => [uniqueId, body]));
  const entries: PendingEntry[] = [];
  let [sameCount, keptCount] = [0, 0];
  for (const { plainKey, plain, name, meta, ...item } of items) {
    const uniqueId = plainKey === undefined ? item.uniqueId : uniqueIdFor(keys.keyBlind, container, plainKey);
    const base = replica.reader.replay?.items.get(uniqueId)?.current;
    const known = here.get(uniqueId);
    if (known !== undefined && isSameText(known, plain)) sameCount += 1;
    else if (base !== undefined && !replace) keptCount += 1;
    else {
      const modifiedMs = (meta.Modified ?? meta.Created)?.getTime() ?? environment.nowMs();
      const { KeyValues: keyValues } = meta;
      entries.push({
        name: plainKey ?? name,
        uniqueId,
        body: encryptBody(session, plain),
        base,
        modifiedMs,
        keyValues,
      });
      await showProgress(environment, `importing ${container}`, entries.length + sameCount + keptCount, items.length);
    }
  }
  for (const batch of splitBatches(entries, await boundsOf(device))) await enqueue(home, container, batch);
  return { container, addedCount: entries.length, sameCount, keptCount };
}

/** Padding apart (S60). */
const isSameText = (one: Uint8Array, other: Uint8Array) =>
  Buffer.from(one).toString('latin1').trimEnd() === Buffer.from(other).toString('latin1').trimEnd();
