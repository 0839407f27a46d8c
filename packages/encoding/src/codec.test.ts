import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  binary,
  boolean,
  dateTime,
  decodeKind,
  decodeObject,
  decodeTagged,
  defineObject,
  defineTags,
  encodeKind,
  encodeObject,
  encodeTagged,
  type Form,
  integer,
  isA,
  type ObjectOf,
  object,
  sequence,
  string,
  type TaggedOf,
  tagged,
} from './codec.js';
import { EncodingError, type EncodingErrorCode } from './errors.js';
import { parseJson } from './json-reader.js';
import { writeJsonB } from './json-writer.js';

const Leaf = defineObject({ name: 'Leaf', fields: { Text: string } });
const Other = defineObject({ name: 'Other', fields: { Number: integer } });
const leaves = defineTags('leaf', { Leaf, Other }, { OldLeaf: 'Leaf' });
const Base = defineObject({ name: 'Base', fields: { Id: binary, Note: string } });
const Whole = defineObject({
  name: 'Whole',
  base: Base,
  fields: {
    Count: integer,
    Flag: boolean,
    When: dateTime,
    Child: object(() => Leaf),
    Children: sequence(object(() => Leaf)),
    Words: sequence(string),
    Any: tagged(leaves),
    Anys: sequence(tagged(() => leaves)),
  },
});
type Whole = ObjectOf<typeof Whole>;

const forms: readonly Form[] = ['json', 'json-b'];
const octetsOf = (text: string) => new TextEncoder().encode(text);
const textOf = (octets: Uint8Array) => Buffer.from(octets).toString();
const read = (text: string, refuseRepeated = false) =>
  decodeObject(Whole, octetsOf(text), { form: 'json', refuseRepeated });

function codeOf(action: () => unknown): EncodingErrorCode | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof EncodingError) return error.code;
    throw error;
  }
  return undefined;
}

const full: Whole = {
  Id: Uint8Array.of(1, 2, 3),
  Note: 'é"\n',
  Count: -5,
  Flag: false,
  When: new Date('2019-10-23T12:00:00Z'),
  Child: { Text: 'x' },
  Children: [{}, { Text: '' }],
  Words: ['a', ''],
  Any: { tag: 'Other', value: { Number: 1 } },
  Anys: [{ tag: 'Leaf', value: {} }],
};

describe('objects', () => {
  test('members of the base first, in the order of the table, nothing folded', () => {
    const members = { Words: ['b'], Note: 'n', Count: 1 };
    expect(textOf(encodeObject(Whole, members, 'json'))).toBe('{"Note":"n","Count":1,"Words":["b"]}');
    expect(textOf(encodeObject(Whole, { Child: {} }, 'json'))).toBe('{"Child":{}}');
    expect(Buffer.from(encodeObject(Whole, { Count: 1 }, 'json-b')).toString('hex')).toBe('7bb405436f756e74a0017d');
  });

  test('[R098] absent and empty sequences are not written', () => {
    expect(textOf(encodeObject(Whole, { Words: [], Note: undefined }, 'json'))).toBe('{}');
    expect(read('{"Words":[]}')).toEqual({ Words: [] });
    expect(read('{"Words":["a","b"]}')).toEqual({ Words: ['a', 'b'] });
  });

  test.each(forms)(
    'every kind of member reads back from %s [R095] [R096] [R097] [R099] [R100] [R101] [R102]',
    (form) => {
      expect(decodeObject(Whole, encodeObject(Whole, full, form), { form, refuseRepeated: true })).toEqual(full);
    },
  );

  test('the type follows from the table', () => {
    expectTypeOf<Whole['Count']>().toEqualTypeOf<number | undefined>();
    expectTypeOf<Whole['Id']>().toEqualTypeOf<Uint8Array | undefined>();
    expectTypeOf<Whole['Children']>().toEqualTypeOf<{ Text?: string | undefined }[] | undefined>();
    expectTypeOf<TaggedOf<typeof leaves>['tag']>().toEqualTypeOf<'Leaf' | 'Other'>();
  });

  test('[R097] null is absent, whatever the type', () => {
    const names = Whole.fields.map(({ name }) => `"${name}":null`).join();
    expect(read(`{${names}}`)).toEqual({});
    expect(decodeObject(Whole, writeJsonB({ Count: null, Note: 'a' }), { form: 'json-b' })).toEqual({ Note: 'a' });
  });

  test('[R197] unknown members are skipped, names are case-sensitive', () => {
    expect(read('{"count":1,"Unknown":{"a":[1,{"b":null}]},"__proto__":{"Flag":true},"Count":2}')).toEqual({
      Count: 2,
    });
    expect(Object.keys(read('{"constructor":1,"toString":2}'))).toEqual([]);
  });

  test('[S20] repeated members: the last counts, or refused where asked, unknown ones and nulls included', () => {
    expect(read('{"Count":1,"Count":2}')).toEqual({ Count: 2 });
    expect(read('{"Count":1,"Count":null}')).toEqual({});
    for (const text of [
      '{"Count":1,"Count":2}',
      '{"Count":null,"Count":2}',
      '{"x":1,"x":2}',
      '{"x":{"y":1,"y":1}}',
      '{"Child":{"Text":"","Text":""}}',
      '{"Any":{"Leaf":{"Text":"","Text":""}}}',
      '{"__proto__":1,"__proto__":2}',
    ]) {
      expect(codeOf(() => read(text, true))).toBe('repeated-member');
    }
  });

  test.each([
    '{"Count":"1"}',
    '{"Count":1.0}',
    '{"Count":1e1}',
    '{"Count":true}',
    '{"Note":1}',
    '{"Note":["a"]}',
    '{"Flag":"true"}',
    '{"Flag":0}',
    '{"Id":[1]}',
    '{"Child":[]}',
    '{"Child":"x"}',
    '{"Children":{"Text":"single in place of an array"}}',
    '{"Words":"a"}',
    '{"Words":[null]}',
    '{"When":"yesterday"}',
    '{"When":1571832000}',
    '[]',
    'null',
    '"x"',
  ])('%s has a wrong type', (text) => {
    expect(codeOf(() => read(text))).toBe('type');
  });

  test('[R095] integers beyond 53 bits are refused', () => {
    expect(read('{"Count":9007199254740991}')).toEqual({ Count: 9007199254740991 });
    expect(codeOf(() => read('{"Count":9007199254740992}'))).toBe('range');
    expect(codeOf(() => read('{"Count":-9007199254740992}'))).toBe('range');
    const beyond = Buffer.concat([
      Buffer.from('{"Count":'),
      Buffer.from('a37fffffffffffffff', 'hex'),
      Buffer.from('}'),
    ]);
    expect(codeOf(() => decodeObject(Whole, beyond, { form: 'json-b' }))).toBe('range');
  });

  test('items of JSON-B are refused in JSON', () => {
    expect(codeOf(() => decodeObject(Whole, encodeObject(Whole, full, 'json-b'), { form: 'json' }))).toBe('syntax');
  });

  test('a table knows its ancestors and refuses a member twice', () => {
    expect(isA(Whole, Base)).toBe(true);
    expect(isA(Base, Whole)).toBe(false);
    expect(() => defineObject({ name: 'Twice', base: Base, fields: { Id: string } })).toThrow(RangeError);
    expect(() => defineTags('bad', { Leaf }, { Leaf: 'Leaf' })).toThrow(RangeError);
  });
});

describe('[R100] objects of variable type', () => {
  const readAny = (text: string) => decodeTagged(leaves, octetsOf(text), { form: 'json' });

  test('one member that names the type, aliases resolved', () => {
    expect(readAny(' { "Leaf" : { "Text" : "a" } } ')).toEqual({ tag: 'Leaf', value: { Text: 'a' } });
    expect(readAny('{"OldLeaf":{}}')).toEqual({ tag: 'Leaf', value: {} });
    expect(textOf(encodeTagged(Leaf, { Text: 'a' }, 'json'))).toBe('{"Leaf":{"Text":"a"}}');
    expect(textOf(encodeTagged(Leaf, {}, 'json', 'Renamed'))).toBe('{"Renamed":{}}');
  });

  test.each([
    '{}',
    '{"Leaf":{},"Other":{}}',
    '{"Leaf":{},"Leaf":{}}',
    '{"Leaf":{},"x":1}',
    '{"leaf":{}}',
    '{"Unknown":{}}',
    '{"__proto__":{}}',
    '{"constructor":{}}',
    '{"Leaf":[]}',
    '{"Leaf":null}',
    '[{"Leaf":{}}]',
    'null',
  ])('%s is refused', (text) => {
    expect(codeOf(() => readAny(text))).toBe('type');
  });

  test('kinds stand alone too', () => {
    const kind = sequence(tagged(leaves));
    for (const form of forms) {
      const value: TaggedOf<typeof leaves>[] = [{ tag: 'Leaf', value: { Text: 'a' } }];
      expect(decodeKind(kind, encodeKind(kind, value, form), { form })).toEqual(value);
    }
    expect(kind.name).toBe('tagged leaf[]');
    expect(codeOf(() => decodeKind(string, octetsOf('"a" "b"'), { form: 'json' }))).toBe('trailing');
  });
});

describe('properties', () => {
  const leaf = fc.record({ Text: fc.string({ unit: 'grapheme' }) }, { requiredKeys: [] });
  const whole: fc.Arbitrary<Whole> = fc.record(
    {
      Id: fc.uint8Array({ maxLength: 300 }),
      Note: fc.string({ unit: 'grapheme' }),
      Count: fc.maxSafeInteger(),
      Flag: fc.boolean(),
      When: fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }).map((date) => {
        return new Date(Math.floor(date.getTime() / 1000) * 1000);
      }),
      Child: leaf,
      Children: fc.array(leaf, { minLength: 1 }),
      Words: fc.array(fc.string(), { minLength: 1 }),
      Any: leaf.map((value) => ({ tag: 'Leaf' as const, value })),
    },
    { requiredKeys: [] },
  );

  test('every object reads back from both encodings, and both say the same', () => {
    fc.assert(
      fc.property(whole, (value) => {
        for (const form of forms) {
          expect(decodeObject(Whole, encodeObject(Whole, value, form), { form, refuseRepeated: true })).toEqual(value);
        }
        const viaJson = parseJson(encodeObject(Whole, value, 'json'), { binary: true });
        expect(decodeObject(Whole, writeJsonB(viaJson), { form: 'json-b' })).toEqual(value);
      }),
    );
  });

  test('one changed octet gives an object or an EncodingError, nothing else', () => {
    for (const form of forms) {
      const valid = encodeObject(Whole, full, form);
      fc.assert(
        fc.property(fc.nat(valid.length - 1), fc.nat(255), (at, octet) => {
          const spoilt = Uint8Array.from(valid);
          spoilt[at] = octet;
          void codeOf(() => decodeObject(Whole, spoilt, { form }));
        }),
        { numRuns: 2000 },
      );
    }
  });
});
