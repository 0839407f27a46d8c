/** Messages that wait to be sent, one row for each recipient. */
import { int8Of } from '../binary-copy.js';
import type { Statement } from '../database.js';
import type { Lane, LeaseWish, OutboxInsert, OutboxRow, WaitingChoice } from '../outbox-store.js';
import type { StoredEnvelope } from '../store.js';
import { multiRow, type Row } from './multi-row.js';

/** Inserts rows; those of a message and recipient that wait already stay. */
export const insertOutbox = multiRow({
  name: 'outbox-insert',
  head: `INSERT INTO outbox (id, container_id, frame_index, sender, recipient, domain, lane, message_id, message_bytes,
    queued_at_ms, expires_at_ms)`,
  types: [...['bigint', 'bigint', 'bigint', 'text', 'text', 'text', 'integer', 'text', 'integer', 'bigint', 'bigint']],
  tail: 'ON CONFLICT (container_id, frame_index, recipient) DO NOTHING',
});

/** The row for {@link insertOutbox}. */
export function outboxInsertRow(id: number, containerId: number, row: OutboxInsert): Row {
  const { frameIndex, sender, recipient, domain, lane, messageId, messageBytes, queuedAtMs, expiresAtMs } = row;
  return [
    ...[id, containerId, frameIndex, sender, recipient, domain, lane, messageId, messageBytes],
    ...[queuedAtMs, expiresAtMs],
  ];
}

/** Deletes rows that have ended. */
export function deleteOutbox(ids: readonly number[]): Statement {
  return { name: 'outbox-delete', text: 'DELETE FROM outbox WHERE id = ANY ($1::bigint[])', values: [ids] };
}

const columns = [
  ...['id', 'container_id', 'frame_index', 'sender', 'recipient', 'domain', 'lane', 'message_id'],
  ...['queued_at_ms', 'expires_at_ms', 'attempts', 'last_failure'],
];
const columnsOf = (table: string): string => columns.map((column) => `${table}.${column}`).join(', ');

/** Columns of rows, in the order of {@link rowOf}. */
export type OutboxSelectRow = readonly [
  id: number,
  containerId: number,
  frameIndex: number,
  sender: string,
  recipient: string,
  domain: string,
  lane: number,
  messageId: string,
  queuedAtMs: number,
  expiresAtMs: number,
  attempts: number,
  lastFailure: string,
];

/** The row that a selection tells. */
export function rowOf(row: OutboxSelectRow): OutboxRow {
  const [id, containerId, frameIndex, sender, recipient, domain, lane, messageId, queuedAtMs, ...rest] = row;
  const [expiresAtMs, attempts, lastFailure] = rest;
  return {
    ...{ id, containerId, frameIndex, sender, recipient, domain, lane, messageId, queuedAtMs },
    ...{ expiresAtMs, attempts, lastFailure },
  };
}

/*
 * `busy` are the rows on their way, found by an index of their own. With one of another owner the lane is his; of the
 * own ones the recipients are left out, so that nothing overtakes.
 */
const leaseText = `WITH busy AS MATERIALIZED (
    SELECT recipient, lease_owner FROM outbox
    WHERE domain = $1 AND lane = $2 AND lease_owner IS NOT NULL AND lease_until_ms > $3
  ), candidate AS (
    SELECT id, row_number() OVER (ORDER BY id) AS place, sum(message_bytes) OVER (ORDER BY id) AS bytes
    FROM (
      SELECT id, message_bytes FROM outbox
      WHERE domain = $1 AND lane = $2 AND (lease_owner IS NULL OR lease_until_ms <= $3) AND expires_at_ms > $3
        AND recipient NOT IN (SELECT recipient FROM busy)
        AND NOT EXISTS (SELECT FROM busy WHERE busy.lease_owner <> $4)
      ORDER BY id LIMIT $5
    ) AS waiting
  )
  UPDATE outbox AS o SET lease_owner = $4, lease_until_ms = $7 FROM candidate AS c
  WHERE o.id = c.id AND (c.place = 1 OR c.bytes <= $6)
  RETURNING ${columnsOf('o')}`;

/** Leases rows of a lane and returns them, in any order. */
export function leaseRows({ domain, lane, nowMs, owner, rowsMax, bytesMax, untilMs }: LeaseWish): Statement {
  return {
    name: 'outbox-lease',
    text: leaseText,
    values: [domain, lane, nowMs, owner, rowsMax, bytesMax, untilMs],
  };
}

/** What is left in a lane: whether there are free rows, and when the first lease ends. One row. */
export function selectLaneRest({ domain, lane }: Lane, nowMs: number): Statement {
  return {
    name: 'outbox-lane-rest',
    text: `SELECT
      EXISTS (SELECT FROM outbox WHERE domain = $1 AND lane = $2 AND expires_at_ms > $3
        AND (lease_owner IS NULL OR lease_until_ms <= $3)),
      (SELECT min(lease_until_ms) FROM outbox
        WHERE domain = $1 AND lane = $2 AND lease_owner IS NOT NULL AND lease_until_ms > $3)`,
    values: [domain, lane, nowMs],
  };
}

/** Ends leases of an owner; with a failure the attempt is charged. */
export function giveBackRows(owner: string, ids: readonly number[], failures: readonly (string | null)[]): Statement {
  return {
    name: 'outbox-give-back',
    text: `UPDATE outbox AS o SET lease_owner = NULL, lease_until_ms = NULL,
        attempts = o.attempts + CASE WHEN q.failure IS NULL THEN 0 ELSE 1 END,
        last_failure = coalesce(q.failure, o.last_failure)
      FROM unnest($2::bigint[], $3::text[]) AS q (id, failure) WHERE o.id = q.id AND o.lease_owner = $1`,
    values: [owner, ids, failures],
  };
}

const selection = (condition: string): string => `SELECT ${columnsOf('o')} FROM outbox AS o WHERE ${condition}`;

/** Rows by number. */
export function selectById(ids: readonly number[]): Statement {
  return { name: 'outbox-by-id', text: selection('o.id = ANY ($1::bigint[])'), values: [ids] };
}

/** Rows whose time is over and which are not on their way. */
export function selectExpired(nowMs: number, rowsMax: number): Statement {
  const free = '(o.lease_owner IS NULL OR o.lease_until_ms <= $1)';
  const text = `${selection(`o.expires_at_ms <= $1 AND ${free}`)} ORDER BY o.expires_at_ms LIMIT $2`;
  return { name: 'outbox-expired', text, values: [nowMs, rowsMax] };
}

/** Rows of a domain that are not on their way. */
export function selectOfDomain(domain: string, nowMs: number, rowsMax: number): Statement {
  const free = '(o.lease_owner IS NULL OR o.lease_until_ms <= $2)';
  const text = `${selection(`o.domain = $1 AND ${free}`)} ORDER BY o.lane, o.id LIMIT $3`;
  return { name: 'outbox-of-domain', text, values: [domain, nowMs, rowsMax] };
}

/*
 * The first of each lane are looked for in the index, which is in order of lanes, and put together: what a page costs does
 * not depend on how many rows wait.
 */
const waitingText = `SELECT ${columnsOf('o')}, coalesce(o.lease_until_ms > $3, false)
  FROM generate_series(0, $4::integer - 1) AS q (lane) CROSS JOIN LATERAL (
    SELECT * FROM outbox WHERE domain = $1 AND outbox.lane = q.lane AND id > $2 ORDER BY id LIMIT $5) AS o
  ORDER BY o.id LIMIT $5`;

/** Rows of a domain behind one, in order of their numbers; the last column says whether they are on their way. */
export function selectWaiting({ domain, afterId, nowMs }: WaitingChoice, lanesMax: number, rowsMax: number): Statement {
  return { name: 'outbox-waiting', text: waitingText, values: [domain, afterId, nowMs, lanesMax, rowsMax] };
}

/** Rows of frames of one container. */
export function selectOfFrames(containerId: number, frameIndexes: readonly number[]): Statement {
  const text = `${selection('o.container_id = $1 AND o.frame_index = ANY ($2::bigint[])')} ORDER BY o.frame_index, o.id`;
  return { name: 'outbox-of-frames', text, values: [containerId, frameIndexes] };
}

/*
 * Lanes are found by jumping from one to the next in the index: a lane costs one look, however many rows it holds.
 */
const lanesText = `WITH RECURSIVE found AS (
    (SELECT domain, lane FROM outbox WHERE (domain, lane) > ($1, $2::integer) ORDER BY domain, lane LIMIT 1)
    UNION ALL
    SELECT next.domain, next.lane FROM found AS f CROSS JOIN LATERAL (
      SELECT o.domain, o.lane FROM outbox AS o WHERE (o.domain, o.lane) > (f.domain, f.lane)
      ORDER BY o.domain, o.lane LIMIT 1) AS next
  )
  SELECT f.domain, f.lane, coalesce(d.next_attempt_ms, 0) FROM found AS f
  LEFT JOIN destination AS d ON d.domain = f.domain
  WHERE NOT coalesce(d.held, false) LIMIT $3`;

/** Lanes with rows behind one, in order: domain, lane, next attempt. */
export function selectLanes({ domain, lane }: Lane, lanesMax: number): Statement {
  return { name: 'outbox-lanes', text: lanesText, values: [domain, lane, lanesMax] };
}

/** Lanes of a destination with rows, one column. */
export function selectLanesOf(domain: string, lanesMax: number): Statement {
  return {
    name: 'outbox-lanes-of',
    text: `SELECT lane FROM generate_series(0, $2::integer - 1) AS q (lane)
      WHERE EXISTS (SELECT FROM outbox AS o WHERE o.domain = $1 AND o.lane = q.lane)`,
    values: [domain, lanesMax],
  };
}

/** Domains with rows or a state behind one, in order, one column. */
export function selectDomains(after: string, domainsMax: number): Statement {
  return {
    text: `WITH RECURSIVE found AS (
        (SELECT domain FROM outbox WHERE domain > $1 ORDER BY domain LIMIT 1)
        UNION ALL
        SELECT next.domain FROM found AS f CROSS JOIN LATERAL (
          SELECT o.domain FROM outbox AS o WHERE o.domain > f.domain ORDER BY o.domain LIMIT 1) AS next
      ), known AS (SELECT domain FROM destination WHERE domain > $1 ORDER BY domain LIMIT $2)
      SELECT domain FROM (SELECT domain FROM found UNION SELECT domain FROM known) AS named ORDER BY domain LIMIT $2`,
    values: [after, domainsMax],
  };
}

/** Rows of a domain counted: all, leased, oldest, then those up to each age. One row. */
export function countRows(domain: string, nowMs: number, agesMs: readonly number[]): Statement {
  const byAge = agesMs.map((_, at) => `count(*) FILTER (WHERE queued_at_ms >= $2::bigint - $${at + 3}::bigint)`);
  return {
    text: `SELECT count(*), count(*) FILTER (WHERE lease_until_ms > $2::bigint), coalesce(min(queued_at_ms), 0)::bigint
      ${byAge.map((column) => `, ${column}`).join('')} FROM outbox WHERE domain = $1`,
    values: [domain, nowMs, ...agesMs],
  };
}

/** Frames by container and index, for binary output: both, header, payload, trailer, payload digest. */
export function selectMessages(
  places: readonly { readonly containerId: number; readonly frameIndex: number }[],
): string {
  const list = places.map(
    ({ containerId, frameIndex }) => `(${literal(containerId)}::bigint, ${literal(frameIndex)}::bigint)`,
  );
  return `SELECT f.container_id, f.frame_index, f.header, f.payload, f.trailer, f.payload_digest
    FROM (VALUES ${list.join(', ')}) AS q (container_id, frame_index)
    JOIN frame AS f ON f.container_id = q.container_id AND f.frame_index = q.frame_index`;
}

/** A number as text of a statement: nothing else can get into it. */
function literal(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a number for a statement`);
  return value.toString();
}

/** A message as stored, and where. */
export interface MessageFrame {
  readonly containerId: number;
  readonly frameIndex: number;
  readonly envelope: StoredEnvelope;
  readonly payloadDigest: Uint8Array;
}

/** The frame that a row of {@link selectMessages} tells. */
export function messageOfRow(row: readonly (Buffer | null)[]): MessageFrame {
  const [containerId, frameIndex, header, payload, trailer, payloadDigest] = row;
  return {
    containerId: int8Of(containerId as Buffer),
    frameIndex: int8Of(frameIndex as Buffer),
    envelope: { header: header as Buffer, payload: payload ?? null, trailer: trailer ?? null },
    payloadDigest: payloadDigest as Buffer,
  };
}
