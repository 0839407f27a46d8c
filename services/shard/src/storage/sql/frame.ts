/** Frames: appended in batches, read in chunks of bounded octets. */
import { frameChunkBytesMax, frameChunkCountMax } from '@meshd/limits/limits';
import { int8Of } from '../binary-copy.js';
import type { Statement } from '../database.js';
import type { FrameEvent, FrameFilter, FrameRow, FrameSelection, FrameWrite, PayloadSlice } from '../store.js';
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

const columns = 'frame_index, stored_at_ms, unique_id, event';
const digests = 'coalesce(octet_length(payload), 0)::bigint, payload_digest, tree_digest, leaf';

/*
 * The inner query walks the primary key and adds up sizes, which stand beside the pointer to a payload that lies apart;
 * payloads themselves are fetched only for the rows that stay. The first row always stays. The limit is a number of
 * the text: for one that it does not know the planner expects much, and sorts.
 */
const selectText = (parts: readonly string[], filtered: string, source: string): string => `SELECT ${columns},
    ${parts.join(', ')}, ${digests}, filtered
  FROM (
    SELECT rows.*, sum(octet_length(header) + coalesce(octet_length(trailer), 0)
          + CASE WHEN filtered THEN 0 ELSE coalesce(octet_length(payload), 0) END)
        OVER (ORDER BY frame_index ROWS UNBOUNDED PRECEDING) AS bytes_so_far,
      row_number() OVER (ORDER BY frame_index ROWS UNBOUNDED PRECEDING) AS place
    FROM (SELECT f.*, ${filtered} AS filtered FROM ${source}) AS rows
  ) AS chunk
  WHERE place = 1 OR bytes_so_far <= ${frameChunkBytesMax}
  ORDER BY frame_index`;

/** A number as text of a statement: nothing else can get into it. */
function literal(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a number for a statement`);
  return value.toString();
}

/** Whether the filter matches a frame. In a spool a key has one frame, so only marks match there. */
function filterText({ superseded, deleted, read, olderThanMs }: FrameFilter): string {
  const matches = [
    ...(superseded ? ['f.frame_index < k.latest_index'] : []),
    ...(deleted ? [`f.frame_index < k.first_index OR k.deleted OR k.mark = 'deleted'`] : []),
    ...(read ? [`k.mark = 'read'`] : []),
    ...(olderThanMs === undefined ? [] : [`f.stored_at_ms < ${literal(olderThanMs)}`]),
  ];
  if (matches.length === 0) return 'false';
  return `(coalesce(octet_length(f.payload), 0) > 0 AND coalesce(${matches.join(' OR ')}, false))`;
}

const withKeys = `frame AS f LEFT JOIN catalog_key AS k
        ON k.container_id = f.container_id AND k.key_digest = sha256(f.unique_id)`;

/**
 * The next chunk of a selection, starting at `from`: a query for binary output.
 *
 * Fields: index, stored at, unique id, event, header, payload, trailer, payload size, payload digest, tree digest, leaf,
 * whether the filter matched.
 */
export function selectFrames(containerId: number, from: number, selection: FrameSelection, framesMax: number): string {
  const { to, notBeforeMs, beforeMs, header = true, payload = true, trailer = true, filter } = selection;
  const conditions = [
    `f.container_id = ${literal(containerId)}`,
    `f.frame_index BETWEEN ${literal(from)} AND ${literal(to)}`,
    ...(notBeforeMs === undefined ? [] : [`f.stored_at_ms >= ${literal(notBeforeMs)}`]),
    ...(beforeMs === undefined ? [] : [`f.stored_at_ms < ${literal(beforeMs)}`]),
  ];
  const wholePayload = filter === undefined ? 'payload' : 'CASE WHEN NOT filtered THEN payload END';
  const parts = [
    header ? 'header' : 'NULL::bytea',
    payload ? wholePayload : 'NULL::bytea',
    trailer ? 'trailer' : 'NULL::bytea',
  ];
  const source = `${filter === undefined ? 'frame AS f' : withKeys} WHERE ${conditions.join(' AND ')}
      ORDER BY f.frame_index LIMIT ${literal(Math.min(framesMax, frameChunkCountMax))}`;
  return selectText(parts, filter === undefined ? 'false' : filterText(filter), source);
}

/**
 * One frame with some octets of its payload, in the fields of {@link selectFrames}; of a payload that lies apart, only the
 * pieces with these octets are read.
 */
export function selectSlice(containerId: number, frameIndex: number, { offset, bytes }: PayloadSlice): string {
  // Postgres counts octets from 1, in 32 bits; no payload is that long.
  const first = Math.min(offset, sliceOffsetMax) + 1;
  return `SELECT ${columns}, header, substring(payload FROM ${literal(first)} FOR ${literal(bytes)}), trailer,
    ${digests}, false
  FROM frame WHERE container_id = ${literal(containerId)} AND frame_index = ${literal(frameIndex)}`;
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

const sliceOffsetMax = 2 ** 30;

/** The frame that a row of {@link selectFrames} tells. */
export function frameOfRow(row: readonly (Buffer | null)[]): FrameRow {
  const [index, storedAt, uniqueId, event, header, payload, trailer, size, payloadDigest, treeDigest, leaf, filtered] =
    row;
  return {
    index: int8Of(index as Buffer),
    storedAtMs: int8Of(storedAt as Buffer),
    uniqueId: uniqueId?.toString('utf8') ?? null,
    event: (event?.toString('utf8') ?? null) as FrameEvent | null,
    ...{ header: header ?? nothing, payload: payload ?? null, trailer: trailer ?? null },
    payloadBytes: int8Of(size as Buffer),
    payloadDigest: payloadDigest as Buffer,
    treeDigest: treeDigest as Buffer,
    leaf: leaf as Buffer,
    filtered: (filtered as Buffer)[0] === 1,
  };
}

const nothing = new Uint8Array(0);

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
