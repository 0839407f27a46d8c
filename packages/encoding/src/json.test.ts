import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EncodingError, type EncodingErrorCode } from './errors.js';
import { parseJson } from './json-reader.js';
import type { JsonValue } from './json-value.js';
import { writeJson } from './json-writer.js';
import { type ReaderOptions, TokenReader } from './token-reader.js';

const octetsOf = (text: string) => new TextEncoder().encode(text);
const parse = (text: string, options?: ReaderOptions) => parseJson(octetsOf(text), options);
const write = (value: JsonValue) => Buffer.from(writeJson(value)).toString();

function codeOf(action: () => unknown): EncodingErrorCode | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof EncodingError) return error.code;
    throw error;
  }
  return undefined;
}

describe('values', () => {
  test('[R095] integers are exact over 64 bits', () => {
    expect(parse('9007199254740991')).toBe(9007199254740991);
    expect(parse('9007199254740993')).toBe(9007199254740993n);
    expect(parse('9223372036854775807')).toBe(2n ** 63n - 1n);
    expect(parse('-9223372036854775808')).toBe(-(2n ** 63n));
    expect(parse('-0')).toBe(0);
    expect(Object.is(parse('-0'), 0)).toBe(true);
    for (const text of ['9223372036854775808', '-9223372036854775809', '1'.repeat(40), '1e400', '-1e999']) {
      expect(codeOf(() => parse(text))).toBe('range');
    }
  });

  test('other numbers are read as such', () => {
    expect(parse('[1.5,1e3,-2.5E-1,0.0]')).toEqual([1.5, 1000, -0.25, 0]);
  });

  test.each(['01', '-', '-01', '1.', '.5', '1e', '1e+', '+1', '0x10', 'NaN', 'Infinity'])('%j is no number', (text) => {
    expect(codeOf(() => parse(text))).toMatch(/syntax|trailing/);
  });

  test('[R096] strings with all escapes', () => {
    expect(parse(String.raw`"\"\\\/\b\f\n\r\té€😀 😀"`)).toBe('"\\/\b\f\n\r\té€😀 😀');
    expect(write('"\\/\b\f\n\r\té€😀\u0001')).toBe(String.raw`"\"\\/\b\f\n\r\u0009é€😀\u0001"`);
  });

  test('[R302] raw CR, LF and TAB stand in strings as they are', () => {
    expect(parse('"a\r\n\tb"')).toBe('a\r\n\tb');
    expect(parse('"a\n\\\\\nb\\u0041"')).toBe('a\n\\\nbA');
  });

  test.each([
    ['"\u0000"', 'raw NUL'],
    ['"\u0001"', 'raw control'],
    ['"\u001f"', 'raw control'],
    ['"\\x41"', 'unknown escape'],
    ['"\\u12"', 'short escape'],
    ['"\\u123g"', 'no hexadecimal'],
    ['"\\\n"', 'escaped raw line feed'],
    ['"\\ud800"', 'lone high surrogate'],
    ['"\\udc00x"', 'lone low surrogate'],
    ['"abc', 'open'],
    ['"abc\\"', 'open after escape'],
    ["'abc'", 'single quotes'],
  ])('the string %j is refused: %s', (text) => {
    expect(codeOf(() => parse(text))).toBe('syntax');
    expect(codeOf(() => new TokenReader(octetsOf(text)).skip())).toBe('syntax');
  });

  test.each([
    ['22ff22', 'no UTF-8'],
    ['22c3', 'cut'],
    ['22c32822', 'broken sequence'],
    ['22eda08022', 'encoded surrogate'],
    ['22f490808022', 'beyond Unicode'],
    ['22c08022', 'overlong'],
  ])('octets %s in a string are refused: %s', (hex) => {
    expect(codeOf(() => parseJson(Buffer.from(hex, 'hex')))).toBe('syntax');
    expect(codeOf(() => new TokenReader(Buffer.from(hex, 'hex')).skip())).toBe('syntax');
  });

  test('[R097] true, false, null; nothing like them', () => {
    expect(parse('[true,false,null]')).toEqual([true, false, null]);
    for (const text of ['True', 'tru', 'nul', 'nulll', 'truefalse', 'undefined']) {
      expect(codeOf(() => parse(text))).toMatch(/syntax|trailing/);
    }
  });

  test('objects have no prototype, so that no name means more than it says [S20]', () => {
    const value = parse('{"__proto__":{"admin":true},"constructor":1}') as Record<string, JsonValue>;
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  test('members repeated: the last one counts, or refused where asked [S20]', () => {
    expect({ ...(parse('{"a":1,"b":2,"a":3}') as object) }).toEqual({ a: 3, b: 2 });
    const refuse = { refuseRepeated: true };
    expect(codeOf(() => parse('{"a":1,"a":1}', refuse))).toBe('repeated-member');
    expect(codeOf(() => parse('{"a":1,"\\u0061":1}', refuse))).toBe('repeated-member');
    expect(codeOf(() => parse('[{"x":{"__proto__":1,"__proto__":1}}]', refuse))).toBe('repeated-member');
    expect(codeOf(() => new TokenReader(octetsOf('{"x":[{"a":1,"a":null}]}'), refuse).skip())).toBe('repeated-member');
    expect(codeOf(() => parse('[{"a":1},{"a":1}]', refuse))).toBeUndefined();
  });
});

describe('structure', () => {
  test.each([
    '',
    ' ',
    '{',
    '[',
    '}',
    ']',
    '[1',
    '[1,',
    '[1,]',
    '[,1]',
    '[1 2]',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,}',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{a:1}',
    '{1:1}',
    '[}',
    '{]',
    '[1}',
    '{"a":1]',
    '//x\n1',
    '\u00001',
    '\f1',
    '\u00a01',
  ])('%j is refused, read or skipped', (text) => {
    expect(codeOf(() => parse(text))).toMatch(/syntax|type/);
    expect(codeOf(() => new TokenReader(octetsOf(text)).skip())).toMatch(/syntax|type/);
  });

  test('any octet beyond ASCII outside a string is refused', () => {
    for (let octet = 0x80; octet <= 0xff; octet++) {
      for (const input of [Buffer.of(octet), Buffer.of(0x5b, octet, 0x5d), Buffer.of(0x7b, octet, 0x7d)]) {
        expect(codeOf(() => parseJson(input))).toBe('syntax');
      }
    }
  });

  test('nothing but white space follows the value', () => {
    expect(parse(' \t\r\n{} \t\r\n')).toBeDefined();
    for (const text of ['{} {}', '1,', '[]]', '"a"b', '1 2', '{}\u0000']) {
      expect(codeOf(() => parse(text))).toMatch(/trailing/);
    }
  });

  test('a byte order mark is skipped at the start, nowhere else', () => {
    expect(parse('\ufeff1')).toBe(1);
    expect(codeOf(() => parse('\ufeff\ufeff1'))).toBe('syntax');
    expect(codeOf(() => parse('[\ufeff1]'))).toBe('syntax');
  });

  test('64 levels and no more, whatever the rest looks like', () => {
    expect(codeOf(() => parse('['.repeat(64) + ']'.repeat(64)))).toBeUndefined();
    expect(codeOf(() => parse('['.repeat(65) + ']'.repeat(65)))).toBe('depth');
    expect(codeOf(() => parse('['.repeat(10_000_000)))).toBe('depth');
    expect(codeOf(() => parse('{"a":'.repeat(1_000_000)))).toBe('depth');
    expect(codeOf(() => new TokenReader(octetsOf('['.repeat(1_000_000))).skip())).toBe('depth');
    expect(codeOf(() => parse('[[1]]', { depthMax: 1 }))).toBe('depth');
  });

  test('the number of members and elements is bounded, all levels together', () => {
    expect(codeOf(() => parse(`[${'[],'.repeat(300_000)}1]`))).toBe('limit');
    expect(codeOf(() => parse('[[1,2],[3]]', { itemsMax: 4 }))).toBe('limit');
    expect(codeOf(() => parse('[[1,2],[3]]', { itemsMax: 5 }))).toBeUndefined();
  });

  test('readRaw gives the octets of a value, without the white space around it', () => {
    const input = octetsOf('[ {"a" : [1, "]}"]} , 2]');
    const reader = new TokenReader(input);
    reader.enterArray();
    reader.nextElement();
    const raw = reader.readRaw();
    expect(Buffer.from(raw).toString()).toBe('{"a" : [1, "]}"]}');
    expect(raw.buffer).toBe(input.buffer);
    expect(reader.nextElement()).toBe(true);
    expect(reader.integer()).toBe(2);
    expect(reader.nextElement()).toBe(false);
    reader.end();
  });
});

describe('octets in JSON text', () => {
  const read = (text: string) => new TokenReader(octetsOf(text)).binary();

  test('[R101] [R302] plain, padded, folded as the reference does, escaped', () => {
    const expected = Uint8Array.of(1, 2, 3, 4);
    for (const text of ['"AQIDBA"', '"AQIDBA=="', '"AQ\n  IDBA"', '"AQ\\nID\\u0042A"', ' "A Q I D B A"']) {
      expect(read(text)).toEqual(expected);
    }
  });

  test.each(['"AQI!"', '"AQIDB"', '"AQ\u0001"', '"AQ\u0000ID"', '"AQIé"', '"AQ"x', '"AQ', '1', '["AQ"]'])(
    '%j is refused',
    (text) => {
      expect(
        codeOf(() => {
          const reader = new TokenReader(octetsOf(text));
          reader.binary();
          reader.end();
        }),
      ).toMatch(/alphabet|syntax|type|trailing/);
    },
  );

  test('one odd octet anywhere in a long value is found', () => {
    const text = Buffer.from(`"${Buffer.alloc(3000, 7).toString('base64url')}"`);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: text.length - 2 }),
        fc.constantFrom(0, 1, 0x21, 0x7f, 0x80, 0xff),
        (at, odd) => {
          const spoilt = Buffer.from(text);
          spoilt[at] = odd;
          expect(codeOf(() => new TokenReader(spoilt).binary())).toMatch(/alphabet|syntax/);
        },
      ),
    );
  });
});

describe('the cost of odd strings', () => {
  // each of them once took a hundred times as long as its neighbours
  test.each([String.raw`\\`, '\\\\\n', '\n', ' A', String.raw`\n`, String.raw`\u0041`, 'é', 'A='])(
    'a mebibyte of %j is read or refused at once',
    (unit) => {
      const octets = octetsOf(`"${unit.repeat(2 ** 20 / unit.length)}"`);
      const started = performance.now();
      void codeOf(() => new TokenReader(octets).string());
      void codeOf(() => new TokenReader(octets).binary());
      void codeOf(() => new TokenReader(octets).skip());
      expect(performance.now() - started).toBeLessThan(1000);
    },
  );
});

describe('properties', () => {
  const leaf = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((integer) => {
      return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
    }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0 || 0),
    fc.string({ unit: 'grapheme' }),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 5 }), tie('value'), {
        maxKeys: 4,
        noNullPrototype: false,
      }),
    ),
  })) as { value: fc.Arbitrary<JsonValue> };

  const plain = (input: JsonValue): unknown =>
    JSON.parse(JSON.stringify(input, (_, each) => (typeof each === 'bigint' ? `${each}n` : each)));

  test('whatever is written reads back', () => {
    fc.assert(fc.property(value, (input) => void expect(plain(parseJson(writeJson(input)))).toEqual(plain(input))));
  });

  test('what JSON.parse accepts we accept, with the same meaning', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 1), (text, indent) => {
        const strict = JSON.parse(text) as unknown;
        // integers written out beyond 64 bits are the one thing that we refuse
        fc.pre(codeOf(() => parse(text)) !== 'range');
        const ours = parse(JSON.stringify(strict, undefined, indent));
        expect(JSON.stringify(ours, (_, each) => (typeof each === 'bigint' ? Number(each) : each))).toBe(
          JSON.stringify(strict),
        );
      }),
    );
  });

  test('no octets whatever do more than raise an EncodingError, read or skipped alike', () => {
    const tokens = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      'a',
      '\\',
      '1',
      '-',
      'true',
      'null',
      ' ',
      'é',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(tokens, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        const read = codeOf(() => parse(text));
        const skipped = codeOf(() => {
          const reader = new TokenReader(octetsOf(text));
          reader.skip();
          reader.end();
        });
        expect(skipped).toBe(read);
      }),
      { numRuns: 3000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => void codeOf(() => parseJson(octets, { binary: true }))),
    );
  });
});
