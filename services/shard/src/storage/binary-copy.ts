/**
 * Reads rows as octets. The driver gives octet strings as hexadecimal text, which costs more than all else when frames
 * are read; `COPY … TO STDOUT (FORMAT binary)` gives them as they are. A statement of that kind takes no parameters, so
 * what is put into it must be numbers.
 */
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { storageError } from './database.js';
import { StorageError } from './errors.js';

/** `PGCOPY`, a line end that transports like to change, and zero; then flags and the size of what follows them. */
const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const headerBytes = signature.length + 8;

/**
 * Takes binary COPY output apart.
 *
 * @returns rows, their fields as windows into `octets`; null is null
 * @throws StorageError when it is cut or no such output
 */
export function parseBinaryCopy(octets: Buffer): (Buffer | null)[][] {
  if (octets.length < headerBytes || !octets.subarray(0, signature.length).equals(signature)) {
    throw new StorageError('unavailable', 'not the output of a binary COPY');
  }
  const rows: (Buffer | null)[][] = [];
  let at = headerBytes + octets.readInt32BE(headerBytes - 4);
  try {
    for (;;) {
      const fieldCount = octets.readInt16BE(at);
      at += 2;
      if (fieldCount < 0) return rows;
      const row: (Buffer | null)[] = [];
      for (let field = 0; field < fieldCount; field += 1) {
        const size = octets.readInt32BE(at);
        at += 4;
        if (at + size > octets.length) throw new RangeError('cut');
        row.push(size < 0 ? null : octets.subarray(at, at + size));
        at += Math.max(size, 0);
      }
      rows.push(row);
    }
  } catch (error) {
    throw new StorageError('unavailable', 'the output of a binary COPY is cut', { cause: error });
  }
}

/** An int8 field. */
export function int8Of(field: Buffer): number {
  return Number(field.readBigInt64BE(0));
}

/**
 * Runs a query and returns its rows as octets.
 *
 * @param query text without parameters
 * @throws StorageError
 */
export async function copyRows(pool: pg.Pool, query: string): Promise<(Buffer | null)[][]> {
  const client = await pool.connect().catch((error) => {
    throw storageError(error);
  });
  let failure: Error | undefined;
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of client.query(copyTo(`COPY (${query}) TO STDOUT (FORMAT binary)`))) chunks.push(chunk);
    return parseBinaryCopy(Buffer.concat(chunks));
  } catch (error) {
    failure = storageError(error);
    throw failure;
  } finally {
    // a connection with a failed COPY is not used again
    client.release(failure);
  }
}
