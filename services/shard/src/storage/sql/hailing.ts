/** Offers of connection that wait for devices, and publications on their way to the shard that serves them. */
import type { Statement } from '../database.js';
import type { OfferRow, PublicationState, WaitingOffers } from '../hailing-store.js';

/** Inserts an offer, in the transaction of its frame. */
export function insertOffer(accountId: number, { deviceUdf, frameIndex, expiresAtMs }: OfferRow): Statement {
  return {
    name: 'offer-insert',
    text: 'INSERT INTO connection_offer (account_id, device_udf, frame_index, expires_at_ms) VALUES ($1, $2, $3, $4)',
    values: [accountId, deviceUdf, frameIndex, expiresAtMs],
  };
}

/** Frames with offers for a device, oldest first, and how many wait for all devices: always one row. */
export function selectOffers(accountId: number, deviceUdf: string, nowMs: number): Statement {
  return {
    name: 'offer-select',
    text: `SELECT coalesce(string_agg(frame_index::text, ' ' ORDER BY frame_index) FILTER (WHERE device_udf = $2), ''),
        count(*) FROM connection_offer WHERE account_id = $1 AND expires_at_ms > $3`,
    values: [accountId, deviceUdf, nowMs],
  };
}

/** Columns of {@link selectOffers}. */
export type OfferSelectRow = readonly [frameIndexes: string, count: number];

/** What the row of {@link selectOffers} tells. */
export function offersOfRow([frameIndexes, count]: OfferSelectRow): WaitingOffers {
  return { frameIndexes: frameIndexes === '' ? [] : frameIndexes.split(' ').map(Number), count };
}

/** Forgets offers whose time is over, a bounded number at once. */
export function deleteOffersBefore(nowMs: number, rowsMax: number): Statement {
  return {
    text: `DELETE FROM connection_offer WHERE (account_id, device_udf, frame_index) IN (
      SELECT account_id, device_udf, frame_index FROM connection_offer WHERE expires_at_ms <= $1 LIMIT $2)`,
    values: [nowMs, rowsMax],
  };
}

const upsertTail = `ON CONFLICT (account_id, identifier) DO UPDATE SET lease_until_ms = 0,
  changed_at_ms = greatest(publication_due.changed_at_ms + 1, excluded.changed_at_ms)`;

/** Notes that entries of the catalog have changed, in the transaction of their frames. */
export function upsertDue(accountId: number, identifiers: readonly string[], nowMs: number): Statement {
  return {
    name: 'publication-due',
    text: `INSERT INTO publication_due (account_id, identifier, changed_at_ms)
      SELECT $1::bigint, identifier, $3::bigint FROM unnest($2::text[]) AS changed (identifier) ${upsertTail}`,
    values: [accountId, [...identifiers], nowMs],
  };
}

/** Notes that all of an account's publications are to be withdrawn, in the transaction that ends it. */
export function upsertAllDue(accountId: number, container: string, nowMs: number): Statement {
  return {
    text: `INSERT INTO publication_due (account_id, identifier, changed_at_ms)
      SELECT $1::bigint, convert_from(f.unique_id, 'UTF8'), $3::bigint FROM container AS c
        JOIN catalog_key AS k ON k.container_id = c.id AND NOT k.deleted
        JOIN frame AS f ON f.container_id = c.id AND f.frame_index = k.latest_index
      WHERE c.account_id = $1 AND c.name = $2 AND f.unique_id IS NOT NULL ${upsertTail}`,
    values: [accountId, container, nowMs],
  };
}

/** Whether anything is to be handed over: at most one row. */
export function selectDue(nowMs: number): Statement {
  return {
    name: 'publication-due-select',
    text: 'SELECT 1 FROM publication_due WHERE lease_until_ms <= $1 LIMIT 1',
    values: [nowMs],
  };
}

/** Leases some of what is to be handed over, with what the catalog says now. Of an account that is gone: nothing. */
export function leaseDue(container: string, nowMs: number, untilMs: number, countMax: number): Statement {
  return {
    name: 'publication-lease',
    text: `WITH leased AS (
        UPDATE publication_due SET lease_until_ms = $3 WHERE (account_id, identifier) IN (
          SELECT account_id, identifier FROM publication_due WHERE lease_until_ms <= $2
          ORDER BY changed_at_ms LIMIT $4 FOR UPDATE SKIP LOCKED)
        RETURNING account_id, identifier, changed_at_ms)
      SELECT l.identifier, a.address, l.changed_at_ms, f.payload FROM leased AS l
        JOIN account AS a ON a.id = l.account_id
        LEFT JOIN container AS c ON c.account_id = a.id AND c.name = $1 AND a.deleted_at_ms IS NULL
        LEFT JOIN catalog_key AS k ON k.container_id = c.id AND NOT k.deleted
          AND k.key_digest = sha256(convert_to(l.identifier, 'UTF8'))
        LEFT JOIN frame AS f ON f.container_id = k.container_id AND f.frame_index = k.latest_index`,
    values: [container, nowMs, untilMs, countMax],
  };
}

/** Columns of {@link leaseDue}. */
export type DueRow = readonly [identifier: string, address: string, changedAtMs: number, payload: Buffer | null];

/** Forgets what was handed over, unless it has changed since. */
export function settleDue(states: readonly Omit<PublicationState, 'payload'>[]): Statement {
  return {
    name: 'publication-settle',
    text: `DELETE FROM publication_due AS d USING account AS a,
        unnest($1::text[], $2::text[], $3::bigint[]) AS s (identifier, address, changed_at_ms)
      WHERE a.id = d.account_id AND a.address = s.address AND d.identifier = s.identifier
        AND d.changed_at_ms = s.changed_at_ms`,
    values: [
      states.map(({ identifier }) => identifier),
      states.map(({ account }) => account),
      states.map(({ changedAtMs }) => changedAtMs),
    ],
  };
}

/** Takes a state unless something newer is there, or another account's publication: one row if it was taken. */
export function upsertPublication({ identifier, account, changedAtMs, payload }: PublicationState): Statement {
  return {
    name: 'publication-put',
    text: `INSERT INTO publication AS p (identifier, account, changed_at_ms, payload) VALUES ($1, $2, $3, $4)
      ON CONFLICT (identifier) DO UPDATE SET account = excluded.account, changed_at_ms = excluded.changed_at_ms,
        payload = excluded.payload
      WHERE (p.account = excluded.account AND p.changed_at_ms <= excluded.changed_at_ms)
        OR (p.account <> excluded.account AND p.payload IS NULL AND excluded.payload IS NOT NULL)
      RETURNING 1`,
    values: [identifier, account, changedAtMs, payload ?? null],
  };
}

/** What is served under an identifier: at most one row. */
export function selectPublication(identifier: string): Statement {
  return {
    name: 'publication-select',
    text: 'SELECT payload FROM publication WHERE identifier = $1 AND payload IS NOT NULL',
    values: [identifier],
  };
}

/** Forgets withdrawals that nothing late can undo any more. */
export function deleteWithdrawnBefore(timeMs: number, rowsMax: number): Statement {
  return {
    text: `DELETE FROM publication WHERE identifier IN (
      SELECT identifier FROM publication WHERE payload IS NULL AND changed_at_ms < $1 LIMIT $2)`,
    values: [timeMs, rowsMax],
  };
}
