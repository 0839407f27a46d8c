import type { EnvelopeOctets } from '@meshd/dare/envelope';
import {
  downloadEntriesMax,
  downloadPartBytesMax,
  downloadPayloadBytesMax,
  downloadSelectionsMax,
} from '@meshd/limits/limits';
import { MeshError } from '@meshd/schema/status';
import { authorise, type Caller, type Principal } from '../authorise.js';
import { noteFirstUse } from '../connect/first-use.js';
import type { ShardContext } from '../context.js';
import { type FrameParts, selectParts } from '../frame-parts.js';
import { mayRead } from '../permissions.js';
import type { AccountReader, ContainerState, FrameFilter, FrameRow, FrameSelection } from '../storage/store.js';
import { describe, type PrincipalDescription } from './authenticate.js';
import { consistencyOf, type FrameProof, proofsOf } from './proofs.js';
import { type ContainerStatus, containerStatus } from './status.js';

/** Which frames of one container: by index and by the time at which the service stored them. */
export interface Selection {
  readonly container: string;
  /** Inclusive. */
  readonly indexMin: number | undefined;
  /** Inclusive. */
  readonly indexMax: number | undefined;
  /** Inclusive, milliseconds since 1970 UTC. With the filter `Older` it only says what is old. */
  readonly notBeforeMs: number | undefined;
  /** Exclusive. */
  readonly beforeMs: number | undefined;
  /** Words of semantics 6.5: matching frames are sent without their body. */
  readonly filters: readonly string[];
  /** Frames from here on are not in the query, which began when there were no more. */
  readonly frameCount: number | undefined;
  /** Prove that the container of this size is the beginning of what it is now (S46). */
  readonly proveFrom: number | undefined;
  /** Prove every frame. */
  readonly prove: boolean;
}

/** A Download request. */
export interface DownloadRequest {
  readonly principal: Principal;
  readonly selections: readonly Selection[];
  /** For the whole answer. */
  readonly entriesMax: number;
  /** Octets of payload in the whole answer; one entry is sent regardless. */
  readonly payloadBytesMax: number;
  readonly parts: FrameParts;
  /** Send a slice of the one frame selected: from here, `payloadBytesMax` octets. */
  readonly payloadOffset: number | undefined;
  /** Whether to send the signed heads (S45). */
  readonly heads: boolean;
  /** Whether to say who asks, for a ticket. */
  readonly describePrincipal: boolean;
}

/** One piece of an answer, in order: for each selection its container, its frames, its end; at the end the end. */
export type DownloadPart =
  | {
      readonly kind: 'container';
      readonly selectionIndex: number;
      readonly status: ContainerStatus;
      readonly consistency: readonly Uint8Array[];
    }
  | { readonly kind: 'frames'; readonly envelopes: readonly EnvelopeOctets[]; readonly proofs: readonly FrameProof[] }
  /** `indexNext`: a limit cut the selection before this frame. */
  | { readonly kind: 'container-end'; readonly indexNext: number | undefined }
  | {
      readonly kind: 'end';
      readonly frameCount: number;
      readonly cut: boolean;
      readonly heads: EnvelopeOctets | undefined;
      readonly principal: PrincipalDescription | undefined;
    };

/** What an answer may still hold. */
interface Budget {
  entries: number;
  payloadBytes: number;
  frameCount: number;
  cut: boolean;
}

/** One selection of an existing container. */
interface Selected {
  readonly reader: AccountReader;
  readonly container: ContainerState;
  readonly selection: Selection;
  readonly filter: FrameFilter | undefined;
  /** First and last index, inclusive; an empty range is the wrong way round. */
  readonly from: number;
  readonly to: number;
}

/**
 * Download (semantics 6.5): frames of the account's containers in storage order, streamed, so that memory is bounded by
 * a chunk and not by the answer.
 *
 * The account is looked at once; frames appended meanwhile are not in the answer, of
 * those selected nothing changes but that bodies of deleted entries may go (S64).
 *
 * @throws MeshError before the first part: `container-unknown` for a single selection of none, `not-authorised` for a
 *   container that the device may not read, `malformed` for an unknown filter or a slice of several frames; `internal`
 *   later, where a stored frame is damaged.
 */
export async function* download(context: ShardContext, request: DownloadRequest): AsyncGenerator<DownloadPart> {
  if (request.selections.length > downloadSelectionsMax) {
    throw new MeshError('too-large', `at most ${downloadSelectionsMax} selections`);
  }
  const { account } = request.principal;
  const { caller, selected, seenAtMs } = await context.store.readAccount(account, async (reader) => {
    const seenAtMs = context.clock();
    const caller = await authorise(request.principal, reader.state, { recovery: 'read', away: 'copy' });
    return { caller, selected: selectContainers(reader, caller, request.selections), seenAtMs };
  });
  await noteFirstUse(context, caller);
  if (request.payloadOffset !== undefined) requireOneFrame(request, selected);
  const budget: Budget = {
    entries: Math.min(request.entriesMax, downloadEntriesMax),
    payloadBytes: Math.min(request.payloadBytesMax, downloadPayloadBytesMax),
    frameCount: 0,
    cut: false,
  };
  for (const [selectionIndex, each] of selected.entries()) {
    if (each === undefined) continue;
    const { reader, container, selection } = each;
    const consistency = await consistencyOf(reader, container, selection.proveFrom ?? 0);
    yield { kind: 'container', selectionIndex, status: containerStatus(container), consistency };
    const indexNext = yield* request.payloadOffset === undefined || !request.parts.payload
      ? selectedFrames(each, request.parts, budget)
      : slicedFrame(each, request.parts, request.payloadOffset, budget);
    yield { kind: 'container-end', indexNext };
  }
  const heads = request.heads ? await context.heads.envelopeOf(caller.state, seenAtMs) : undefined;
  const principal = request.describePrincipal ? describe(caller) : undefined;
  yield { kind: 'end', frameCount: budget.frameCount, cut: budget.cut, heads, principal };
}

/** The containers of the selections; of several, those that do not exist are left out of the answer. */
function selectContainers(
  reader: AccountReader,
  caller: Caller,
  selections: readonly Selection[],
): (Selected | undefined)[] {
  return selections.map((selection) => {
    const filter = filterOf(selection);
    const container = caller.state.containers.get(selection.container);
    if (container === undefined) {
      if (selections.length === 1) throw new MeshError('container-unknown');
      return undefined;
    }
    if (!mayRead(caller.permissions, container.name)) throw new MeshError('not-authorised');
    const end = Math.min(selection.frameCount ?? container.frameCount, container.frameCount);
    const from = Math.max(0, selection.indexMin ?? 0);
    const to = Math.min(selection.indexMax ?? Number.POSITIVE_INFINITY, end - 1);
    return { reader, container, selection, filter, from, to };
  });
}

const filterWords: ReadonlySet<string> = new Set(['Superseded', 'Deleted', 'Read', 'Older']);

function filterOf({ filters, notBeforeMs }: Selection): FrameFilter | undefined {
  if (filters.length === 0) return undefined;
  const unknown = filters.find((word) => !filterWords.has(word));
  if (unknown !== undefined) throw new MeshError('malformed', 'Filter is Superseded, Deleted, Read or Older');
  return {
    superseded: filters.includes('Superseded'),
    deleted: filters.includes('Deleted'),
    read: filters.includes('Read'),
    olderThanMs: filters.includes('Older') ? notBeforeMs : undefined,
  };
}

/** A slice is of one frame: octets of several would not be told apart. */
function requireOneFrame({ selections }: DownloadRequest, [first]: readonly (Selected | undefined)[]): void {
  if (selections.length !== 1 || first === undefined || first.to > first.from) {
    throw new MeshError('malformed', 'BytesOffset needs a selection of exactly one frame');
  }
}

/**
 * Frames of one selection within what the answer may still hold. One frame more than may be sent is asked for where the
 * number of entries is the limit, so that an answer is called cut only if something was left out.
 *
 * @returns index of the first frame that was left out; undefined when none was.
 */
async function* selectedFrames(
  selected: Selected,
  parts: FrameParts,
  budget: Budget,
): AsyncGenerator<DownloadPart, number | undefined> {
  const { reader, container, selection, from, to } = selected;
  if (from > to) return undefined;
  if (budget.cut) return from;
  for await (const chunk of reader.frames(container, storedSelection(selected, parts, budget))) {
    const rows: FrameRow[] = [];
    let left: FrameRow | undefined;
    for (const row of chunk) {
      if (!fits(row, parts, budget)) {
        left = row;
        break;
      }
      take(row, parts, budget);
      rows.push(row);
    }
    if (rows.length > 0) {
      const proofs = selection.prove ? await proofsOf(reader, container, rows, parts) : [];
      yield* inParts(
        rows.map((row) => sent(row, parts)),
        proofs,
      );
    }
    if (left === undefined) continue;
    budget.cut = true;
    return left.index;
  }
  return undefined;
}

/** Envelopes in groups of bounded size: streams count what waits in them by the part. */
function* inParts(envelopes: readonly EnvelopeOctets[], proofs: readonly FrameProof[]): Generator<DownloadPart> {
  let start = 0;
  let bytes = 0;
  for (const [at, envelope] of envelopes.entries()) {
    const size = partsBytes(envelope);
    if (at > start && bytes + size > downloadPartBytesMax) {
      yield { kind: 'frames', envelopes: envelopes.slice(start, at), proofs: proofs.slice(start, at) };
      [start, bytes] = [at, 0];
    }
    bytes += size;
  }
  if (start < envelopes.length)
    yield { kind: 'frames', envelopes: envelopes.slice(start), proofs: proofs.slice(start) };
}

function partsBytes({ header, payload, trailer }: EnvelopeOctets): number {
  return header.length + (payload?.length ?? 0) + (trailer?.length ?? 0);
}

/** Octets of one payload; more of them follow where the answer is called cut. */
async function* slicedFrame(
  { reader, container, selection, from, to }: Selected,
  parts: FrameParts,
  offset: number,
  budget: Budget,
): AsyncGenerator<DownloadPart, undefined> {
  const row = from > to ? undefined : await reader.frameSlice(container, from, { offset, bytes: budget.payloadBytes });
  if (row === undefined || budget.entries < 1) return undefined;
  const proofs = selection.prove ? await proofsOf(reader, container, [row], parts) : [];
  yield { kind: 'frames', envelopes: [selectParts(row, parts)], proofs };
  budget.frameCount = 1;
  budget.cut = offset + (row.payload?.length ?? 0) < row.payloadBytes;
  return undefined;
}

/** A frame that the filter matched has the redacted form, whatever was asked for. */
function sent(row: FrameRow, parts: FrameParts): EnvelopeOctets {
  return selectParts(row, row.filtered ? { ...parts, payload: false } : parts);
}

function storedSelection({ selection, filter, from, to }: Selected, parts: FrameParts, budget: Budget): FrameSelection {
  const { notBeforeMs, beforeMs } = selection;
  const excludesOlder = notBeforeMs !== undefined && !selection.filters.includes('Older');
  return {
    from,
    to,
    ...(excludesOlder ? { notBeforeMs } : {}),
    ...(beforeMs === undefined ? {} : { beforeMs }),
    ...(filter === undefined ? {} : { filter }),
    // The header is read in any case: it is never wholly left out.
    payload: parts.payload,
    trailer: parts.trailer,
    framesMax: budget.entries + 1,
  };
}

/** Octets of payload that a frame adds to the answer. */
function payloadSent(row: FrameRow, parts: FrameParts): number {
  return parts.payload && !row.filtered ? row.payloadBytes : 0;
}

function fits(row: FrameRow, parts: FrameParts, budget: Budget): boolean {
  if (budget.entries < 1) return false;
  return budget.frameCount === 0 || payloadSent(row, parts) <= budget.payloadBytes;
}

function take(row: FrameRow, parts: FrameParts, budget: Budget): void {
  budget.frameCount += 1;
  budget.entries -= 1;
  budget.payloadBytes -= payloadSent(row, parts);
}
