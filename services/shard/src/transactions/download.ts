import type { EnvelopeOctets } from '@meshd/dare/envelope';
import {
  downloadEntriesMax,
  downloadPartBytesMax,
  downloadPayloadBytesMax,
  downloadSelectionsMax,
} from '@meshd/limits/limits';
import { MeshError } from '@meshd/schema/status';
import { authorise, type Caller, type Principal } from '../authorise.js';
import type { ShardContext } from '../context.js';
import { type FrameParts, selectParts } from '../frame-parts.js';
import { mayRead } from '../permissions.js';
import type { AccountReader, ContainerState, FrameRow, FrameSelection } from '../storage/store.js';
import { type ContainerStatus, containerStatus } from './status.js';

/** Which frames of one container: by index and by the time at which the service stored them. */
export interface Selection {
  readonly container: string;
  /** Inclusive. */
  readonly indexMin: number | undefined;
  /** Inclusive. */
  readonly indexMax: number | undefined;
  /** Inclusive, milliseconds since 1970 UTC. */
  readonly notBeforeMs: number | undefined;
  /** Exclusive. */
  readonly beforeMs: number | undefined;
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
}

/** One piece of an answer, in order: for each selection its container, then its frames; at the end the end. */
export type DownloadPart =
  | { readonly kind: 'container'; readonly selectionIndex: number; readonly status: ContainerStatus }
  | { readonly kind: 'frames'; readonly envelopes: readonly EnvelopeOctets[] }
  | { readonly kind: 'end'; readonly frameCount: number; readonly cut: boolean };

/** What an answer may still hold. */
interface Budget {
  entries: number;
  payloadBytes: number;
  frameCount: number;
  cut: boolean;
}

/**
 * Download (semantics 6.5): frames of the account's containers in storage order, streamed, so that memory is bounded by
 * a chunk and not by the answer.
 *
 * The account is looked at once; frames appended meanwhile are not in the answer, those selected cannot change.
 *
 * @throws MeshError before the first part: `container-unknown` for a single selection of none, `not-authorised` for a
 *   container that the device may not read; `internal` later, where a stored frame is damaged.
 */
export async function* download(context: ShardContext, request: DownloadRequest): AsyncGenerator<DownloadPart> {
  if (request.selections.length > downloadSelectionsMax) {
    throw new MeshError('too-large', `at most ${downloadSelectionsMax} selections`);
  }
  const { account } = request.principal;
  const { reader, containers } = await context.store.readAccount(account, async (reader) => {
    const caller = await authorise(request.principal, reader.state);
    return { reader, containers: selectContainers(caller, request.selections) };
  });
  const budget: Budget = {
    entries: Math.min(request.entriesMax, downloadEntriesMax),
    payloadBytes: Math.min(request.payloadBytesMax, downloadPayloadBytesMax),
    frameCount: 0,
    cut: false,
  };
  for (const [selectionIndex, selection] of request.selections.entries()) {
    const container = containers[selectionIndex];
    if (container === undefined) continue;
    yield { kind: 'container', selectionIndex, status: containerStatus(container) };
    if (!budget.cut) yield* selectedFrames(reader, container, selection, request.parts, budget);
  }
  yield { kind: 'end', frameCount: budget.frameCount, cut: budget.cut };
}

/** The containers of the selections; of several, those that do not exist are left out of the answer. */
function selectContainers(caller: Caller, selections: readonly Selection[]): (ContainerState | undefined)[] {
  return selections.map(({ container: name }) => {
    const container = caller.state.containers.get(name);
    if (container === undefined) {
      if (selections.length === 1) throw new MeshError('container-unknown');
      return undefined;
    }
    if (!mayRead(caller.permissions, name)) throw new MeshError('not-authorised');
    return container;
  });
}

/**
 * Frames of one selection within what the answer may still hold. One frame more than may be sent is asked for where the
 * number of entries is the limit, so that an answer is called cut only if something was left out.
 */
async function* selectedFrames(
  reader: AccountReader,
  container: ContainerState,
  selection: Selection,
  parts: FrameParts,
  budget: Budget,
): AsyncGenerator<DownloadPart> {
  const from = Math.max(0, selection.indexMin ?? 0);
  const to = Math.min(selection.indexMax ?? Number.POSITIVE_INFINITY, container.frameCount - 1);
  if (from > to) return;
  for await (const chunk of reader.frames(container, storedSelection(from, to, selection, parts, budget))) {
    const envelopes: EnvelopeOctets[] = [];
    for (const row of chunk) {
      if (!fits(row, parts, budget)) {
        budget.cut = true;
        break;
      }
      take(row, parts, budget);
      envelopes.push(selectParts(row, parts));
    }
    for (const part of inParts(envelopes)) yield { kind: 'frames', envelopes: part };
    if (budget.cut) return;
  }
}

/** Envelopes in groups of bounded size: streams count what waits in them by the part. */
function* inParts(envelopes: readonly EnvelopeOctets[]): Generator<EnvelopeOctets[]> {
  let part: EnvelopeOctets[] = [];
  let bytes = 0;
  for (const envelope of envelopes) {
    const size = partsBytes(envelope);
    if (part.length > 0 && bytes + size > downloadPartBytesMax) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(envelope);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

function partsBytes({ header, payload, trailer }: EnvelopeOctets): number {
  return header.length + (payload?.length ?? 0) + (trailer?.length ?? 0);
}

function storedSelection(
  from: number,
  to: number,
  { notBeforeMs, beforeMs }: Selection,
  parts: FrameParts,
  budget: Budget,
): FrameSelection {
  return {
    from,
    to,
    ...(notBeforeMs === undefined ? {} : { notBeforeMs }),
    ...(beforeMs === undefined ? {} : { beforeMs }),
    // The header is read in any case: it is never wholly left out.
    payload: parts.payload,
    trailer: parts.trailer,
    framesMax: budget.entries + 1,
  };
}

function fits(row: FrameRow, parts: FrameParts, budget: Budget): boolean {
  if (budget.entries < 1) return false;
  if (budget.frameCount === 0) return true;
  return !parts.payload || row.payloadBytes <= budget.payloadBytes;
}

function take(row: FrameRow, parts: FrameParts, budget: Budget): void {
  budget.frameCount += 1;
  budget.entries -= 1;
  if (parts.payload) budget.payloadBytes -= row.payloadBytes;
}
