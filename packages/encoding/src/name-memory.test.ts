import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameOf } from './name-memory.js';

/** Few letters and lengths, so that names come again and share slots. */
const nameArbitrary = fc.string({ unit: fc.constantFrom('a', 'b', 'Z', '_', '0'), maxLength: 40 });

describe('names that are remembered', () => {
  it('are the texts of their octets, whatever was seen before', () => {
    fc.assert(
      fc.property(fc.array(nameArbitrary, { minLength: 1, maxLength: 200 }), fc.nat(9), (names, offset) => {
        for (const name of names) {
          const octets = Buffer.from(`${'x'.repeat(offset)}${name}tail`, 'latin1');
          expect(nameOf(octets, offset, offset + name.length)).toBe(name);
        }
      }),
    );
  });

  it('are all found again when more of them come than are remembered', () => {
    const names = Array.from({ length: 2000 }, (_, at) => `Member${at * 7919}`);
    for (let round = 0; round < 2; round++) {
      for (const name of names) expect(nameOf(Buffer.from(name), 0, name.length)).toBe(name);
    }
  });
});
