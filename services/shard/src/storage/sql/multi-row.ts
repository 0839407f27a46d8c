/**
 * Statements over many rows at once. A prepared statement has a fixed number of rows, so rows are cut into powers of two:
 * nine statements cover every number up to 256, and each is planned once.
 */
import { insertBytesMax, insertRowsMax } from '@meshd/limits/limits';
import type { Statement } from '../database.js';

/** Values of one row, in the order of the columns. */
export type Row = readonly unknown[];

/** The shape of such a statement. */
export interface MultiRowShape {
  /** Unique among all statements of a connection. */
  readonly name: string;
  /** Before the list of rows, without `VALUES`. */
  readonly head: string;
  /** Type of each column. */
  readonly types: readonly string[];
  /** After the list of rows. */
  readonly tail: string;
}

function valuesList(types: readonly string[], rowCount: number): string {
  const rows: string[] = [];
  for (let row = 0; row < rowCount; row += 1) {
    rows.push(`(${types.map((type, column) => `$${row * types.length + column + 1}::${type}`).join(',')})`);
  }
  return `VALUES ${rows.join(',')}`;
}

function bytesOf(row: Row): number {
  let bytes = 0;
  for (const value of row) if (value instanceof Uint8Array) bytes += value.length;
  return bytes;
}

/** Number of rows of the next statement: a power of two that stays below both limits. */
function nextSize(rows: readonly Row[], start: number): number {
  let fitting = 0;
  for (let bytes = 0; start + fitting < rows.length && fitting < insertRowsMax; fitting += 1) {
    bytes += bytesOf(rows[start + fitting] as Row);
    if (bytes > insertBytesMax && fitting > 0) break;
  }
  return 2 ** Math.floor(Math.log2(fitting));
}

/** Prepares a maker of statements: any number of rows in, statements of at most 256 rows each out. */
export function multiRow(shape: MultiRowShape): (rows: readonly Row[]) => Statement[] {
  const texts = new Map<number, string>();
  const textOf = (size: number): string => {
    let text = texts.get(size);
    if (text === undefined) {
      text = `${shape.head} ${valuesList(shape.types, size)} ${shape.tail}`;
      texts.set(size, text);
    }
    return text;
  };
  return (rows) => {
    const statements: Statement[] = [];
    for (let start = 0; start < rows.length; ) {
      const size = nextSize(rows, start);
      const values = rows.slice(start, start + size).flat();
      statements.push({ name: `${shape.name}-${size}`, text: textOf(size), values });
      start += size;
    }
    return statements;
  };
}

/**
 * Prepares a maker of look-ups: one statement for all keys, their number rounded up to a power of two by repeating the
 * last one, which finds nothing new.
 */
export function multiKey(shape: MultiRowShape): (keys: readonly Row[]) => Statement {
  const statementsOf = multiRow(shape);
  return (keys) => {
    const size = 2 ** Math.ceil(Math.log2(keys.length));
    const last = keys[keys.length - 1] as Row;
    const padded = [...keys, ...Array.from({ length: size - keys.length }, () => last)];
    return statementsOf(padded)[0] as Statement;
  };
}
