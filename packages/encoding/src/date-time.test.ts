import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDateTime, parseDateTime } from './date-time.js';
import { EncodingError } from './errors.js';

describe('dates and times [R102]', () => {
  test.each([
    ['2019-10-23T12:34:56Z', '2019-10-23T12:34:56.000Z'],
    ['2019-10-23t12:34:56z', '2019-10-23T12:34:56.000Z'],
    ['2019-10-23T12:34:56.5Z', '2019-10-23T12:34:56.500Z'],
    ['2019-10-23T12:34:56.123456789Z', '2019-10-23T12:34:56.123Z'],
    ['2019-10-23T00:34:56+02:00', '2019-10-22T22:34:56.000Z'],
    ['2019-12-31T23:30:00-01:30', '2020-01-01T01:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
    ['2020-02-29T00:00:00-00:00', '2020-02-29T00:00:00.000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ])('%s is %s', (text, iso) => {
    expect(parseDateTime(text).toISOString()).toBe(iso);
  });

  test.each([
    '',
    '2019-10-23',
    '2019-10-23T12:34Z',
    '2019-10-23 12:34:56Z',
    '2019-10-23T12:34:56',
    '2019-02-29T00:00:00Z',
    '2019-13-01T00:00:00Z',
    '2019-00-01T00:00:00Z',
    '2019-04-31T00:00:00Z',
    '2019-10-23T24:00:00Z',
    '2019-10-23T12:60:00Z',
    '2019-10-23T12:00:61Z',
    '2019-10-23T12:00:00+24:00',
    '2019-10-23T12:00:00.Z',
    ' 2019-10-23T12:34:56Z',
    '+002019-10-23T12:34:56Z',
  ])('%j is refused', (text) => {
    expect(() => parseDateTime(text)).toThrow(EncodingError);
  });

  test('written in UTC and whole seconds', () => {
    expect(formatDateTime(new Date('2019-10-23T12:34:56.999Z'))).toBe('2019-10-23T12:34:56Z');
    expect(() => formatDateTime(new Date(Number.NaN))).toThrow(EncodingError);
    expect(() => formatDateTime(new Date('+010000-01-01T00:00:00Z'))).toThrow(EncodingError);
  });

  test('whatever is written reads back to the second', () => {
    const range = { min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true };
    fc.assert(
      fc.property(fc.date(range), (date) => {
        expect(parseDateTime(formatDateTime(date)).getTime()).toBe(Math.floor(date.getTime() / 1000) * 1000);
      }),
    );
  });
});
