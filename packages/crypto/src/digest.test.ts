import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  concat,
  constantTimeEqual,
  hmacSha512,
  label,
  lv,
  MacKey,
  sha3_512,
  sha256,
  sha512,
  shake256,
  u32,
  u64,
} from './digest.js';
import { CryptoError } from './errors.js';
import { hkdfExpand, hkdfExtract } from './hkdf.js';
import { unwrapKey, wrapKey } from './key-wrap.js';

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');
const ascii = (text: string): Uint8Array => Buffer.from(text, 'ascii');

describe('digests', () => {
  test('published values of "abc"', () => {
    expect(hex(sha512(ascii('abc')))).toMatch(/^ddaf35a193617abacc417349ae204131/);
    expect(hex(sha256(ascii('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(hex(sha3_512(ascii('abc')))).toMatch(/^b751850b1a57168a5693cd924b6b096e/);
    expect(hex(shake256(new Uint8Array(0), 32))).toBe(
      '46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f',
    );
  });

  test('parts are digested one after another', () => {
    expect(hex(sha512(ascii('a'), ascii('bc')))).toBe(hex(sha512(ascii('abc'))));
    expect(hex(sha256())).toBe(hex(sha256(new Uint8Array(0))));
    expect(hex(hmacSha512(ascii('k'), ascii('a'), ascii('bc')))).toBe(hex(hmacSha512(ascii('k'), ascii('abc'))));
  });

  test('stay what they are, whatever is digested afterwards, and whoever changes another', () => {
    const text = (at: number) => ascii(`text ${at}`);
    const expected = (at: number) => createHash('sha512').update(text(at)).digest('hex');
    const digests = Array.from({ length: 100 }, (_, at) => (at % 3 === 2 ? sha256(text(at)) : sha512(text(at))));
    digests[40]?.fill(0);
    for (const [at, digest] of digests.entries()) {
      if (at !== 40 && at % 3 !== 2) expect(hex(digest)).toBe(expected(at));
    }
    expect(new Set(digests.map(hex)).size).toBe(100);
    // What keeps a digest keeps little more.
    for (const { buffer } of digests) expect(buffer.byteLength).toBeLessThanOrEqual(1024);
  });

  test('[S32] a key made ready gives the MACs of its octets', () => {
    // RFC 4231 4.7 and 4.2: keys longer and shorter than a block
    const long = new MacKey(Buffer.alloc(131, 0xaa));
    const short = new MacKey(Buffer.alloc(20, 0x0b));
    const first = Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First', 'ascii');
    expect(hex(hmacSha512(long, first))).toMatch(/^80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352/);
    expect(hex(hmacSha512(short, ascii('Hi There')))).toMatch(
      /^87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b305/,
    );
    const octets = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(octets, fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 3 }), (key, parts) => {
        const ready = new MacKey(key);
        for (const turn of [1, 2]) {
          expect([turn, hex(hmacSha512(ready, ...parts))]).toEqual([turn, hex(hmacSha512(key, ...parts))]);
        }
      }),
    );
  });

  test('comparison looks at length and content', () => {
    expect(constantTimeEqual(ascii('abc'), ascii('abc'))).toBe(true);
    expect(constantTimeEqual(ascii('abc'), ascii('abd'))).toBe(false);
    expect(constantTimeEqual(ascii('abc'), ascii('abcd'))).toBe(false);
    expect(constantTimeEqual(new Uint8Array(0), new Uint8Array(0))).toBe(true);
  });
});

describe('[S02] inputs are unambiguous', () => {
  test('lengths stand before content, so that no boundary can move', () => {
    expect(hex(lv('ab'))).toBe('000000026162');
    expect(hex(concat(lv('a'), lv('bc')))).not.toBe(hex(concat(lv('ab'), lv('c'))));
    expect(hex(lv(''))).toBe('00000000');
    expect(hex(lv('é'))).toBe('00000002c3a9');
  });

  test('numbers are big-endian and in range', () => {
    expect(hex(u32(0x01020304))).toBe('01020304');
    expect(hex(u64(1n << 63n))).toBe('8000000000000000');
    expect(hex(u64(5))).toBe('0000000000000005');
    expect(() => u32(2 ** 32)).toThrow(RangeError);
    expect(() => u64(-1)).toThrow(RangeError);
    expect(() => u64(1.5)).toThrow(RangeError);
  });

  test('a label ends in a zero octet and holds none', () => {
    expect(hex(label('mesh-request-1'))).toBe('6d6573682d726571756573742d3100');
    expect(() => label('a\0b')).toThrow(RangeError);
    expect(() => label('')).toThrow(RangeError);
    expect(() => label('é')).toThrow(RangeError);
  });
});

describe('HKDF', () => {
  test('RFC 5869 test case 1 (SHA-256)', () => {
    const prk = hkdfExtract('sha256', Buffer.from('000102030405060708090a0b0c', 'hex'), Buffer.alloc(22, 0x0b));
    expect(hex(prk)).toBe('077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5');
    expect(hex(hkdfExpand('sha256', prk, Buffer.from('f0f1f2f3f4f5f6f7f8f9', 'hex'), 42))).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
  });

  test('an empty salt is the salt of zeros', () => {
    const ikm = ascii('secret');
    expect(hex(hkdfExtract('sha512', new Uint8Array(0), ikm))).toBe(
      hex(hkdfExtract('sha512', new Uint8Array(64), ikm)),
    );
  });

  test('more than 255 digests are refused', () => {
    expect(hkdfExpand('sha256', ascii('prk'), '', 255 * 32)).toHaveLength(8160);
    expect(() => hkdfExpand('sha256', ascii('prk'), '', 255 * 32 + 1)).toThrow(CryptoError);
  });
});

describe('key wrap', () => {
  const kek = Buffer.from('000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F', 'hex');
  const key = Buffer.from('00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F', 'hex');
  const wrapped = '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21';

  test('RFC 3394 4.6', () => {
    expect(hex(wrapKey(kek, key))).toBe(wrapped);
    expect(hex(unwrapKey(kek, Buffer.from(wrapped, 'hex')))).toBe(hex(key));
  });

  test('changed octets, another key and odd lengths are refused', () => {
    const octets = Buffer.from(wrapped, 'hex');
    octets[3] = 0;
    expect(() => unwrapKey(kek, octets)).toThrow(CryptoError);
    expect(() => unwrapKey(Buffer.alloc(32), Buffer.from(wrapped, 'hex'))).toThrow(CryptoError);
    expect(() => unwrapKey(kek, octets.subarray(0, 39))).toThrow(CryptoError);
    expect(() => unwrapKey(kek, octets.subarray(0, 16))).toThrow(CryptoError);
    expect(() => unwrapKey(kek.subarray(0, 16), octets)).toThrow(CryptoError);
    expect(() => wrapKey(kek, key.subarray(0, 15))).toThrow(CryptoError);
  });
});
