import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { multiKey, multiRow } from './multi-row.js';

const shape = { name: 's', head: 'INSERT INTO t (a, b)', types: ['bigint', 'bytea'], tail: 'RETURNING a' };

describe('statements over many rows', () => {
  it('hold every row once, in order, in powers of two up to 256', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1500 }), (count) => {
        const rows = Array.from({ length: count }, (_, at) => [at, null]);
        const statements = multiRow(shape)(rows);
        expect(statements.flatMap(({ values }) => values)).toEqual(rows.flat());
        for (const { name, values } of statements) {
          const size = values.length / 2;
          expect(Math.log2(size) % 1).toBe(0);
          expect(size).toBeLessThanOrEqual(256);
          expect(name).toBe(`s-${size}`);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('stay small when rows are large, and take a row that is larger alone', () => {
    const sizes = (bytes: number[]) =>
      multiRow(shape)(bytes.map((size, at) => [at, new Uint8Array(size)])).map(({ values }) => values.length / 2);
    expect(sizes(Array.from({ length: 8 }, () => 1 << 20))).toEqual([4, 4]);
    expect(sizes([8 << 20, 8 << 20, 10])).toEqual([1, 1, 1]);
  });

  it('number their parameters through', () => {
    expect(
      multiRow(shape)([
        [1, null],
        [2, null],
      ])[0]?.text,
    ).toBe('INSERT INTO t (a, b) VALUES ($1::bigint,$2::bytea),($3::bigint,$4::bytea) RETURNING a');
  });

  it('look keys up with their number rounded up', () => {
    const { name, values } = multiKey(shape)([
      [1, null],
      [2, null],
      [3, null],
    ]);
    expect(name).toBe('s-4');
    expect(values).toEqual([1, null, 2, null, 3, null, 3, null]);
  });
});
