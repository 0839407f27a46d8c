/** Accounts, their revoked keys, and names that nobody may take yet. */

import type { AccountStatus } from '../account-status.js';
import type { Statement } from '../database.js';
import type { AccountFields } from '../store.js';

const octets = (view: Uint8Array | null): Buffer | null =>
  view === null ? null : Buffer.from(view.buffer, view.byteOffset, view.length);

const fieldColumns = [
  ...['status', 'mesh_udf', 'account_udf'],
  ...['profile_mesh_header', 'profile_mesh_payload', 'profile_mesh_trailer'],
  ...['profile_account_header', 'profile_account_payload', 'profile_account_trailer'],
  ...['mesh_offline_key', 'mesh_online_keys', 'account_offline_key', 'account_online_keys'],
  ...['mesh_updated_ms', 'account_updated_ms', 'tickets_from_ms', 'quota_bytes', 'quota_frames'],
  ...['away_to', 'away_since_ms'],
];

function fieldValues(fields: AccountFields): unknown[] {
  const { profileMesh, profileAccount, quota } = fields;
  return [
    ...[fields.status, fields.meshUdf, fields.accountUdf],
    ...[profileMesh.header, profileMesh.payload, profileMesh.trailer].map(octets),
    ...[profileAccount.header, profileAccount.payload, profileAccount.trailer].map(octets),
    ...[octets(fields.meshOfflineKey), fields.meshOnlineKeys.map(octets)],
    ...[octets(fields.accountOfflineKey), fields.accountOnlineKeys.map(octets)],
    ...[fields.meshUpdatedMs, fields.accountUpdatedMs, fields.ticketsFromMs, quota.bytesMax, quota.framesMax],
    ...[fields.away?.to ?? null, fields.away?.sinceMs ?? null],
  ];
}

const insertText = `INSERT INTO account (id, address, created_at_ms, ${fieldColumns.join(', ')})
  VALUES ($1, $2, $3, ${fieldColumns.map((_, at) => `$${at + 4}`).join(', ')})`;

/** Makes an account; a living one of the same address is refused by a unique index. */
export function insertAccount(id: number, address: string, createdAtMs: number, fields: AccountFields): Statement {
  return { name: 'account-insert', text: insertText, values: [id, address, createdAtMs, ...fieldValues(fields)] };
}

const updateText = `UPDATE account SET ${fieldColumns.map((column, at) => `${column} = $${at + 2}`).join(', ')}
  WHERE id = $1 AND deleted_at_ms IS NULL`;

/** Replaces what CreateAccount fills in. */
export function updateAccount(id: number, fields: AccountFields): Statement {
  return { name: 'account-update', text: updateText, values: [id, ...fieldValues(fields)] };
}

/** Notes that `mmm_Device` has received its first entry. */
export function beginDeviceCatalog(id: number): Statement {
  return { text: 'UPDATE account SET device_catalog_begun = true WHERE id = $1', values: [id] };
}

/** Ends an account; its stores stay until `purgeAfterMs`. */
export function endAccount(id: number, deletedAtMs: number, purgeAfterMs: number): Statement {
  return {
    text: 'UPDATE account SET deleted_at_ms = $2, purge_after_ms = $3 WHERE id = $1 AND deleted_at_ms IS NULL',
    values: [id, deletedAtMs, purgeAfterMs],
  };
}

/** Keeps a name from being taken. */
export function quarantineName(address: string, untilMs: number): Statement {
  return {
    text: `INSERT INTO quarantined_name (address, until_ms) VALUES ($1, $2)
      ON CONFLICT (address) DO UPDATE SET until_ms = excluded.until_ms`,
    values: [address, untilMs],
  };
}

/** Forgets names whose time is over. */
export function releaseNames(nowMs: number): Statement {
  return { text: 'DELETE FROM quarantined_name WHERE until_ms <= $1', values: [nowMs] };
}

/** Adds to the keys that never administer again. */
export function insertRevokedKey(accountId: number, key: Uint8Array): Statement {
  return {
    text: 'INSERT INTO revoked_key (account_id, key) VALUES ($1, $2) ON CONFLICT DO NOTHING',
    values: [accountId, octets(key)],
  };
}

/** Revoked keys of an account, one column. */
export function selectRevokedKeys(accountId: number): Statement {
  return {
    name: 'revoked-select',
    text: 'SELECT key FROM revoked_key WHERE account_id = $1',
    values: [accountId],
  };
}

/** Columns of {@link selectAccount}, in the order of the fields. */
export type AccountSelectRow = readonly [
  id: number | null,
  quarantinedUntilMs: number | null,
  createdAtMs: number,
  deviceCatalogBegun: boolean,
  status: AccountStatus,
  meshUdf: string,
  accountUdf: string,
  profileMeshHeader: Buffer,
  profileMeshPayload: Buffer,
  profileMeshTrailer: Buffer | null,
  profileAccountHeader: Buffer,
  profileAccountPayload: Buffer,
  profileAccountTrailer: Buffer | null,
  meshOfflineKey: Buffer,
  meshOnlineKeys: Buffer[],
  accountOfflineKey: Buffer,
  accountOnlineKeys: Buffer[],
  meshUpdatedMs: number,
  accountUpdatedMs: number,
  ticketsFromMs: number,
  quotaBytes: number,
  quotaFrames: number,
  awayTo: string | null,
  awaySinceMs: number | null,
];

/** The living account of an address and the quarantine of the name: always one row, without account its id is null. */
export function selectAccount(address: string): Statement {
  return {
    name: 'account-select',
    text: `SELECT a.id, n.until_ms, a.created_at_ms, a.device_catalog_begun,
      ${fieldColumns.map((column) => `a.${column}`).join(', ')}
      FROM (VALUES ($1::text)) AS q (address)
      LEFT JOIN account AS a ON a.address = q.address AND a.deleted_at_ms IS NULL
      LEFT JOIN quarantined_name AS n ON n.address = q.address`,
    values: [address],
  };
}

const copy = (view: Buffer): Uint8Array => Uint8Array.from(view);
const copyOrNull = (view: Buffer | null): Uint8Array | null => (view === null ? null : Uint8Array.from(view));

/** The numbers near the end of a row of {@link selectAccount}. */
type Times = [number, number, number, number, number];

/** The fields that a row of {@link selectAccount} tells. */
export function fieldsOfRow(row: AccountSelectRow): AccountFields {
  const [, , , , status, meshUdf, accountUdf, meshHeader, meshPayload, meshTrailer, ...rest] = row;
  const [accountHeader, accountPayload, accountTrailer, meshOffline, meshOnline, accountOffline, accountOnline] = rest;
  const [meshUpdatedMs, accountUpdatedMs, ticketsFromMs, bytesMax, framesMax] = row.slice(-7, -2) as number[] as Times;
  const [awayTo, awaySinceMs] = row.slice(-2) as [string | null, number | null];
  return {
    ...{ status, meshUdf, accountUdf, meshUpdatedMs, accountUpdatedMs, ticketsFromMs },
    quota: { bytesMax, framesMax },
    away: awayTo === null ? null : { to: awayTo, sinceMs: awaySinceMs ?? 0 },
    profileMesh: { header: copy(meshHeader), payload: copy(meshPayload), trailer: copyOrNull(meshTrailer) },
    profileAccount: { header: copy(accountHeader), payload: copy(accountPayload), trailer: copyOrNull(accountTrailer) },
    meshOfflineKey: copy(meshOffline),
    meshOnlineKeys: meshOnline.map(copy),
    accountOfflineKey: copy(accountOffline),
    accountOnlineKeys: accountOnline.map(copy),
  };
}

/** Addresses of accounts that left before this time, one column: their notices are over. */
export function selectLeftBefore(beforeMs: number, accountsMax: number): Statement {
  return {
    text: `SELECT address FROM account WHERE status = 'moved' AND deleted_at_ms IS NULL AND away_since_ms < $1
      ORDER BY away_since_ms LIMIT $2`,
    values: [beforeMs, accountsMax],
  };
}

/** Accounts whose stores may go now, one column. */
export function selectPurgeable(nowMs: number, accountsMax: number): Statement {
  return {
    text: 'SELECT id FROM account WHERE purge_after_ms < $1 ORDER BY purge_after_ms LIMIT $2',
    values: [nowMs, accountsMax],
  };
}

/** Deletes some frames of an expired account, a bounded number; the trigger checks that it is one. */
export function purgeFrames(accountId: number, rowsMax: number): Statement {
  return {
    text: `DELETE FROM frame WHERE (container_id, frame_index) IN (
      SELECT f.container_id, f.frame_index FROM container AS c JOIN frame AS f ON f.container_id = c.id
      WHERE c.account_id = $1 LIMIT $2)`,
    values: [accountId, rowsMax],
  };
}

/** Deletes some keys of an expired account, a bounded number. */
export function purgeKeys(accountId: number, rowsMax: number): Statement {
  return {
    text: `DELETE FROM catalog_key WHERE (container_id, key_digest) IN (
      SELECT k.container_id, k.key_digest FROM container AS c JOIN catalog_key AS k ON k.container_id = c.id
      WHERE c.account_id = $1 LIMIT $2)`,
    values: [accountId, rowsMax],
  };
}

/** Deletes what is left of an expired account, in this order. */
export function purgeAccount(accountId: number): Statement[] {
  const where = (text: string): Statement => ({ text, values: [accountId] });
  return [
    where('DELETE FROM frame_erasure USING container WHERE id = container_id AND account_id = $1'),
    where('DELETE FROM container WHERE account_id = $1'),
    where('DELETE FROM device WHERE account_id = $1'),
    where('DELETE FROM connection_request WHERE account_id = $1'),
    where('DELETE FROM connection_offer WHERE account_id = $1'),
    where('DELETE FROM publication_due WHERE account_id = $1'),
    where('DELETE FROM revoked_key WHERE account_id = $1'),
    where('DELETE FROM account WHERE id = $1'),
  ];
}
