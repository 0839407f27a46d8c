import { uniqueIdCharactersMax } from '@meshd/limits/limits';
import { isMeshCatalog } from '@meshd/schema/container-name';
import type { ContainerKind, FrameEvent } from '../storage/store.js';
import { conflict, type EntryFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';
import type { KeyState } from './view.js';

/** What a stored frame changes in the replay state of its container. */
export interface KeyChange {
  readonly uniqueId: string;
  readonly frameIndex: number;
  /** Absent in spools, where an identifier is only taken. */
  readonly event?: FrameEvent;
  /** Index of the first instance since the key was last free. */
  readonly firstIndex: number;
}

/** Looks a key up; undefined means free. */
export type KeyLookup = (uniqueId: string) => KeyState | undefined;

/** The container as the event rules see it. */
export interface EventContext {
  readonly name: string;
  readonly kind: ContainerKind;
  /** Legacy containers are stored as the draft says, whose writers need not give `First` and `Previous`. */
  readonly legacy: boolean;
}

const eventNames: ReadonlySet<string> = new Set<FrameEvent>(['New', 'Update', 'Delete']);

/**
 * Judges the events of a batch by replaying it over the keys that exist (semantics 5, R307).
 *
 * Frame 0 carries no entry and is not passed. A key that somebody else changed is a conflict; an event that says nothing
 * sensible is refused for good.
 *
 * @param firstIndex index in the container of the first frame.
 * @returns the changes, or every fault found.
 */
export function judgeEvents(
  context: EventContext,
  frames: readonly UploadedFrame[],
  firstIndex: number,
  stored: KeyLookup,
): KeyChange[] | EntryFault[] {
  const changed = new Map<string, KeyState | undefined>();
  const lookUp: KeyLookup = (id) => (changed.has(id) ? changed.get(id) : stored(id));
  const changes: KeyChange[] = [];
  const faults: EntryFault[] = [];
  for (const [at, frame] of frames.entries()) {
    const frameIndex = firstIndex + at;
    const verdict =
      context.kind === 'spool'
        ? judgeMessage(frame, frameIndex, lookUp)
        : judgeEntry(context, frame, frameIndex, lookUp);
    if (verdict === undefined) continue;
    if ('result' in verdict) {
      faults.push(verdict);
      continue;
    }
    changes.push(verdict);
    const deleted = verdict.event === 'Delete';
    changed.set(verdict.uniqueId, deleted ? undefined : { current: frameIndex, first: verdict.firstIndex });
  }
  return faults.length > 0 ? faults : changes;
}

/** In a spool every frame has an identifier of its own. */
function judgeMessage(frame: UploadedFrame, frameIndex: number, lookUp: KeyLookup): KeyChange | EntryFault {
  const uniqueId = frame.meta.UniqueID;
  if (!isIdentifier(uniqueId)) return reject(frame.indexRequest, 'event-rule', 'a message needs a UniqueID');
  if (lookUp(uniqueId) !== undefined) {
    return reject(frame.indexRequest, 'event-rule', 'the spool holds another message with this UniqueID');
  }
  return { uniqueId, frameIndex, firstIndex: frameIndex };
}

function judgeEntry(
  context: EventContext,
  frame: UploadedFrame,
  frameIndex: number,
  lookUp: KeyLookup,
): KeyChange | EntryFault | undefined {
  const { UniqueID: uniqueId, Event: event } = frame.meta;
  if (uniqueId === undefined && event === undefined && !isMeshCatalog(context.name)) return undefined;
  if (!isIdentifier(uniqueId) || event === undefined) {
    return reject(frame.indexRequest, 'event-rule', 'a catalog entry needs both UniqueID and Event');
  }
  if (!isEvent(event)) return reject(frame.indexRequest, 'event-rule', 'Event is New, Update or Delete');
  const state = lookUp(uniqueId);
  if (event === 'New') {
    if (state !== undefined) return conflict(frame.indexRequest, 'event-conflict', 'New, but the key exists');
    return { uniqueId, frameIndex, event, firstIndex: frameIndex };
  }
  if (state === undefined)
    return conflict(frame.indexRequest, 'event-conflict', `${event}, but the key does not exist`);
  const fault = judgeLinks(frame, state, context.legacy);
  return fault ?? { uniqueId, frameIndex, event, firstIndex: state.first };
}

/** `Previous` names the frame of the current instance, `First` that of the first. */
function judgeLinks(frame: UploadedFrame, state: KeyState, legacy: boolean): EntryFault | undefined {
  const { First: first, Previous: previous } = frame.meta;
  if (!legacy && (first === undefined || previous === undefined)) {
    return reject(frame.indexRequest, 'event-rule', 'Update and Delete carry First and Previous');
  }
  if ((previous !== undefined && previous !== state.current) || (first !== undefined && first !== state.first)) {
    return conflict(
      frame.indexRequest,
      'event-conflict',
      `the key's current frame is ${state.current}, first ${state.first}`,
    );
  }
  return undefined;
}

/** Whether a text can be the key of something. */
export function isIdentifier(value: string | undefined): value is string {
  return value !== undefined && value !== '' && value.length <= uniqueIdCharactersMax && !value.includes('\0');
}

function isEvent(value: string): value is FrameEvent {
  return eventNames.has(value);
}
