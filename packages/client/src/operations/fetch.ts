import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { verifyConsistency } from '@meshd/dare/log-tree';
import { pageBytes, pageBytesMin, pageCutsMax } from '@meshd/limits/client';
import { downloadEntriesMax } from '@meshd/limits/limits';
import type { ConstraintsSelect, ContainerUpdate } from '@meshd/schema/common';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import type { TrustedHead } from '../reader.js';
import { isCut } from '../repeat.js';
import type { Replica } from '../replica.js';
import { requireSuccess } from '../session.js';
import type { SignedHeads } from '../signed-heads.js';
import { judgeView, rollbackError } from './account-status.js';
import { fetchSliced, hasPart } from './slices.js';

const goneStatus = 410;

/** Whose bodies may be left out (semantics 6.5). */
export interface FetchFilter {
  /** Words of the extension `Filter`. */
  readonly words: readonly string[];
  /** With `Older`: what was stored before this. */
  readonly olderThan?: Date | undefined;
}

/** One container that is being brought up to date. */
interface Cursor {
  readonly container: string;
  readonly replica: Replica;
  /** Head from which a proof of consistency is wanted; until it was given. */
  proveFrom: TrustedHead | undefined;
  readonly select: Partial<ConstraintsSelect>;
  /** Frame to ask for next; the reader may be a page behind. */
  next: number;
  total: number;
  pageKey: string | undefined;
  fetchedCount: number;
}

/** An answer that has arrived and was not looked into. */
interface Page {
  readonly parts: readonly { readonly cursor: Cursor; readonly update: ContainerUpdate; readonly hasProof: boolean }[];
  readonly heads: EnvelopeOctets | undefined;
}

/** How much is asked for: less after every cut. */
class Pace {
  bytes = pageBytes;
  /** No page has been asked for yet. */
  isFirst = true;

  slower(): void {
    this.bytes = Math.max(pageBytesMin, Math.floor(this.bytes / 4));
  }
}

function selectOf(cursor: Cursor): ConstraintsSelect {
  const { container, pageKey, next, select, proveFrom } = cursor;
  if (pageKey !== undefined) return { Container: container, PageKey: pageKey };
  const proof = proveFrom === undefined ? {} : { ProveFrom: proveFrom.size };
  return { Container: container, IndexMin: next, ...select, ...proof };
}

/** What a Download brought. */
interface Answer {
  readonly updates: readonly ContainerUpdate[];
  readonly heads: EnvelopeOctets | undefined;
  /** Proofs of consistency were asked for, where one is still wanted; slices bring none. */
  readonly isAsked: boolean;
}

/** Puts the parts of an answer to the containers they are of, and notes where to go on: no frame is looked into. */
function pageOf(cursors: readonly Cursor[], { updates, heads, isAsked }: Answer): Page {
  const parts = cursors.flatMap((cursor) => {
    const update = updates.find(({ Container }) => Container === cursor.container);
    return update === undefined ? [] : [{ cursor, update, hasProof: isAsked && cursor.pageKey === undefined }];
  });
  let moved = 0;
  for (const { cursor, update } of parts) {
    const count = update.Envelopes?.length ?? 0;
    cursor.next += count;
    cursor.total = update.Index ?? 0;
    cursor.pageKey = update.PageKey;
    moved += count;
    if (cursor.next > cursor.total && count > 0) {
      const { container } = cursor;
      throw new ClientError('fork', `the service gives more frames of ${container} than it says there are`, {
        contradiction: { container, verified: { size: cursor.next }, shown: { size: cursor.total } },
      });
    }
  }
  const missing = cursors.find((cursor) => !parts.some((part) => part.cursor === cursor));
  if (missing !== undefined) {
    throw new ClientError('unavailable', `the service answers without ${missing.container}; tell its operator`);
  }
  if (moved === 0 && cursors.some(({ next, total }) => next < total)) {
    const names = cursors.map(({ container }) => container).join(', ');
    throw new ClientError('unavailable', `the service gives no further frames of ${names}; try again later`);
  }
  return { parts, heads };
}

async function askPage(device: Device, cursors: readonly Cursor[], pace: Pace): Promise<Page> {
  const ask = () =>
    device.session.call(
      'Download',
      {
        Select: cursors.map(selectOf),
        ConstraintsPost: { MaxEntries: downloadEntriesMax, BytesMax: pace.bytes },
      },
      [],
      { faultsMax: 0 },
    );
  let response = await ask();
  if (response.status === goneStatus) {
    // Page keys end after an hour; where we are, we know ourselves.
    for (const cursor of cursors) cursor.pageKey = undefined;
    response = await ask();
  }
  requireSuccess(`Download of ${cursors.map(({ container }) => container).join(', ')}`, response);
  const { Updates: updates = [], EnvelopedHeads: heads } = response.message;
  return pageOf(cursors, { updates, heads, isAsked: true });
}

async function slicedPage(device: Device, cursor: Cursor): Promise<Page> {
  const { update, heads } = await fetchSliced(device, cursor.container, cursor.next);
  return pageOf([cursor], { updates: [update], heads, isAsked: false });
}

/**
 * The next page, asked for in smaller and smaller pieces while the line breaks, and in the end in slices. What an earlier
 * run began to fetch in slices is finished first.
 */
async function nextPage(device: Device, cursors: readonly Cursor[], pace: Pace): Promise<Page> {
  for (const cursor of pace.isFirst ? cursors : []) {
    if (await hasPart(device, cursor.container, cursor.next)) return slicedPage(device, cursor);
  }
  pace.isFirst = false;
  for (let cuts = 0; ; cuts += 1) {
    try {
      const [cursor] = cursors;
      const isSliced = cuts > pageCutsMax || (cuts > 0 && pace.bytes === pageBytesMin);
      return isSliced && cursor !== undefined ? await slicedPage(device, cursor) : await askPage(device, cursors, pace);
    } catch (error) {
      if (!isCut(error) || cuts > pageCutsMax) throw error;
      pace.slower();
      await device.session.environment.pause(100 * 2 ** cuts);
    }
  }
}

/** The head that the service signs now must continue the one that was verified here (S46). */
function requireConsistency(cursor: Cursor, update: ContainerUpdate, signed: SignedHeads): void {
  const { container, proveFrom: verified } = cursor;
  const shown = signed.heads.get(container);
  if (verified === undefined || shown === undefined) return;
  if (shown.size < verified.size) throw rollbackError(container, verified, shown);
  const holds = verifyConsistency({
    fromCount: verified.size,
    toCount: shown.size,
    fromRoot: verified.root,
    toRoot: shown.root,
    path: update.Consistency ?? [],
  });
  if (holds) {
    cursor.proveFrom = undefined;
    return;
  }
  throw new ClientError(
    'fork',
    `the service cannot prove that its ${container} continues the one that this device has verified: stop using this service and keep this home as evidence`,
    { contradiction: { container, verified, shown } },
  );
}

/** Verifies a page and makes it part of the replicas. */
async function takePage(device: Device, page: Page): Promise<void> {
  const signed = await device.heads.judge(page.heads);
  for (const { cursor, update, hasProof } of page.parts) {
    const { container, replica } = cursor;
    const head = signed?.heads.get(container);
    if (signed !== undefined && hasProof) requireConsistency(cursor, update, signed);
    const cuts = await device.revocationCuts(container);
    const checkpoints = head === undefined ? cuts : [...cuts, head];
    const accepted = await replica.reader.take(update.Envelopes ?? [], await device.writers(), checkpoints);
    await replica.store(accepted);
    cursor.fetchedCount += update.Envelopes?.length ?? 0;
    judgePage(replica, update);
    device.session.environment.progress(container, replica.reader.nextIndex, update.Index ?? 0);
  }
}

/** Frames that both have must be the same ones; the root at the signed size is a checkpoint of the reader. */
function judgePage(replica: Replica, update: ContainerUpdate): void {
  const { container, head, apex: digest, size } = replica.reader;
  const frameCount = update.Index ?? 0;
  if (head === undefined) return;
  const known = replica.trusted ?? head;
  if (frameCount < known.size) throw rollbackError(container, known, { size: frameCount });
  const heads = [{ container, frameCount, digest: update.Digest }];
  if (frameCount === size) judgeView({ heads, signed: undefined }, [{ ...head, container, digest }]);
}

async function cursorOf(
  device: Device,
  container: string,
  total: number,
  filter: FetchFilter | undefined,
): Promise<Cursor> {
  const replica = await device.replica(container);
  const trusted = replica.trusted;
  const hasHeads = await device.session.offers('heads-1');
  const words = filter === undefined || filter.words.length === 0 ? undefined : [...filter.words];
  return {
    container,
    replica,
    proveFrom: hasHeads && trusted !== undefined ? trusted : undefined,
    select: {
      ...(words === undefined ? {} : { Filter: words }),
      ...(filter?.olderThan === undefined ? {} : { NotBefore: filter.olderThan }),
    },
    next: replica.reader.nextIndex,
    total,
    pageKey: undefined,
    fetchedCount: 0,
  };
}

/** How many frames of a container were fetched, and how many the service has. */
export interface Fetched {
  readonly fetchedCount: number;
  readonly frameCount: number;
}

/**
 * Brings replicas up to date, several containers in one Download. While one page is verified and stored, the next one
 * travels. The device catalog must be up to date before any other container is asked for.
 *
 * @throws ClientError
 */
export async function fetchContainers(
  device: Device,
  wanted: readonly { readonly container: string; readonly frameCount: number }[],
  filter?: FetchFilter,
): Promise<Map<string, Fetched>> {
  const cursors: Cursor[] = [];
  for (const { container, frameCount } of wanted) cursors.push(await cursorOf(device, container, frameCount, filter));
  const pace = new Pace();
  const unfinished = () => cursors.filter(({ next, total }) => next < total);
  const ask = () => {
    const open = unfinished();
    if (open.length === 0) return undefined;
    const page = nextPage(device, open, pace);
    // Should the page before turn out to be false, nobody waits for this one.
    page.catch(() => undefined);
    return page;
  };
  for (let asked = ask(); asked !== undefined; ) {
    const page = await asked;
    asked = ask();
    await takePage(device, page);
  }
  return new Map(cursors.map(({ container, fetchedCount, total }) => [container, { fetchedCount, frameCount: total }]));
}
