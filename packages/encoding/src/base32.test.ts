import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalBase32, decodeBase32, encodeBase32, presentBase32 } from './base32.js';
import { EncodingError } from './errors.js';

const octets = fc.uint8Array({ minLength: 2, maxLength: 80 });

describe('Base32', () => {
  test('RFC 4648 examples, without padding', () => {
    const cases = { fo: 'MZXQ', foo: 'MZXW6', foob: 'MZXW6YQ', fooba: 'MZXW6YTB', foobar: 'MZXW6YTBOI' };
    for (const [plain, text] of Object.entries(cases)) {
      expect(encodeBase32(Buffer.from(plain))).toBe(text);
      expect(Buffer.from(decodeBase32(text)).toString()).toBe(plain);
    }
  });

  test('a dash after every four characters, none at the end', () => {
    expect(presentBase32(Buffer.from('foobar'))).toBe('MZXW-6YTB-OI');
    expect(presentBase32(Buffer.alloc(5))).toBe('AAAA-AAAA');
  });

  test('140 bits of 18 octets are 28 characters, the unused bits zero', () => {
    expect(presentBase32(Buffer.alloc(18, 0xff), 140)).toBe('7777-7777-7777-7777-7777-7777-7777');
    expect(encodeBase32(Buffer.of(0xff, 0xff), 12)).toBe('77Y');
    expect(() => encodeBase32(Buffer.alloc(2), 17)).toThrow(RangeError);
  });

  test('left-over bits are dropped by decoding and kept by the canonical text', () => {
    expect(decodeBase32('AB')).toEqual(decodeBase32('AA'));
    expect(canonicalBase32('ab')).toBe('AB');
    expect(canonicalBase32('m--zxw6-ytb-')).toBe('MZXW-6YTB');
  });

  test.each(['', 'A', '-', 'A-', 'A1', 'A=', 'A A', 'Aé', 'A\u{1f600}', 'A0'])('%j is refused', (text) => {
    expect(() => decodeBase32(text)).toThrow(EncodingError);
    expect(() => canonicalBase32(text)).toThrow(EncodingError);
  });

  test('whatever is written reads back, in any case and with any dashes', () => {
    fc.assert(
      fc.property(octets, (input) => {
        expect(decodeBase32(encodeBase32(input))).toEqual(input);
        expect(decodeBase32(presentBase32(input).toLowerCase())).toEqual(input);
        expect(canonicalBase32(encodeBase32(input).toLowerCase())).toBe(presentBase32(input));
      }),
    );
  });

  test('a lower precision is a prefix of a higher one', () => {
    fc.assert(
      fc.property(octets, fc.nat(), (input, seed) => {
        const bits = (seed % (input.length * 8)) + 1;
        const whole = encodeBase32(input);
        const cut = encodeBase32(input, bits - (bits % 5));
        expect(whole.startsWith(cut)).toBe(true);
        expect(encodeBase32(input, bits)).toHaveLength(Math.floor((bits + 4) / 5));
      }),
    );
  });
});
