import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBase64Url, encodeBase64Url } from './base64url.js';
import { EncodingError } from './errors.js';

describe('base64url [R101]', () => {
  test('written without padding', () => {
    expect(encodeBase64Url(Uint8Array.of(0xfb, 0xff))).toBe('-_8');
    expect(encodeBase64Url(new Uint8Array(0))).toBe('');
  });

  test.each(['-_8', '+/8', '-_8=', ' -\t_\r\n8 ', '-_8 = ', '-\n  _8='])('%j is read', (text) => {
    expect(decodeBase64Url(text)).toEqual(Uint8Array.of(0xfb, 0xff));
  });

  test('[S05] unused low bits of the last character are not judged', () => {
    expect(decodeBase64Url('QQ')).toEqual(decodeBase64Url('QR'));
  });

  test.each(['A', 'AAAAA', '!', 'QQ!', 'Q=Q', '=QQ', 'QQ===', 'QQé', 'QQ\u{1f600}', 'QQ\u0000', 'QQ\u00a0', 'Q.Q.'])(
    '%j is refused',
    (text) => {
      expect(() => decodeBase64Url(text)).toThrow(EncodingError);
    },
  );

  test('whatever is written reads back, folded anywhere', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(400),
        fc.constantFrom(' ', '\n  ', '\r\n', '\t'),
        (input, at, fold) => {
          const text = encodeBase64Url(input);
          expect(decodeBase64Url(text)).toEqual(input);
          expect(decodeBase64Url(text.slice(0, at) + fold + text.slice(at))).toEqual(input);
        },
      ),
    );
  });

  test('a text is accepted if and only if all its characters belong to it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 12 }), (text) => {
        const plain = text.replace(/[ \t\r\n]/g, '');
        const valid = /^[A-Za-z0-9_+/-]*={0,2}$/.test(plain) && plain.replace(/=+$/, '').length % 4 !== 1;
        if (valid) expect(() => decodeBase64Url(text)).not.toThrow();
        else expect(() => decodeBase64Url(text)).toThrow(EncodingError);
      }),
      { numRuns: 1000 },
    );
  });
});
