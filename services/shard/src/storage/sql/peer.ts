/** Other services by domain (S70), in the database of the directory. */
import type { Statement } from '../database.js';

/** A row as {@link selectPeer} and {@link selectLeasedPeer} give it. */
export type PeerRow = [
  domain: string,
  serviceKey: Buffer | null,
  header: Buffer | null,
  payload: Buffer | null,
  trailer: Buffer | null,
  features: string,
  verifiedMs: number,
  dueMs: number,
  lastFailure: string,
  lastWantedMs: number,
];

// Words of features hold no space.
const columns =
  `domain, service_key, profile_header, profile_payload, profile_trailer, array_to_string(features, ' '), ` +
  'verified_at_ms, due_at_ms, last_failure, last_wanted_ms';

/** One row, or none. */
export const selectPeer = (domain: string): Statement => ({
  name: 'select_peer',
  text: `SELECT ${columns} FROM directory_peer WHERE domain = $1`,
  values: [domain],
});

/** The row, if this owner has it leased; held until the transaction ends. */
export const selectLeasedPeer = (domain: string, owner: string): Statement => ({
  text: `SELECT ${columns} FROM directory_peer WHERE domain = $1 AND lease_owner = $2 FOR UPDATE`,
  values: [domain, owner],
});

/** Makes a domain wanted, unless as many unknown ones are wanted as may be. */
export const insertWanted = (domain: string, nowMs: number, wantedMax: number): Statement => ({
  text: `INSERT INTO directory_peer (domain, due_at_ms, last_wanted_ms)
    SELECT $1, $2, $2 WHERE (SELECT count(*) FROM directory_peer WHERE service_key IS NULL) < $3
    ON CONFLICT (domain) DO NOTHING`,
  values: [domain, nowMs, wantedMax],
});

/** Notes that a domain was asked for. */
export const touchWanted = (domain: string, nowMs: number): Statement => ({
  text: 'UPDATE directory_peer SET last_wanted_ms = greatest(last_wanted_ms, $2) WHERE domain = $1',
  values: [domain, nowMs],
});

/** One leaser at a time, until the transaction ends: shards count together. */
export const lockLeasing: Statement = { text: 'SELECT pg_advisory_xact_lock(0x6d657370)', values: [] };

/** Forgets what could not be reached and nobody asked for again since. */
export const deleteUnwanted = (nowMs: number, failureMs: number): Statement => ({
  text: `DELETE FROM directory_peer WHERE service_key IS NULL AND last_failure <> '' AND due_at_ms <= $1
    AND last_wanted_ms <= due_at_ms - $2`,
  values: [nowMs, failureMs],
});

/** One row: how many were leased after this time. */
export const countLeasedSince = (sinceMs: number): Statement => ({
  text: 'SELECT count(*) FROM directory_peer WHERE leased_at_ms > $1',
  values: [sinceMs],
});

/** Leases what is due: pinned services first, so that no storm of invented domains keeps them from being renewed. */
export const leasePeers = (owner: string, nowMs: number, leaseMs: number, countMax: number): Statement => ({
  text: `UPDATE directory_peer SET lease_owner = $1, lease_until_ms = $2::bigint + $3, leased_at_ms = $2 WHERE domain IN (
      SELECT domain FROM directory_peer
      WHERE due_at_ms <= $2 AND (lease_until_ms IS NULL OR lease_until_ms <= $2)
      ORDER BY service_key IS NULL, due_at_ms, domain LIMIT $4)
    RETURNING ${columns}`,
  values: [owner, nowMs, leaseMs, countMax],
});

/** What a successful call learnt. */
export interface LearntPeer {
  readonly domain: string;
  readonly serviceKey: Uint8Array;
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  readonly trailer: Uint8Array | null;
  readonly features: readonly string[];
  readonly verifiedMs: number;
  readonly dueMs: number;
}

/** Writes it down and ends the lease. */
export const updatePinned = (peer: LearntPeer): Statement => ({
  text: `UPDATE directory_peer SET service_key = $2, profile_header = $3, profile_payload = $4, profile_trailer = $5,
      features = $6::text[], verified_at_ms = $7, due_at_ms = $8, last_failure = '', lease_owner = NULL,
      lease_until_ms = NULL
    WHERE domain = $1`,
  values: [
    peer.domain,
    peer.serviceKey,
    peer.header,
    peer.payload,
    peer.trailer,
    [...peer.features],
    peer.verifiedMs,
    peer.dueMs,
  ],
});

/** Notes a failure and ends the lease; a pin stays as it is. */
export const updateFailed = (domain: string, failure: string, dueMs: number): Statement => ({
  text: `UPDATE directory_peer SET last_failure = $2, due_at_ms = $3, lease_owner = NULL, lease_until_ms = NULL
    WHERE domain = $1`,
  values: [domain, failure, dueMs],
});
