import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBinaryCopy } from './binary-copy.js';

type Rows = readonly (readonly (Uint8Array | null)[])[];

function write(rows: Rows): Buffer {
  const int = (value: number, size: number) => {
    const octets = Buffer.alloc(size);
    octets.writeIntBE(value, 0, size);
    return octets;
  };
  const fields = rows.flatMap((row) => [
    int(row.length, 2),
    ...row.flatMap((field) => (field === null ? [int(-1, 4)] : [int(field.length, 4), Buffer.from(field)])),
  ]);
  return Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8), ...fields, int(-1, 2)]);
}

const anyRows = fc.array(fc.array(fc.option(fc.uint8Array({ maxLength: 20 })), { maxLength: 5 }), { maxLength: 5 });

describe('binary COPY', () => {
  it('reads back rows', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const found = parseBinaryCopy(write(rows)).map((row) => row.map((field) => field && Uint8Array.from(field)));
        expect(found).toEqual(rows);
      }),
    );
  });

  it('refuses what is cut anywhere', () => {
    fc.assert(
      fc.property(anyRows, fc.nat(), (rows, cut) => {
        const octets = write(rows);
        expect(() => parseBinaryCopy(octets.subarray(0, cut % octets.length))).toThrow(/binary COPY/);
      }),
    );
  });
});
