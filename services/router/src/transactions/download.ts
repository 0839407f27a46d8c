/**
 * Download: frames of the account's containers (draft 7.2, semantics 6.5): what is asked for, and where to go on. How the
 * answer is written is in `download-response.ts`.
 */
import type { PageQuery } from '@meshd/binding/page-key';
import {
  downloadEntriesDefault,
  downloadEntriesMax,
  downloadPayloadBytesDefault,
  downloadPayloadBytesMax,
  downloadSelectionsMax,
} from '@meshd/limits/limits';
import type { DownloadRequest, Selection } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ConstraintsData, ConstraintsSelect } from '@meshd/schema/common';
import { MeshError, statusRegistry } from '@meshd/schema/status';
import type { TransactionContext, TransactionHandler } from '../transaction.js';
import { type PageParts, writeResponse } from './download-response.js';
import { type UserCall, userCall } from './shared.js';

/** Words of `Filter` (schema 13). */
const filterWords: ReadonlySet<string> = new Set(['Superseded', 'Deleted', 'Read', 'Older']);

export const download: TransactionHandler<'Download'> = async (message, context) => {
  const user = await userCall(message, context);
  const selects = message.Select ?? [];
  if (selects.length > downloadSelectionsMax) {
    throw new MeshError('malformed', `a download has at most ${downloadSelectionsMax} selections`);
  }
  const asked = selects.map((select) => askedOf(select, user, context));
  const selections = asked.map(({ selection }) => selection);
  const bounds = boundsOf(message.ConstraintsPost ?? {}, selects.length);
  const parts = partsOf(message.ConstraintsPost ?? {}, asked);
  const heads = context.understands('heads-1');
  const { principal, call } = user;
  const answer = await context.shards.download(call, { principal, selections, ...bounds, ...parts, heads });
  const sealNext = context.understands('page')
    ? (position: number, indexNext: number, frameCount: number) =>
        sealNextPage(user, context, asked[position], parts, indexNext, frameCount)
    : () => undefined;
  const { status } = statusRegistry.success;
  return {
    kind: 'streamed',
    code: 'success',
    status,
    write: (stream, id, issue) => writeResponse(stream, { id, account: call.account, parts: answer, sealNext, issue }),
  };
};

/** A selection for the shard, and the query that it continues if it does. */
interface Asked {
  readonly selection: Selection;
  readonly page: PageQuery | undefined;
}

function askedOf(select: ConstraintsSelect, user: UserCall, context: TransactionContext): Asked {
  // A page key is the whole query: what stands beside it is not looked at.
  if (select.PageKey !== undefined) {
    const page = context.pages.openPage(select.PageKey, user.principal.account, deviceOf(user));
    return { selection: selectionOfPage(page), page };
  }
  const proves = context.understands('heads-1');
  return { selection: selectionOf(select, proves), page: undefined };
}

function selectionOf(select: ConstraintsSelect, proves: boolean): Selection {
  const { Container: container, IndexMax: indexMax, Filter: filters = [], ProveFrom: proveFrom, Prove: prove } = select;
  if (container === undefined) throw new MeshError('malformed', 'Container is missing');
  if (!filters.every((word) => filterWords.has(word))) throw new MeshError('malformed', 'unknown word in Filter');
  if (proveFrom !== undefined && proveFrom < 0) throw new MeshError('malformed', 'ProveFrom is negative');
  return {
    container,
    // Negative is the same as absent (semantics 6.5).
    indexMin: select.IndexMin === undefined ? undefined : Math.max(0, select.IndexMin),
    // Below every index: a range that is empty, since the rpc has no negative one.
    ...(indexMax !== undefined && indexMax < 0 ? { indexMin: 1, indexMax: 0 } : { indexMax }),
    notBeforeMs: select.NotBefore?.getTime(),
    beforeMs: select.Before?.getTime(),
    filters: [...new Set(filters)],
    // Proofs are members that only those are sent who named the word for them.
    prove: proves && prove === true,
    ...(proves ? { proveFrom } : {}),
  };
}

function selectionOfPage(page: PageQuery): Selection {
  const { container, indexNext, indexMax, notBeforeMs, beforeMs, filters = [], frameCount, prove = false } = page;
  return {
    ...{ container, indexMin: indexNext, indexMax, notBeforeMs, beforeMs, frameCount, prove },
    filters: [...filters],
  };
}

type Bounds = Pick<DownloadRequest, 'entriesMax' | 'payloadBytesMax' | 'payloadOffset'>;

/** How much is sent: little to whoever names no bound (draft 10.8.2). */
function boundsOf(constraints: ConstraintsData, selectCount: number): Bounds {
  const { MaxEntries: entries, BytesMax: bytes, BytesOffset: offset } = constraints;
  if ((entries ?? 1) < 1 || (bytes ?? 0) < 0 || (offset ?? 0) < 0) {
    throw new MeshError('malformed', 'ConstraintsPost out of range');
  }
  if (offset !== undefined && selectCount !== 1) {
    throw new MeshError('malformed', 'BytesOffset is for exactly one frame');
  }
  const isUnbounded = entries === undefined && bytes === undefined;
  return {
    entriesMax: isUnbounded ? downloadEntriesDefault : Math.min(entries ?? downloadEntriesMax, downloadEntriesMax),
    payloadBytesMax: isUnbounded
      ? downloadPayloadBytesDefault
      : Math.min(bytes ?? downloadPayloadBytesMax, downloadPayloadBytesMax),
    payloadOffset: offset,
  };
}

/** Which parts of frames are sent: all to whoever names none, and those of the earlier query to whoever continues one. */
function partsOf({ Header, Payload, Trailer }: ConstraintsData, asked: readonly Asked[]): PageParts {
  const all = Header === undefined && Payload === undefined && Trailer === undefined;
  const named = { header: all || Header === true, payload: all || Payload === true, trailer: all || Trailer === true };
  const each = asked.map(({ page }) => page?.parts ?? named);
  const [first = named] = each;
  const isSame = (other: PageParts) =>
    other.header === first.header && other.payload === first.payload && other.trailer === first.trailer;
  if (!each.every(isSame)) throw new MeshError('malformed', 'page keys of queries for different parts');
  return { header: first.header, payload: first.payload, trailer: first.trailer };
}

/** The device in whose name a page key is given, as it stands in the key. */
function deviceOf({ principal }: UserCall): string {
  return Buffer.from(principal.key).toString('base64url');
}

function sealNextPage(
  user: UserCall,
  context: TransactionContext,
  asked: Asked | undefined,
  parts: PageParts,
  indexNext: number,
  frameCount: number,
): string | undefined {
  if (asked === undefined) throw new Error('the shard cut a selection that nobody made');
  const { container, indexMax, notBeforeMs, beforeMs, filters, prove } = asked.selection;
  return context.pages.sealPage({
    account: user.principal.account,
    device: deviceOf(user),
    ...{ container, indexNext, parts },
    // Frames that were appended since the first answer are not in the query.
    frameCount: asked.page?.frameCount ?? frameCount,
    ...(indexMax === undefined ? {} : { indexMax }),
    ...(notBeforeMs === undefined ? {} : { notBeforeMs }),
    ...(beforeMs === undefined ? {} : { beforeMs }),
    ...(filters.length === 0 ? {} : { filters }),
    ...(prove ? { prove } : {}),
  });
}
