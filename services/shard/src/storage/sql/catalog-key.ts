/** Where keys of catalogs and identities of spools stand. */
import { hash } from 'node:crypto';
import type { Statement } from '../database.js';
import type { CatalogKey, MessageMark } from '../store.js';
import { multiKey, multiRow, type Row } from './multi-row.js';

/** The database knows a key by the SHA-256 of its text: clients choose it, at any length. */
export function keyDigest(uniqueId: string): Buffer {
  return hash('sha256', Buffer.from(uniqueId, 'utf8'), 'buffer');
}

/** Writes how keys stand; a statement must not name one twice. */
export const upsertKeys = multiRow({
  name: 'key-upsert',
  head: 'INSERT INTO catalog_key (container_id, key_digest, latest_index, first_index, deleted, mark)',
  types: ['bigint', 'bytea', 'bigint', 'bigint', 'boolean', 'text'],
  tail: `ON CONFLICT (container_id, key_digest) DO UPDATE SET latest_index = excluded.latest_index,
    first_index = excluded.first_index, deleted = excluded.deleted, mark = excluded.mark`,
});

/** The row for {@link upsertKeys}. */
export function keyRow(containerId: number, key: CatalogKey): Row {
  return [containerId, keyDigest(key.uniqueId), key.latestIndex, key.firstIndex, key.deleted, key.mark ?? null];
}

/** Looks keys up by container and digest. */
export const selectKeys = multiKey({
  name: 'key-select',
  head: `SELECT k.container_id, k.key_digest, k.latest_index, k.first_index, k.deleted, k.mark FROM (`,
  types: ['bigint', 'bytea'],
  tail: `) AS q (container_id, key_digest) JOIN catalog_key AS k
    ON k.container_id = q.container_id AND k.key_digest = q.key_digest`,
});

/** Columns of {@link selectKeys}. */
export type KeySelectRow = readonly [
  containerId: number,
  digest: Buffer,
  latestIndex: number,
  firstIndex: number,
  deleted: boolean,
  mark: MessageMark | null,
];

/** How many keys of a container are not deleted: one row. */
export function countLiveKeys(containerId: number): Statement {
  return {
    name: 'key-count',
    text: 'SELECT count(*) FROM catalog_key WHERE container_id = $1 AND NOT deleted',
    values: [containerId],
  };
}
