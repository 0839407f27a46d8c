/** Large files and their slices. */
import type { Statement } from '../database.js';
import type { LargeBegin, LargeFile } from '../large-store.js';

/** Inserts a file where the account has room for it; one of the same identifier stays as it is. */
export function insertLarge(
  id: number,
  accountId: number,
  { identifier, reader, bytesTotal, keptMs }: LargeBegin,
  bounds: { readonly expiresAtMs: number; readonly filesMax: number; readonly bytesMax: number },
): Statement {
  return {
    name: 'large-insert',
    text: `INSERT INTO large_file (id, account_id, identifier, reader, bytes_total, kept_ms, expires_at_ms)
      SELECT $1::bigint, $2::bigint, $3::text, $4::bytea, $5::bigint, $6::bigint, $7::bigint
      FROM (SELECT count(*) AS files, coalesce(sum(bytes_total), 0) AS bytes FROM large_file WHERE account_id = $2) AS used
      WHERE used.files < $8::bigint AND used.bytes + $5 <= $9::bigint
      ON CONFLICT (account_id, identifier) DO NOTHING`,
    values: [
      ...[id, accountId, identifier, reader, bytesTotal, keptMs, bounds.expiresAtMs],
      ...[bounds.filesMax, bounds.bytesMax],
    ],
  };
}

/** Adds a slice and moves its file on, or does neither. The file then expires later: as an unfinished or as a complete one. */
export function appendSlice(
  file: { readonly accountId: number; readonly identifier: string },
  slice: { readonly offset: number; readonly data: Uint8Array },
  times: { readonly nowMs: number; readonly unfinishedUntilMs: number },
): Statement {
  return {
    name: 'large-append',
    text: `WITH moved AS (
        UPDATE large_file SET bytes_stored = bytes_stored + octet_length($4::bytea),
          expires_at_ms = CASE WHEN bytes_stored + octet_length($4::bytea) = bytes_total THEN $5::bigint + kept_ms ELSE $6::bigint END
        WHERE account_id = $1 AND identifier = $2 AND bytes_stored = $3 AND bytes_stored + octet_length($4::bytea) <= bytes_total
          AND expires_at_ms > $5
        RETURNING id)
      INSERT INTO large_slice (file_id, start_at, octets) SELECT id, $3::bigint, $4::bytea FROM moved`,
    values: [...[file.accountId, file.identifier, slice.offset, slice.data], ...[times.nowMs, times.unfinishedUntilMs]],
  };
}

/** Ends a file. */
export function endLarge(accountId: number, identifier: string): Statement {
  return {
    name: 'large-end',
    text: 'UPDATE large_file SET expires_at_ms = 0 WHERE account_id = $1 AND identifier = $2',
    values: [accountId, identifier],
  };
}

/** Columns of {@link selectLarge} and {@link selectLargeFiles}. */
export type LargeSelectRow = readonly [
  identifier: string,
  bytesTotal: number,
  bytesStored: number,
  expiresAtMs: number,
  reader: Buffer,
];

const columns = 'identifier, bytes_total, bytes_stored, expires_at_ms, reader';

/** The file that a row tells. */
export function largeOfRow([identifier, bytesTotal, bytesStored, expiresAtMs]: LargeSelectRow): LargeFile {
  return { identifier, bytesTotal, bytesStored, expiresAtMs };
}

/** One file of an account. */
export function selectLarge(accountId: number, identifier: string): Statement {
  return {
    name: 'large-select',
    text: `SELECT ${columns} FROM large_file WHERE account_id = $1 AND identifier = $2`,
    values: [accountId, identifier],
  };
}

/** All files of an account. */
export function selectLargeFiles(accountId: number): Statement {
  return {
    name: 'large-select-all',
    text: `SELECT ${columns} FROM large_file WHERE account_id = $1 ORDER BY identifier`,
    values: [accountId],
  };
}

/** A file that may be fetched, by the address of a living account: number, octets in all, reader. */
export function selectFetchable(address: string, identifier: string, nowMs: number): Statement {
  return {
    name: 'large-select-fetchable',
    text: `SELECT f.id, f.bytes_total, f.reader FROM account AS a JOIN large_file AS f ON f.account_id = a.id
      WHERE a.address = $1 AND a.deleted_at_ms IS NULL AND f.identifier = $2
        AND f.bytes_stored = f.bytes_total AND f.expires_at_ms > $3`,
    values: [address, identifier, nowMs],
  };
}

/**
 * The rest of the slice in which an octet lies, or a part of it; text for a binary COPY, which takes no parameters.
 *
 * @param numbers whole numbers, which the caller has checked
 */
export function selectSliceAt(numbers: { fileId: number; offset: number; bytesMax: number }): string {
  const { fileId, offset, bytesMax } = numbers;
  if (![fileId, offset, bytesMax].every(Number.isSafeInteger)) throw new RangeError('whole numbers only');
  return `SELECT substring(octets FROM (${offset} - start_at + 1)::int FOR ${bytesMax}) FROM large_slice
    WHERE file_id = ${fileId} AND start_at <= ${offset} ORDER BY start_at DESC LIMIT 1`;
}

/** Files that are over, or whose account is: one column. */
export function selectEndedLarge(nowMs: number, filesMax: number): Statement {
  return {
    text: `(SELECT id FROM large_file WHERE expires_at_ms <= $1 LIMIT $2) UNION
      (SELECT f.id FROM account AS a JOIN large_file AS f ON f.account_id = a.id WHERE a.deleted_at_ms IS NOT NULL LIMIT $2)`,
    values: [nowMs, filesMax],
  };
}

/** Sees to it that nothing is added to some files any more, deletes some of their slices, and those files that have none left. */
export function freeSlices(fileIds: readonly number[], rowsMax: number): Statement[] {
  return [
    {
      text: 'UPDATE large_file SET expires_at_ms = 0 WHERE id = ANY ($1::bigint[]) AND expires_at_ms <> 0',
      values: [fileIds],
    },
    {
      text: `DELETE FROM large_slice WHERE (file_id, start_at) IN (
        SELECT file_id, start_at FROM large_slice WHERE file_id = ANY ($1::bigint[]) LIMIT $2)`,
      values: [fileIds, rowsMax],
    },
    {
      text: `DELETE FROM large_file AS f WHERE id = ANY ($1::bigint[])
        AND NOT EXISTS (SELECT 1 FROM large_slice WHERE file_id = f.id)`,
      values: [fileIds],
    },
  ];
}
