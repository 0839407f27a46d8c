/** Bodies of deleted entries: what is to be removed, and the removing. */
import type { Statement } from '../database.js';
import type { ErasureStep, PendingErasure } from '../erasure-store.js';
import { multiRow } from './multi-row.js';

/** Notes frames from which bodies are to be removed, backwards: container and index. */
export const insertErasures = multiRow({
  name: 'erasure-insert',
  head: 'INSERT INTO frame_erasure (container_id, frame_index)',
  types: ['bigint', 'bigint'],
  tail: 'ON CONFLICT DO NOTHING',
});

/** Removes bodies; the trigger refuses any that is not of a deleted entry, and any other change. */
const updateFrames = multiRow({
  name: 'frame-erase',
  head: 'UPDATE frame AS f SET payload = NULL, header = v.header FROM (',
  types: ['bigint', 'bigint', 'bytea'],
  tail: `) AS v (container_id, frame_index, header)
    WHERE f.container_id = v.container_id AND f.frame_index = v.frame_index AND f.payload IS NOT NULL`,
});

/** One step, and where it goes on. */
export function eraseStep(containerId: number, { erasure, frames, next }: ErasureStep): Statement[] {
  return [
    ...updateFrames(frames.map(({ frameIndex, header }) => [containerId, frameIndex, header])),
    {
      name: 'erasure-delete',
      text: 'DELETE FROM frame_erasure WHERE container_id = $1 AND frame_index = $2',
      values: [containerId, erasure.frameIndex],
    },
    ...(next === undefined ? [] : insertErasures([[containerId, next]])),
  ];
}

/** What is to be removed, in order, behind a place; not in accounts that are deleted, nor in containers that are damaged. */
export function selectErasures(after: PendingErasure | undefined, countMax: number): Statement {
  return {
    name: 'erasure-select',
    text: `SELECT e.container_id, e.frame_index, a.address, c.name FROM frame_erasure AS e
        JOIN container AS c ON c.id = e.container_id JOIN account AS a ON a.id = c.account_id
      WHERE (e.container_id, e.frame_index) > ($1::bigint, $2::bigint) AND a.deleted_at_ms IS NULL AND NOT c.damaged
      ORDER BY e.container_id, e.frame_index LIMIT $3`,
    values: [after?.containerId ?? 0, after?.frameIndex ?? 0, countMax],
  };
}

/** Columns of {@link selectErasures}. */
export type ErasureSelectRow = readonly [containerId: number, frameIndex: number, address: string, container: string];
