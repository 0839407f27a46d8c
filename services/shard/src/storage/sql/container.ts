/** Heads of containers: opened once, moved on by compare-and-append. */
import type { Statement } from '../database.js';
import type { ContainerState } from '../store.js';
import { multiRow, type Row } from './multi-row.js';

/**
 * Moves heads on, each only if it still stands at the expected frame count: for one that does not the new count is null,
 * which the column refuses, and with it the whole transaction fails.
 */
export const moveHeads = multiRow({
  name: 'container-move',
  head: `UPDATE container AS c SET
    frame_count = CASE WHEN c.frame_count = v.frame_count_expected THEN v.frame_count END, dare_tree = v.dare_tree, log_tree = v.log_tree,
    manifest_from = v.manifest_from, bytes_used = v.bytes_used FROM (`,
  types: ['bigint', 'bigint', 'bigint', 'bytea', 'bytea', 'bigint', 'bigint'],
  tail: `) AS v (id, frame_count_expected, frame_count, dare_tree, log_tree, manifest_from, bytes_used)
    WHERE c.id = v.id`,
});

/** The row for {@link moveHeads}. */
export function headRow(frameCountExpected: number, after: ContainerState): Row {
  const { id, frameCount, dareTree, logTree, manifestFrom, bytesUsed } = after;
  return [id, frameCountExpected, frameCount, dareTree, logTree, manifestFrom, bytesUsed];
}

/** Opens containers. */
export const insertContainers = multiRow({
  name: 'container-insert',
  head: `INSERT INTO container (id, account_id, name, kind, frame_count, dare_tree, log_tree, log_id, manifest_from,
    legacy, bytes_used)`,
  types: [...['bigint', 'bigint', 'text', 'text', 'bigint', 'bytea', 'bytea', 'bytea', 'bigint', 'boolean', 'bigint']],
  tail: '',
});

/** The row for {@link insertContainers}. */
export function containerRow(accountId: number, state: ContainerState): Row {
  const { id, name, kind, frameCount, dareTree, logTree, logId, manifestFrom, legacy, bytesUsed } = state;
  return [id, accountId, name, kind, frameCount, dareTree, logTree, logId, manifestFrom, legacy, bytesUsed];
}

/** Columns of {@link selectContainers}. */
export type ContainerSelectRow = readonly [
  id: number,
  name: string,
  kind: 'catalog' | 'spool',
  frameCount: number,
  dareTree: Buffer,
  logTree: Buffer,
  logId: Buffer,
  manifestFrom: number,
  legacy: boolean,
  bytesUsed: number,
  damaged: boolean,
];

/** All containers of an account. */
export function selectContainers(accountId: number): Statement {
  return {
    name: 'container-select',
    text: `SELECT id, name, kind, frame_count, dare_tree, log_tree, log_id, manifest_from, legacy, bytes_used, damaged
      FROM container WHERE account_id = $1 ORDER BY id`,
    values: [accountId],
  };
}

/** The state that a row of {@link selectContainers} tells. */
export function containerOfRow(row: ContainerSelectRow): ContainerState {
  const [id, name, kind, frameCount, dareTree, logTree, logId, manifestFrom, legacy, bytesUsed, damaged] = row;
  // copies: a row's octets are a window into the network buffer, which a cached state would keep alive
  return {
    ...{ id, name, kind, frameCount, dareTree: Uint8Array.from(dareTree), logTree: Uint8Array.from(logTree) },
    ...{ logId: Uint8Array.from(logId), manifestFrom, legacy, bytesUsed, damaged },
  };
}

/** Makes a container read-only. */
export function markDamaged(containerId: number): Statement {
  return { text: 'UPDATE container SET damaged = true WHERE id = $1', values: [containerId] };
}

/** Containers that are read-only: id, address of the account, name. */
export const selectDamaged: Statement = {
  text: `SELECT c.id, a.address, c.name FROM container AS c JOIN account AS a ON a.id = c.account_id
    WHERE c.damaged AND a.deleted_at_ms IS NULL ORDER BY c.id LIMIT 1000`,
  values: [],
};
