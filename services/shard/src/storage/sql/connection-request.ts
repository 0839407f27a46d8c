/** Devices that ask to be connected. */
import type { ConnectionChange, ConnectionRow, ConnectionStatus } from '../connection-rows.js';
import type { Statement } from '../database.js';

/** Inserts, replaces or deletes one. */
export function changeConnection(accountId: number, change: ConnectionChange): Statement {
  if ('remove' in change) {
    return {
      name: 'connection-delete',
      text: 'DELETE FROM connection_request WHERE account_id = $1 AND device_udf = $2',
      values: [accountId, change.remove],
    };
  }
  const { deviceUdf, keyAuthentication, messageId, status, catalogFrom } = change.put;
  const { challengeIndex, revealed, expiresAtMs } = change.put;
  return {
    name: 'connection-upsert',
    text: `INSERT INTO connection_request (account_id, device_udf, key_authentication, message_id, status,
        catalog_from, challenge_index, revealed, expires_at_ms)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
      ON CONFLICT (account_id, device_udf) DO UPDATE SET key_authentication = excluded.key_authentication,
        message_id = excluded.message_id, status = excluded.status, catalog_from = excluded.catalog_from,
        challenge_index = excluded.challenge_index, revealed = excluded.revealed,
        expires_at_ms = excluded.expires_at_ms`,
    values: [
      ...[accountId, deviceUdf, keyAuthentication, messageId, status],
      ...[catalogFrom, challengeIndex, revealed, expiresAtMs],
    ],
  };
}

/** Columns of {@link selectConnections}. */
export type ConnectionSelectRow = readonly [
  deviceUdf: string,
  keyAuthentication: Buffer,
  messageId: string,
  status: ConnectionStatus,
  catalogFrom: number,
  challengeIndex: number | null,
  revealed: boolean,
  expiresAtMs: number,
];

/** All of an account. */
export function selectConnections(accountId: number): Statement {
  return {
    name: 'connection-select',
    text: `SELECT device_udf, key_authentication, message_id, status, catalog_from, challenge_index, revealed,
      expires_at_ms FROM connection_request WHERE account_id = $1`,
    values: [accountId],
  };
}

/** The request that a row of {@link selectConnections} tells. */
export function connectionOfRow(row: ConnectionSelectRow): ConnectionRow {
  const [deviceUdf, key, messageId, status, catalogFrom, challengeIndex, revealed, expiresAtMs] = row;
  const keyAuthentication = Uint8Array.from(key);
  return { deviceUdf, keyAuthentication, messageId, status, catalogFrom, challengeIndex, revealed, expiresAtMs };
}
