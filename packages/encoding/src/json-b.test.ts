import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EncodingError, type EncodingErrorCode } from './errors.js';
import { parseJson } from './json-reader.js';
import type { JsonValue } from './json-value.js';
import { writeJson, writeJsonB } from './json-writer.js';
import { TokenReader } from './token-reader.js';
import { TokenWriter } from './token-writer.js';
import { transcode } from './transcode.js';

interface Vector {
  readonly name: string;
  readonly input: { readonly hex: string };
  readonly expected: { readonly value: unknown; readonly canonical?: boolean };
}

const file = new URL('../../../test/vectors/jsonb.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] };

const hexOf = (octets: Uint8Array) => Buffer.from(octets).toString('hex');
const parseHex = (hex: string) => parseJson(Buffer.from(hex, 'hex'), { binary: true });

/** Values as the vectors print them. */
function printed(value: JsonValue): unknown {
  if (value instanceof Uint8Array) return { $binary: Buffer.from(value).toString('base64url') };
  if (Array.isArray(value)) return value.map(printed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, printed(member)]));
}

function codeOf(action: () => unknown): EncodingErrorCode | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof EncodingError) return error.code;
    throw error;
  }
  return undefined;
}

describe('vectors of JSON-B [R091]', () => {
  test.each(vectors)('$name', ({ input, expected }) => {
    const value = parseHex(input.hex);
    expect(printed(value)).toEqual(expected.value);
    if (expected.canonical) expect(hexOf(writeJsonB(value))).toBe(input.hex);
  });
});

describe('decoding JSON-B', () => {
  test.each([
    ['a000', 0],
    ['a800', 0],
    ['a20000002a', 42],
    ['a3001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['a30020000000000000', 2n ** 53n],
    ['a37fffffffffffffff', 2n ** 63n - 1n],
    ['ab8000000000000000', -(2n ** 63n)],
    ['a90100', -256],
    ['903c00', 1],
    ['90c000', -2],
    ['900001', 2 ** -24],
    ['907bff', 65504],
    ['913f800000', 1],
    ['923ff8000000000000', 1.5],
    ['b1', false],
  ])('%s is %s', (hex, value) => {
    expect(parseHex(hex)).toBe(value);
  });

  test('chunks are joined, empty and many ones too, characters cut by them included', () => {
    expect(parseHex('8401c38001a9')).toBe('é');
    expect(parseHex('84008500016186000000016287000000000000000163800164')).toBe('abcd');
    expect(parseHex('84008000')).toBe('');
    expect(parseHex('8c01018d000102880103')).toEqual(Uint8Array.of(1, 2, 3));
    expect(parseHex('8c01018800')).toEqual(Uint8Array.of(1));
    const many = Buffer.concat([Buffer.from('8c0107'.repeat(100_000), 'hex'), Buffer.from('8800', 'hex')]);
    expect(parseJson(many, { binary: true })).toEqual(new Uint8Array(100_000).fill(7));
  });

  test('an item in one chunk shares the memory of the input', () => {
    const input = new Uint8Array(Buffer.from('88020102', 'hex'));
    expect((parseJson(input, { binary: true }) as Uint8Array).buffer).toBe(input.buffer);
  });

  test('names in all three forms, separators or none', () => {
    const expected = { a: 1, b: 2 };
    expect(printed(parseHex('7bb40161a001b40162a0027d'))).toEqual(expected);
    for (const text of ['{"a":1,"b":2}', '{"a"1"b"2}', '{"a" 1 "b" : 2}']) {
      expect(printed(parseJson(Buffer.from(text), { binary: true }))).toEqual(expected);
    }
    expect(printed(parseHex('7bb401613aa0012c8001623aa0027d'))).toEqual(expected);
  });

  test('octets are expected: items, strings of either kind', () => {
    const read = (hex: string) => new TokenReader(Buffer.from(hex, 'hex'), { binary: true }).binary();
    expect(read('880401020304')).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(read('2241514944424122')).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(read('8006415149444241')).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(codeOf(() => read('b0'))).toBe('type');
  });

  test.each([
    ['8005616263', 'longer than the input', 'limit'],
    ['8bffffffffffffffff', 'length of 2^64 - 1', 'limit'],
    ['8a7fffffff', 'length of 2^31 - 1', 'limit'],
    ['8c7f', 'chunk longer than the input', 'limit'],
    ['8c0101', 'last chunk missing', 'syntax'],
    ['8c01018000', 'binary continued by a string', 'syntax'],
    ['8401618800', 'string continued by binary', 'syntax'],
    ['840161208000', 'white space between chunks', 'syntax'],
    ['8b00', 'length cut off', 'syntax'],
    ['80', 'length missing', 'syntax'],
    ['8001ff', 'no UTF-8', 'syntax'],
    ['a1', 'integer cut off', 'syntax'],
    ['a38000000000000000', 'beyond 64 bits', 'range'],
    ['ab8000000000000001', 'beyond 64 bits', 'range'],
    ['927ff0000000000000', 'infinity', 'range'],
    ['907e00', 'no number', 'range'],
    ['92', 'float cut off', 'syntax'],
    ['b4', 'name in place of a value', 'syntax'],
    ['5bb40161b05d', 'name in an array', 'syntax'],
    ['7ba001a0017d', 'integer in place of a name', 'syntax'],
    ['7bb401617d', 'value missing', 'syntax'],
    ['5ba001', 'open', 'syntax'],
    ['a001a001', 'two values', 'trailing'],
  ])('%s is refused: %s', (hex, _why, code) => {
    expect(codeOf(() => parseHex(hex))).toBe(code);
    const skipping = codeOf(() => {
      const reader = new TokenReader(Buffer.from(hex, 'hex'), { binary: true });
      reader.skip();
      reader.end();
    });
    expect(skipping).toBe(code);
  });

  test('codes of JSON-C, JSON-D, of 128 bits and of container frames are refused', () => {
    const named = new Set(
      [0x80, 0x84, 0x88, 0x8c, 0xa0, 0xa8, 0xb4].flatMap((code) => [0, 1, 2, 3].map((n) => code + n)),
    );
    for (const code of [0x90, 0x91, 0x92, 0xb0, 0xb1, 0xb2]) named.add(code);
    for (let code = 0x80; code <= 0xff; code++) {
      if (named.has(code)) continue;
      expect(codeOf(() => parseJson(Buffer.concat([Buffer.of(code), Buffer.alloc(40)]), { binary: true }))).toBe(
        'syntax',
      );
    }
  });

  test('integers are expected: floats and fractions are refused', () => {
    const read = (hex: string) => new TokenReader(Buffer.from(hex, 'hex'), { binary: true }).int64();
    expect(read('a02a')).toBe(42);
    expect(codeOf(() => read('923ff0000000000000'))).toBe('type');
    expect(codeOf(() => read(Buffer.from('1.0').toString('hex')))).toBe('type');
    expect(codeOf(() => read(Buffer.from('1e2').toString('hex')))).toBe('type');
  });

  test('depth is bounded', () => {
    expect(codeOf(() => parseHex('5b'.repeat(1_000_000)))).toBe('depth');
    expect(codeOf(() => parseHex('7bb40161'.repeat(100_000)))).toBe('depth');
  });
});

describe('encoding JSON-B', () => {
  test.each([
    [255, 'a0ff'],
    [256, 'a10100'],
    [65535, 'a1ffff'],
    [65536, 'a200010000'],
    [2 ** 32, 'a30000000100000000'],
    [-1, 'a801'],
    [-256, 'a90100'],
    [-(2n ** 63n), 'ab8000000000000000'],
    [0.5, '923fe0000000000000'],
    [2 ** 70, '924450000000000000'],
    ['é', '8002c3a9'],
    [[], '5b5d'],
  ])('%s is %s, the shortest form', (value, hex) => {
    expect(hexOf(writeJsonB(value as JsonValue))).toBe(hex);
  });

  test('lengths at their borders', () => {
    for (const [bytes, header] of [
      [0, '8800'],
      [255, '88ff'],
      [256, '890100'],
      [65535, '89ffff'],
      [65536, '8a00010000'],
    ] as const) {
      expect(hexOf(writeJsonB(new Uint8Array(bytes))).slice(0, header.length)).toBe(header);
    }
  });

  test('what has no form is refused', () => {
    for (const write of [writeJson, writeJsonB]) {
      expect(codeOf(() => write(Number.NaN))).toBe('range');
      expect(codeOf(() => write(Number.POSITIVE_INFINITY))).toBe('range');
      expect(codeOf(() => write(2n ** 63n))).toBe('range');
      expect(codeOf(() => write('\ud800'))).toBe('alphabet');
    }
    expect(codeOf(() => new TokenWriter('json').integer(1.5))).toBe('range');
  });
});

describe('properties of JSON-B', () => {
  const leaf = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0 || 0),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 400 }),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string({ maxLength: 5 }), tie('value'), { maxKeys: 4, noNullPrototype: false }),
    ),
  })) as { value: fc.Arbitrary<JsonValue> };

  test('whatever is written reads back, and is written the same again', () => {
    fc.assert(
      fc.property(value, (input) => {
        const octets = writeJsonB(input);
        const back = parseJson(octets, { binary: true });
        expect(printed(back)).toEqual(printed(input));
        expect(writeJsonB(back)).toEqual(octets);
      }),
    );
  });

  test('from JSON-B to JSON is what writing JSON gives; JSON text stands in JSON-B as it is', () => {
    fc.assert(
      fc.property(value, (input) => {
        const json = writeJson(input);
        expect(transcode(writeJsonB(input), 'json-b', 'json')).toEqual(json);
        expect(transcode(json, 'json', 'json')).toEqual(json);
        expect(printed(parseJson(json, { binary: true }))).toEqual(printed(parseJson(json)));
      }),
    );
  });

  test('a text keeps what it is while others are written, and holds no more memory than it needs', () => {
    const texts = Array.from({ length: 12 }, (_, at) => {
      const writers = Array.from({ length: 6 }, () => new TokenWriter('json-b'));
      writers[at % 6]?.binary(new Uint8Array(at % 2 === 0 ? 900_000 : 40_000));
      for (const [nth, writer] of writers.entries()) writer.string(`${at}/${nth}`);
      // The last first, as texts within texts end.
      return writers.reverse().map((writer) => writer.finish());
    });
    for (const [at, own] of texts.entries()) {
      for (const [nth, octets] of own.reverse().entries()) {
        expect(Buffer.from(octets).toString('latin1')).toMatch(new RegExp(`${at}/${nth}$`));
        expect(octets.buffer.byteLength).toBeLessThanOrEqual(Math.max(2 * octets.length, Buffer.poolSize));
      }
    }
  });

  test('no octets do more than raise an EncodingError, and skipping agrees with reading', () => {
    const codes = fc.constantFrom(
      0x80,
      0x84,
      0x88,
      0x8c,
      0xa0,
      0xa8,
      0xb0,
      0xb2,
      0xb4,
      0x92,
      0x5b,
      0x5d,
      0x7b,
      0x7d,
      0,
      1,
      2,
      0x41,
    );
    fc.assert(
      fc.property(fc.array(codes, { maxLength: 14 }), (input) => {
        const octets = Uint8Array.from(input);
        const read = codeOf(() => parseJson(octets, { binary: true }));
        const skipped = codeOf(() => {
          const reader = new TokenReader(octets, { binary: true });
          reader.skip();
          reader.end();
        });
        // a float that JSON has no form for is found by skipping as well
        expect(skipped === undefined).toBe(read === undefined);
      }),
      { numRuns: 5000 },
    );
  });
});
