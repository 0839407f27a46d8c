/** Frames: appended in batches, read in chunks of bounded octets. */
import { frameChunkBytesMax, frameChunkCountMax } from '@meshd/limits/limits';
import { int8Of } from '../binary-copy.js';
import type { FrameEvent, FrameRow, FrameSelection, FrameWrite } from '../store.js';
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

/*
 * The inner query walks the primary key and adds up sizes, which stand beside the pointer to a payload that lies apart;
 * payloads themselves are fetched only for the rows that stay. The first row always stays.
 */
const selectText = (
  where: string,
  parts: readonly string[],
): string => `SELECT frame_index, stored_at_ms, unique_id, event,
    ${parts.join(', ')}, coalesce(octet_length(payload), 0)::bigint, payload_digest, tree_digest, leaf
  FROM (
    SELECT f.*, sum(octet_length(header) + coalesce(octet_length(payload), 0) + coalesce(octet_length(trailer), 0))
        OVER (ORDER BY frame_index ROWS UNBOUNDED PRECEDING) AS bytes_so_far,
      row_number() OVER (ORDER BY frame_index ROWS UNBOUNDED PRECEDING) AS place
    FROM frame AS f WHERE ${where} ORDER BY frame_index LIMIT ${frameChunkCountMax}
  ) AS chunk
  WHERE place = 1 OR bytes_so_far <= ${frameChunkBytesMax}
  ORDER BY frame_index`;

/** A number as text of a statement: nothing else can get into it. */
function literal(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a number for a statement`);
  return value.toString();
}

/**
 * The next chunk of a selection, starting at `from`: a query for binary output.
 *
 * Fields: index, stored at, unique id, event, header, payload, trailer, payload size, payload digest, tree digest, leaf.
 */
export function selectFrames(containerId: number, from: number, selection: FrameSelection): string {
  const { to, notBeforeMs, beforeMs } = selection;
  const conditions = [
    `container_id = ${literal(containerId)}`,
    `frame_index BETWEEN ${literal(from)} AND ${literal(to)}`,
    ...(notBeforeMs === undefined ? [] : [`stored_at_ms >= ${literal(notBeforeMs)}`]),
    ...(beforeMs === undefined ? [] : [`stored_at_ms < ${literal(beforeMs)}`]),
  ];
  const parts = (['header', 'payload', 'trailer'] as const).map((part) =>
    (selection[part] ?? true) ? part : `NULL::bytea AS ${part}`,
  );
  return selectText(conditions.join(' AND '), parts);
}

/** The frame that a row of {@link selectFrames} tells. */
export function frameOfRow(row: readonly (Buffer | null)[]): FrameRow {
  const [index, storedAt, uniqueId, event, header, payload, trailer, size, payloadDigest, treeDigest, leaf] = row;
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
  };
}

const nothing = new Uint8Array(0);
