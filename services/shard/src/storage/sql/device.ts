/** Devices of an account, derived from the frames of `mmm_Device`. */
import type { Statement } from '../database.js';
import type { DevicePermission, DeviceRow } from '../store.js';

/** Inserts or replaces one device. */
export function upsertDevice(accountId: number, device: DeviceRow): Statement {
  return {
    name: 'device-upsert',
    text: `INSERT INTO device (account_id, device_udf, key_authentication, key_signature, connection_digest,
        permissions, connection_signer, entry_index, revoked_at_ms)
      VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9)
      ON CONFLICT (account_id, device_udf) DO UPDATE SET key_authentication = excluded.key_authentication,
        key_signature = excluded.key_signature, connection_digest = excluded.connection_digest,
        permissions = excluded.permissions, connection_signer = excluded.connection_signer,
        entry_index = excluded.entry_index, revoked_at_ms = excluded.revoked_at_ms`,
    values: [
      ...[accountId, device.deviceUdf, device.keyAuthentication, device.keySignature, device.connectionDigest],
      ...[JSON.stringify(device.permissions), device.connectionSigner, device.entryIndex, device.revokedAtMs],
    ],
  };
}

/** Columns of {@link selectDevices}. */
export type DeviceSelectRow = readonly [
  deviceUdf: string,
  keyAuthentication: Buffer,
  keySignature: Buffer,
  connectionDigest: Buffer,
  permissions: string,
  connectionSigner: Buffer,
  entryIndex: number,
  revokedAtMs: number | null,
];

/** All devices of an account, revoked ones too. */
export function selectDevices(accountId: number): Statement {
  return {
    name: 'device-select',
    text: `SELECT device_udf, key_authentication, key_signature, connection_digest, permissions::text,
      connection_signer, entry_index, revoked_at_ms FROM device WHERE account_id = $1`,
    values: [accountId],
  };
}

/** The device that a row of {@link selectDevices} tells. */
export function deviceOfRow(row: DeviceSelectRow): DeviceRow {
  const [deviceUdf, authentication, signature, digest, permissions, signer, entryIndex, revokedAtMs] = row;
  return {
    ...{ deviceUdf, entryIndex, revokedAtMs },
    keyAuthentication: Uint8Array.from(authentication),
    keySignature: Uint8Array.from(signature),
    connectionDigest: Uint8Array.from(digest),
    permissions: JSON.parse(permissions) as DevicePermission[],
    connectionSigner: Uint8Array.from(signer),
  };
}
