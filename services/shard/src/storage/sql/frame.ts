/** Frames: appended in batches, read in chunks of bounded octets. */
import { frameChunkBytesMax, frameChunkCountMax } from '@meshd/limits/limits';
import type { Statement } from '../database.js';
import type { FrameEvent, FrameSelection, FrameWrite } from '../store.js';
import { multiRow, type Row } from './multi-row.js';

/** Appends frames; refused by the database where they do not continue their containers. */
export const insertFrames = multiRow({
  name: 'frame-insert',
  head: `INSERT INTO frame (container_id, frame_index, stored_at_ms, unique_id, event, header, payload, trailer,
    payload_digest, tree_digest, leaf)`,
  types: ['bigint', 'bigint', 'bigint', 'bytea', 'text', 'bytea', 'bytea', 'bytea', 'bytea', 'bytea', 'bytea'],
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
];

/*
 * The inner query walks the primary key and adds up sizes, which stand beside the pointer to a payload that lies apart;
 * payloads themselves are fetched only for the rows that stay. The first row always stays.
 */
const selectText = `SELECT frame_index, stored_at_ms, unique_id, event,
    CASE WHEN $6 THEN header END, CASE WHEN $7 THEN payload END, CASE WHEN $8 THEN trailer END,
    octet_length(payload), payload_digest, tree_digest, leaf
  FROM (
    SELECT f.*, sum(octet_length(header) + coalesce(octet_length(payload), 0) + coalesce(octet_length(trailer), 0))
        OVER (ORDER BY frame_index ROWS UNBOUNDED PRECEDING) AS bytes_so_far,
      row_number() OVER (ORDER BY frame_index ROWS UNBOUNDED PRECEDING) AS place
    FROM frame AS f
    WHERE container_id = $1 AND frame_index BETWEEN $2 AND $3 AND stored_at_ms >= $4 AND stored_at_ms < $5
    ORDER BY frame_index LIMIT ${frameChunkCountMax}
  ) AS chunk
  WHERE place = 1 OR bytes_so_far <= ${frameChunkBytesMax}
  ORDER BY frame_index`;

/** The next chunk of a selection, starting at `from`. */
export function selectFrames(containerId: number, from: number, selection: FrameSelection): Statement {
  const { to, notBeforeMs = 0, beforeMs = Number.MAX_SAFE_INTEGER, header = true, payload = true } = selection;
  const values = [containerId, from, to, notBeforeMs, beforeMs, header, payload, selection.trailer ?? true];
  return { name: 'frame-select', text: selectText, values };
}
