/** Remembered answers of writing requests (S27). */

import type { Statement } from '../database.js';
import type { SeenWrite } from '../store.js';
import { multiKey, multiRow, type Row } from './multi-row.js';

/** Remembers answers; the primary key refuses an identity that is there already. */
export const insertSeen = multiRow({
  name: 'seen-insert',
  head: 'INSERT INTO request_seen (request_id, principal, digest, result)',
  types: ['bytea', 'text', 'bytea', 'bytea'],
  tail: '',
});

/** The row for {@link insertSeen}. */
export function seenRow(seen: SeenWrite): Row {
  return [seen.id, seen.principal, seen.digest, seen.result];
}

/** Looks identities up. */
export const selectSeen = multiKey({
  name: 'seen-select',
  head: 'SELECT s.request_id, s.principal, s.digest, s.result FROM (',
  types: ['bytea', 'text'],
  tail: `) AS q (request_id, principal) JOIN request_seen AS s
    ON s.request_id = q.request_id AND s.principal = q.principal`,
});

/** Columns of {@link selectSeen}. */
export type SeenSelectRow = readonly [id: Buffer, principal: string, digest: Buffer, result: Buffer];

/** The smallest request identity of a time: identities begin with it as u64 milliseconds. */
export function seenIdFloor(timeMs: number): Buffer {
  const floor = Buffer.alloc(24);
  floor.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(timeMs))), 0);
  return floor;
}

/** Forgets identities made before a time, oldest first, a bounded number at once. */
export function deleteSeenBefore(timeMs: number, rowsMax: number): Statement {
  return {
    text: `DELETE FROM request_seen WHERE (request_id, principal) IN (
      SELECT request_id, principal FROM request_seen WHERE request_id < $1 ORDER BY request_id LIMIT $2)`,
    values: [seenIdFloor(timeMs), rowsMax],
  };
}
