/** Frames: appended in batches, read in chunks of bounded octets. */
import { frameChunkBytesMax, frameChunkCountMax } from '@meshd/limits/limits';
import type { Statement } from '../database.js';
import type { FrameEvent, FrameFilter, FrameSelection, FrameWrite, PayloadSlice } from '../store.js';
import { multiKey, multiRow, type Row } from './multi-row.js';

/** Appends frames; refused by the database where they do not continue their containers. */
export const insertFrames = multiRow({
  name: 'frame-insert',
  head: `INSERT INTO frame (container_id, frame_index, stored_at_ms, unique_id, event, header, payload, trailer,
    payload_digest, tree_digest, leaf, nodes)`,
  types: [
    ...['bigint', 'bigint', 'bigint', 'bytea', 'text', 'bytea', 'bytea', 'bytea', 'bytea', 'bytea', 'bytea', 'bytea'],
  ],
  tail: '',
});

/** The row of one frame for {@link insertFrames}. */
export function frameInsertRow(containerId: number, frameIndex: number, storedAtMs: number, frame: FrameWrite): Row {
  return [
    containerId,
    frameIndex,
    storedAtMs,
    frame.uniqueId === undefined ? null : Buffer.from(frame.uniqueId, 'utf8'),
    frame.event ?? null,
    frame.header,
    frame.payload,
    frame.trailer,
    frame.payloadDigest,
    frame.treeDigest,
    frame.leaf,
    frame.nodes,
  ];
}

/** One frame as {@link selectFrames} gives it: index, stored at, unique id, event, header, payload, trailer, payload size, digests. */
export type FrameSelectRow = readonly [
  frameIndex: number,
  storedAtMs: number,
  uniqueId: Buffer | null,
  event: FrameEvent | null,
  header: Buffer | null,
  payload: Buffer | null,
  trailer: Buffer | null,
  payloadBytes: number | null,
  payloadDigest: Buffer,
  treeDigest: Buffer,
  leaf: Buffer,
  filtered: boolean,
];

const columns = `frame_index, stored_at_ms, unique_id, event`;
const digests = `octet_length(payload), payload_digest, tree_digest, leaf`;

/*
 * The inner query walks the primary key and adds up sizes, which stand beside the pointer to a payload that lies apart;
 * payloads themselves are fetched only for the rows that stay. The first row always stays. The limit is a number of
 * the text: for one that it does not know the planner expects much, and sorts.
 */
const selectText = (filtered: string, from: string): string => `SELECT ${columns},
    CASE WHEN $6 THEN header END, CASE WHEN $7 AND NOT filtered THEN payload END, CASE WHEN $8 THEN trailer END,
    ${digests}, filtered
  FROM (
    SELECT rows.*, sum(octet_length(header) + coalesce(octet_length(trailer), 0)
          + CASE WHEN filtered THEN 0 ELSE coalesce(octet_length(payload), 0) END)
        OVER (ORDER BY frame_index ROWS UNBOUNDED PRECEDING) AS bytes_so_far,
      row_number() OVER (ORDER BY frame_index ROWS UNBOUNDED PRECEDING) AS place
    FROM (
      SELECT f.*, ${filtered} AS filtered FROM ${from}
      WHERE f.container_id = $1 AND f.frame_index BETWEEN $2 AND $3 AND f.stored_at_ms >= $4 AND f.stored_at_ms < $5
      ORDER BY f.frame_index LIMIT ${frameChunkCountMax}
    ) AS rows
  ) AS chunk
  WHERE place = 1 OR (place <= $9 AND bytes_so_far <= ${frameChunkBytesMax})
  ORDER BY frame_index`;

const plainText = selectText('false', 'frame AS f');

/** $10 superseded, $11 deleted, $12 read, $13 stored before. In a spool a key has one frame, so only marks match there. */
const filterText = selectText(
  `(coalesce(octet_length(f.payload), 0) > 0 AND coalesce(
      ($10 AND f.frame_index < k.latest_index)
      OR ($11 AND (f.frame_index < k.first_index OR k.deleted OR k.mark = 'deleted'))
      OR ($12 AND k.mark = 'read') OR f.stored_at_ms < $13, false))`,
  `frame AS f LEFT JOIN catalog_key AS k
        ON k.container_id = f.container_id AND k.key_digest = sha256(f.unique_id)`,
);

function filterValues({ superseded, deleted, read, olderThanMs = 0 }: FrameFilter): unknown[] {
  return [superseded, deleted, read, olderThanMs];
}

/** The next chunk of a selection, starting at `from`. */
export function selectFrames(
  containerId: number,
  from: number,
  selection: FrameSelection,
  framesMax: number,
): Statement {
  const { to, notBeforeMs = 0, beforeMs = Number.MAX_SAFE_INTEGER, header = true, payload = true } = selection;
  const { trailer = true, filter } = selection;
  const values = [containerId, from, to, notBeforeMs, beforeMs, header, payload, trailer, framesMax];
  if (filter === undefined) return { name: 'frame-select', text: plainText, values };
  return { name: 'frame-filter', text: filterText, values: [...values, ...filterValues(filter)] };
}

/**
 * Where the frames of a time begin: the first index from `from` to `to` stored at that time or later, else `to + 1`. Found
 * by halving, since frames are stored in the order of their times.
 */
export function selectFirstAt(containerId: number, from: number, to: number, timesMs: readonly number[]): Statement {
  return {
    name: 'frame-first-at',
    text: 'SELECT frame_first_at($1, $2, $3, t) FROM unnest($4::bigint[]) WITH ORDINALITY AS q (t, place) ORDER BY place',
    values: [containerId, from, to, timesMs],
  };
}

/** One frame with some octets of its payload; of one that lies apart, only the pieces with these octets are read. */
export function selectSlice(containerId: number, frameIndex: number, { offset, bytes }: PayloadSlice): Statement {
  return {
    name: 'frame-slice',
    text: `SELECT ${columns}, header, substring(payload FROM $3 FOR $4), trailer, ${digests}, false
      FROM frame WHERE container_id = $1 AND frame_index = $2`,
    // Postgres counts octets from 1, in 32 bits; no payload is that long.
    values: [containerId, frameIndex, Math.min(offset, sliceOffsetMax) + 1, bytes],
  };
}

const sliceOffsetMax = 2 ** 30;

/** Nodes of the second tree, by the frame that completed them; level 0 is the frame's own leaf. */
export const selectNodes = multiKey({
  name: 'node-select',
  head: `SELECT q.frame_index, q.level,
    CASE WHEN q.level = 0 THEN f.leaf ELSE substring(f.nodes FROM (q.level - 1) * 32 + 1 FOR 32) END FROM (`,
  types: ['bigint', 'bigint', 'integer'],
  tail: `) AS q (container_id, frame_index, level)
    JOIN frame AS f ON f.container_id = q.container_id AND f.frame_index = q.frame_index`,
});

/** Columns of {@link selectNodes}. */
export type NodeSelectRow = readonly [frameIndex: number, level: number, hash: Buffer];
