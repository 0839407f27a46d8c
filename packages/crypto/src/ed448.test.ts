import { generateKeyPairSync, sign as nativeSign } from 'node:crypto';
import { ED448_TORSION_SUBGROUP, ed448 } from '@noble/curves/ed448.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combinedSigningKey, combinePublicKeys, combineSeeds } from './combined-key.js';
import {
  agree,
  generateSeed,
  importPublicKey,
  isSignatureForm,
  PublicKeyEd448,
  signingKeyFromSeed,
  signingKeyOfScalar,
  verify,
  verifyAsync,
} from './ed448.js';
import { checkedPoint, decodedPoint, ed448Order, expandSeed, jacobiSymbol, octetsOfInteger } from './ed448-point.js';
import { CryptoError } from './errors.js';
import { Lru } from './lru.js';
import { checkRawKey, generateSeedOf, publicOfSeed } from './raw-key.js';
import { generateX448, x448FromSeed } from './x448.js';

const { Point } = ed448;
const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');
const seeds = fc.uint8Array({ minLength: 57, maxLength: 57 });
const messages = fc.uint8Array({ maxLength: 300 });
const torsion = ED448_TORSION_SUBGROUP.map((text) => Point.fromHex(text));

describe('noble as oracle', () => {
  test('public keys and signatures are the same, and each verifies the other', () => {
    fc.assert(
      fc.property(seeds, messages, (seed, message) => {
        const key = signingKeyFromSeed(seed);
        const signature = key.sign(message);
        expect(hex(key.publicKey.raw)).toBe(hex(ed448.getPublicKey(seed)));
        expect(hex(signature)).toBe(hex(ed448.sign(message, seed)));
        expect(verify(key.publicKey, message, signature)).toBe(true);
        expect(ed448.verify(signature, message, key.publicKey.raw)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  test('changed messages and signatures fail with both', async () => {
    const key = signingKeyFromSeed(Buffer.alloc(57, 5));
    const message = Buffer.alloc(64, 6);
    const signature = key.sign(message);
    await fc.assert(
      fc.asyncProperty(fc.nat(113), fc.integer({ min: 1, max: 255 }), async (index, change) => {
        const other = Buffer.from(signature);
        other[index] = (other[index] as number) ^ change;
        let oracle: boolean;
        try {
          oracle = ed448.verify(other, message, key.publicKey.raw);
        } catch {
          oracle = false;
        }
        expect(verify(key.publicKey, message, other)).toBe(oracle);
        expect(await verifyAsync(key.publicKey, message, other)).toBe(oracle);
        expect(oracle).toBe(false);
      }),
      { numRuns: 25 },
    );
    expect(verify(key.publicKey, Buffer.alloc(64, 7), signature)).toBe(false);
  });

  test('signing in the pool gives the same octets', async () => {
    const key = signingKeyFromSeed(Buffer.alloc(57, 8));
    const message = Buffer.from('message');
    expect(hex(await key.signAsync(message))).toBe(hex(key.sign(message)));
    const short = signingKeyFromSeed(Buffer.alloc(56, 8));
    expect(hex(await short.signAsync(message))).toBe(hex(short.sign(message)));
  });

  test('the order test agrees with [L]P on every coset of the small subgroup', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: ed448Order - 1n }), fc.constantFrom(...torsion), (scalar, small) => {
        const point = Point.BASE.multiply(scalar).add(small);
        const raw = point.toBytes();
        if (point.isTorsionFree()) expect(hex(checkedPoint(raw).toBytes())).toBe(hex(raw));
        else expect(() => checkedPoint(raw)).toThrow(/prime order/);
      }),
      { numRuns: 60 },
    );
  });

  test('decoding agrees on random octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 57, maxLength: 57 }), fc.boolean(), (octets, sign) => {
        octets[56] = sign ? 0x80 : 0;
        let oracle: string | undefined;
        try {
          oracle = hex(Point.fromBytes(octets).toBytes());
        } catch {}
        let ours: string | undefined;
        try {
          ours = hex(decodedPoint(octets).toBytes());
        } catch {}
        expect(ours).toBe(oracle);
      }),
      { numRuns: 60 },
    );
  });

  test('the Jacobi symbol is that of Euler', () => {
    const { Fp } = Point;
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: Fp.ORDER - 1n }), fc.nat(80), (x, shift) => {
        const value = (x << BigInt(shift)) % Fp.ORDER;
        const euler = Fp.pow(value, (Fp.ORDER - 1n) / 2n) === 1n ? 1 : -1;
        expect(jacobiSymbol(value, Fp.ORDER)).toBe(euler);
      }),
      { numRuns: 60 },
    );
    expect(jacobiSymbol(0n, 15n)).toBe(0);
    expect(jacobiSymbol(5n, 15n)).toBe(0);
  });
});

describe('[S10] importing', () => {
  const usable = signingKeyFromSeed(Buffer.alloc(57, 1)).publicKey.raw;

  test.each([0, 1, 56, 58, 114])('%d octets are refused', (length) => {
    expect(() => importPublicKey(new Uint8Array(length))).toThrow(CryptoError);
  });

  test('points of mixed order are refused, whatever library verifies under them', () => {
    const mixed = torsion.filter((point) => !point.is0()).map((small) => Point.fromBytes(usable).add(small).toBytes());
    expect(mixed).toHaveLength(3);
    for (const raw of mixed) expect(() => importPublicKey(raw)).toThrow(/prime order/);
  });

  test('every point of small order is refused, in every encoding', () => {
    const p = Point.Fp.ORDER;
    for (const y of [1n, p - 1n, 0n, p, p + 1n]) {
      for (const sign of [0, 0x80]) {
        const raw = octetsOfInteger(y, 57);
        raw[56] = sign;
        expect(() => importPublicKey(raw)).toThrow(CryptoError);
      }
    }
  });

  test('every refusal says which rule was broken: none rests on what the library below happens to check', () => {
    const p = Point.Fp.ORDER;
    const withLast = (raw: Uint8Array, last: number) => Uint8Array.from(raw).fill(last, 56);
    const offCurve = Array.from({ length: 40 }, (_, at) => octetsOfInteger(BigInt(at + 2), 57)).find((raw) => {
      try {
        return Point.fromBytes(raw) === undefined;
      } catch {
        return true;
      }
    });
    const refusals: [Uint8Array, RegExp][] = [
      [usable.subarray(0, 56), /has 57 octets/],
      [withLast(usable, (usable[56] as number) | 1), /low bits/],
      [octetsOfInteger(p, 57), /field prime/],
      [octetsOfInteger(p + 1n, 57), /field prime/],
      [withLast(octetsOfInteger(1n, 57), 0x80), /sign bit/],
      [withLast(octetsOfInteger(p - 1n, 57), 0x80), /sign bit/],
      [octetsOfInteger(1n, 57), /small order/],
      [octetsOfInteger(p - 1n, 57), /small order/],
      [octetsOfInteger(0n, 57), /small order/],
      [offCurve as Uint8Array, /not on the curve/],
    ];
    for (const [raw, reason] of refusals) expect(() => importPublicKey(raw)).toThrow(reason);
  });

  test('there is no other way to a key object', () => {
    // @ts-expect-error the constructor is private: a key exists only where the check was made
    const make = (): unknown => new PublicKeyEd448(usable, undefined);
    expect(make).toBeTypeOf('function');
    const impostor = Object.create(PublicKeyEd448.prototype) as PublicKeyEd448;
    expect(() => verify(impostor, new Uint8Array(64), new Uint8Array(114))).toThrow(TypeError);
  });

  test('[S05] the cache knows keys by octets: one key, one object, and no view into the caller’s memory', () => {
    const mutable = Uint8Array.from(usable);
    const key = importPublicKey(mutable);
    mutable[0] = (mutable[0] as number) ^ 1;
    expect(hex(key.raw)).toBe(hex(usable));
    expect(importPublicKey(Buffer.from(usable))).toBe(key);
    const text = Buffer.from(usable).toString('base64url');
    expect(importPublicKey(Buffer.from(`${text}==`, 'base64url'))).toBe(key);
  });

  test('[S05] the cache is bounded and forgets what was unused longest', () => {
    const cache = new Lru<number>(2);
    cache.set('a', 1);
    cache.set('b', 2);
    expect(cache.get('a')).toBe(1);
    cache.set('c', 3);
    expect([cache.get('a'), cache.get('b'), cache.get('c'), cache.count]).toEqual([1, undefined, 3, 2]);
  });

  test('[S04] keys are the same by raw octets alone, never by name', () => {
    const other = signingKeyFromSeed(Buffer.alloc(57, 2)).publicKey;
    const key = importPublicKey(usable);
    // The same name for another key, as 2^66 work would give it.
    const namesake = Object.defineProperty(Object.create(other), 'udf', { value: key.udf }) as PublicKeyEd448;
    expect(namesake.udf).toBe(key.udf);
    expect(key.equals(namesake)).toBe(false);
    expect(key.equals(importPublicKey(Uint8Array.from(usable)))).toBe(true);
  });
});

describe('[S11] signatures', () => {
  const key = signingKeyFromSeed(Buffer.alloc(57, 3));
  const message = Buffer.alloc(64, 4);
  const signature = key.sign(message);

  test.each([0, 1, 57, 113, 115])('%d octets are no signature', async (length) => {
    const cut = Buffer.concat([signature, signature]).subarray(0, length);
    expect(verify(key.publicKey, message, cut)).toBe(false);
    expect(await verifyAsync(key.publicKey, message, cut)).toBe(false);
  });

  test('S is below the order', () => {
    const withResponse = (s: bigint): Uint8Array => Buffer.concat([signature.subarray(0, 57), octetsOfInteger(s, 57)]);
    expect(isSignatureForm(withResponse(ed448Order - 1n))).toBe(true);
    expect(isSignatureForm(withResponse(ed448Order))).toBe(false);
    expect(isSignatureForm(withResponse(ed448Order + 1n))).toBe(false);
    expect(isSignatureForm(withResponse((1n << 456n) - 1n))).toBe(false);
    expect(isSignatureForm(withResponse(0n))).toBe(true);
  });

  test('seeds of 57 and 56 octets are different keys, and other lengths none', () => {
    const long = signingKeyFromSeed(Buffer.alloc(57, 9)).publicKey;
    const short = signingKeyFromSeed(Buffer.alloc(56, 9)).publicKey;
    expect(long.equals(short)).toBe(false);
    for (const length of [0, 32, 55, 58, 114])
      expect(() => signingKeyFromSeed(Buffer.alloc(length))).toThrow(CryptoError);
    expect(generateSeed()).toHaveLength(57);
  });

  test('signing by arithmetic equals signing natively, for a seed that both can', () => {
    const seed = Buffer.alloc(57, 10);
    const { scalar, prefix } = expandSeed(seed);
    const byHand = signingKeyOfScalar({
      scalar: scalar % ed448Order,
      prefix,
      publicRaw: signingKeyFromSeed(seed).publicKey.raw,
    });
    expect(hex(byHand.sign(message))).toBe(hex(signingKeyFromSeed(seed).sign(message)));
  });

  test('[S02] a signature under a context string is none of ours', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed448');
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(12);
    const options = { key: privateKey, context: Buffer.from('mesh') };
    const withContext = nativeSign(null, message, options as Parameters<typeof nativeSign>[2]);
    const without = nativeSign(null, message, privateKey);
    expect(verify(importPublicKey(raw), message, without)).toBe(true);
    // Node before 24 ignores the option and signs without it: nothing here may ever depend on a context.
    if (hex(withContext) !== hex(without)) expect(verify(importPublicKey(raw), message, withContext)).toBe(false);
  });
});

describe('[S12] agreement', () => {
  test('both sides come to the same octets, from seeds of either length', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(56, 57), fc.uint8Array({ minLength: 57, maxLength: 57 }), (a, length, b) => {
        const short = b.subarray(0, length);
        const rawA = signingKeyFromSeed(a).publicKey.raw;
        const rawB = signingKeyFromSeed(short).publicKey.raw;
        const shared = agree(a, rawB);
        expect(shared).toHaveLength(57);
        expect(hex(agree(short, rawA))).toBe(hex(shared));
        // The published rule: clamped scalar times point, without clearing anything, on an honest point.
        const published = Point.fromBytes(rawB).multiplyUnsafe(expandSeed(a).scalar % ed448Order);
        expect(hex(published.toBytes())).toBe(hex(shared));
      }),
      { numRuns: 8 },
    );
  });

  test('X448 agrees, and refuses 0, 1, p − 1, p, p + 1 and wrong lengths', () => {
    const [a, b] = [generateX448(), generateX448()];
    expect(hex(a.agree(b.publicRaw))).toBe(hex(b.agree(a.publicRaw)));
    const p = Point.Fp.ORDER;
    for (const u of [0n, 1n, p - 1n, p, p + 1n]) {
      expect(() => a.agree(octetsOfInteger(u, 56))).toThrow(CryptoError);
    }
    for (const length of [0, 32, 55, 57]) {
      expect(() => a.agree(new Uint8Array(length).fill(9))).toThrow(CryptoError);
      expect(() => x448FromSeed(new Uint8Array(length))).toThrow(CryptoError);
    }
  });

  test('X448 of RFC 7748 6.2', () => {
    const seed =
      '9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b';
    const alice = x448FromSeed(Buffer.from(seed, 'hex'));
    expect(hex(alice.publicRaw)).toBe(
      '9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0',
    );
  });
});

describe('[S13] combined keys', () => {
  const baseSeed = Buffer.alloc(57, 11);
  const overlaySeed = Buffer.alloc(57, 12);
  const baseRaw = signingKeyFromSeed(baseSeed).publicKey.raw;
  const overlayRaw = signingKeyFromSeed(overlaySeed).publicKey.raw;

  test('a key whose halves do not make the announced sum is refused', () => {
    const otherRaw = signingKeyFromSeed(Buffer.alloc(57, 13)).publicKey.raw;
    expect(() => combineSeeds({ baseSeed, overlaySeed, baseRaw, overlayRaw: otherRaw })).toThrow(CryptoError);
    expect(() => combineSeeds({ baseSeed, overlaySeed: Buffer.alloc(57, 13), baseRaw, overlayRaw })).toThrow(
      CryptoError,
    );
    expect(() => combineSeeds({ baseSeed, overlaySeed, baseRaw, overlayRaw, expectedUdf: 'MAAA' })).toThrow(/UDF/);
  });

  test('a rogue overlay, a sum of zero and operands of mixed order are refused', () => {
    const negative = Point.fromBytes(baseRaw).negate().toBytes();
    expect(() => combinePublicKeys(baseRaw, negative)).toThrow(CryptoError);
    const mixed = Point.fromBytes(overlayRaw)
      .add(torsion[1] as (typeof torsion)[0])
      .toBytes();
    expect(() => combinePublicKeys(baseRaw, mixed)).toThrow(CryptoError);
    expect(() => combinePublicKeys(baseRaw, torsion[0]?.toBytes() as Uint8Array)).toThrow(CryptoError);
  });

  test('two signatures of one message differ and both verify', () => {
    const key = combinedSigningKey(combineSeeds({ baseSeed, overlaySeed, baseRaw, overlayRaw }));
    const message = Buffer.alloc(64, 1);
    const [a, b] = [key.sign(message), key.sign(message)];
    expect(hex(a)).not.toBe(hex(b));
    expect(verify(key.publicKey, message, a) && verify(key.publicKey, message, b)).toBe(true);
    expect(ed448.verify(a, message, key.publicKey.raw)).toBe(true);
    const none = { scalar: 0n, prefix: new Uint8Array(57), publicRaw: baseRaw };
    expect(() => combinedSigningKey(none)).toThrow(CryptoError);
  });
});

describe('one door to all curves', () => {
  test.each(['Ed448', 'Ed25519', 'X448', 'X25519'] as const)(
    '%s: a fresh key passes, zero and odd lengths do not',
    (curve) => {
      const raw = publicOfSeed(curve, generateSeedOf(curve));
      expect(() => checkRawKey(curve, raw)).not.toThrow();
      expect(() => checkRawKey(curve, raw.subarray(1))).toThrow(CryptoError);
      expect(() => checkRawKey(curve, new Uint8Array(raw.length))).toThrow(CryptoError);
      expect(() => checkRawKey(curve, new Uint8Array(raw.length).fill(255))).toThrow(CryptoError);
      expect(() => publicOfSeed(curve, new Uint8Array(5))).toThrow(CryptoError);
    },
  );
});
