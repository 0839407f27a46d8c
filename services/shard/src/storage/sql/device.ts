/** Devices of an account, derived from the frames of `mmm_Device`. */
import type { Statement } from '../database.js';
import type { DevicePermission, DeviceRow, RevocationCut } from '../store.js';

/** Inserts or replaces one device. */
export function upsertDevice(accountId: number, device: DeviceRow): Statement {
  return {
    name: 'device-upsert',
    text: `INSERT INTO device (account_id, device_udf, key_authentication, key_signature, connection_digest,
        permissions, connection_signer, entry_index, revoked_at_ms, tickets_from_ms, cuts)
      VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10, $11::jsonb)
      ON CONFLICT (account_id, device_udf) DO UPDATE SET key_authentication = excluded.key_authentication,
        key_signature = excluded.key_signature, connection_digest = excluded.connection_digest,
        permissions = excluded.permissions, connection_signer = excluded.connection_signer,
        entry_index = excluded.entry_index, revoked_at_ms = excluded.revoked_at_ms,
        tickets_from_ms = excluded.tickets_from_ms, cuts = excluded.cuts`,
    values: [
      ...[accountId, device.deviceUdf, device.keyAuthentication, device.keySignature, device.connectionDigest],
      ...[JSON.stringify(device.permissions), device.connectionSigner, device.entryIndex, device.revokedAtMs],
      ...[device.ticketsFromMs, JSON.stringify(device.cuts)],
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
  ticketsFromMs: number,
  cuts: string,
];

/** All devices of an account, revoked ones too. */
export function selectDevices(accountId: number): Statement {
  return {
    name: 'device-select',
    text: `SELECT device_udf, key_authentication, key_signature, connection_digest, permissions::text,
      connection_signer, entry_index, revoked_at_ms, tickets_from_ms, cuts::text FROM device WHERE account_id = $1`,
    values: [accountId],
  };
}

/** The device that a row of {@link selectDevices} tells. */
export function deviceOfRow(row: DeviceSelectRow): DeviceRow {
  const [deviceUdf, authentication, signature, digest, permissions, signer, entryIndex, revokedAtMs] = row;
  const [ticketsFromMs, cuts] = row.slice(-2) as [number, string];
  return {
    ...{ deviceUdf, entryIndex, revokedAtMs, ticketsFromMs },
    cuts: JSON.parse(cuts) as RevocationCut[],
    keyAuthentication: Uint8Array.from(authentication),
    keySignature: Uint8Array.from(signature),
    connectionDigest: Uint8Array.from(digest),
    permissions: JSON.parse(permissions) as DevicePermission[],
    connectionSigner: Uint8Array.from(signer),
  };
}
