import type { ConnectionChange, ConnectionRow } from '../storage/connection-rows.js';
import { type EntryFault, reject } from '../upload/fault.js';
import type { UploadedFrame } from '../upload/frame.js';
import { challengedRequests, referencesOf } from '../upload/marks.js';
import { isPending } from './pending.js';

/*
 * What an administrator says of requests to connect a device: a challenge, an acceptance, a rejection. That it was an
 * administrator, its signature has proven before (S25).
 */

const decided: Readonly<Record<string, 'accepted' | 'rejected'>> = { Accept: 'accepted', Reject: 'rejected' };

/** `MessageType` of a challenge (S53). */
export const challengeType = 'ChallengeConnection';

/**
 * What one message of the inbound spool makes of the requests.
 *
 * @param frameIndex where the message will stand.
 * @returns changed rows; the fault of a decision on a request that nobody may decide any more: it was replaced, answered
 *   or has had its time, and the administrator is to know.
 */
export function decisionsOf(
  frame: UploadedFrame,
  frameIndex: number,
  rows: ReadonlyMap<string, ConnectionRow>,
  nowMs: number,
): readonly ConnectionChange[] | EntryFault {
  if (frame.meta.MessageType === challengeType) return challengeOf(frame, frameIndex, rows, nowMs);
  const changes: ConnectionChange[] = [];
  for (const { MessageID: name, Relationship: relationship = '' } of referencesOf(frame) ?? []) {
    const status = Object.hasOwn(decided, relationship) ? decided[relationship] : undefined;
    const row = rowNamed(rows, name);
    if (status === undefined || row === undefined || row.status === status) continue;
    if (!isPending(row, nowMs)) return over(frame);
    changes.push({ put: { ...row, status } });
  }
  return changes;
}

/** A challenge is made once: a second one would let somebody try nonces until the codes of two legs agree (S53). */
function challengeOf(
  frame: UploadedFrame,
  frameIndex: number,
  rows: ReadonlyMap<string, ConnectionRow>,
  nowMs: number,
): readonly ConnectionChange[] | EntryFault {
  const [name, ...more] = challengedRequests(frame) ?? [];
  const row = rowNamed(rows, name);
  if (row === undefined || more.length > 0 || !isPending(row, nowMs)) return over(frame);
  if (row.challengeIndex !== null) return reject(frame.indexRequest, 'event-rule', 'the request was challenged before');
  return [{ put: { ...row, challengeIndex: frameIndex } }];
}

function rowNamed(rows: ReadonlyMap<string, ConnectionRow>, name: string | undefined): ConnectionRow | undefined {
  return [...rows.values()].find(({ messageId }) => messageId === name);
}

function over({ indexRequest }: UploadedFrame): EntryFault {
  return reject(indexRequest, 'event-rule', 'no such request of a device is pending');
}
