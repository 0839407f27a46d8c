import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { combinedSigningKey, combinePublicKeys, combineSeeds } from './combined-key.js';
import { shake256 } from './digest.js';
import { agree, importPublicKey, scalarKeyFromSeed, signingKeyFromSeed, verify, verifyAsync } from './ed448.js';
import {
  agreeOnPoint,
  decodedPoint,
  ed448Order,
  expandSeed,
  integerOfOctets,
  octetsOfInteger,
  publicPoint,
} from './ed448-point.js';
import { signWithScalar } from './ed448-scalar.js';
import { CryptoError } from './errors.js';

// biome-ignore lint/suspicious/noExplicitAny: the members of a vector depend on its kind
type Vector = { name: string; kind: string; input: any; expected: any };
const url = new URL('../../../test/vectors/security.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(url, 'utf8')) as { vectors: Vector[] };
const ofKind = (kind: string): Vector[] => vectors.filter((vector) => vector.kind === kind);
const vectorsOfKinds = (...kinds: string[]): [string, Vector][] =>
  kinds.flatMap(ofKind).map((vector) => [vector.name, vector]);

const octets = (text: string): Uint8Array => Buffer.from(text, 'base64url');
const fromHex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const base64Url = (value: Uint8Array): string => Buffer.from(value).toString('base64url');
const scalarHex = (scalar: bigint): string => Buffer.from(octetsOfInteger(scalar, 57)).toString('hex');

function accepted(raw: Uint8Array): boolean {
  try {
    importPublicKey(raw);
    return true;
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'key-refused') return false;
    throw error;
  }
}

describe('[S10] keyImport', () => {
  const cases = ofKind('keyImport').flatMap(({ name, input, expected }) =>
    (input.keys as { why: string; public: string }[]).map((key) => [name, key.why, key.public, expected] as const),
  );

  test.each(cases)('%s: %s', (_name, _why, key, expected) => {
    expect(accepted(octets(key))).toBe(expected.accept);
    if (expected.kid) expect(importPublicKey(octets(key)).udf).toBe(expected.kid);
  });
});

describe('[S10] [S11] signatureForms', () => {
  test.each(vectorsOfKinds('signatureForms'))('%s', async (_, { input, expected }) => {
    const raw = octets(input.public);
    const message = fromHex(input.messageHex);
    for (const [i, { signature }] of (input.cases as { signature: string }[]).entries()) {
      // A key that is refused verifies nothing.
      const valid = accepted(raw) && verify(importPublicKey(raw), message, octets(signature));
      expect(valid).toBe(expected.accept[i]);
      if (accepted(raw)) expect(await verifyAsync(importPublicKey(raw), message, octets(signature))).toBe(valid);
    }
  });
});

describe('[S11] seed56', () => {
  test.each(vectorsOfKinds('seed56'))('%s', (_, { input, expected }) => {
    const seed = octets(input.seed);
    expect(seed).toHaveLength(56);
    const key = signingKeyFromSeed(seed);
    expect(base64Url(key.publicKey.raw)).toBe(expected.public);
    expect(key.publicKey.udf).toBe(expected.kid);
    expect(scalarHex(scalarKeyFromSeed(seed).scalar)).toBe(expected.scalarModLHex);
    const message = fromHex(input.messageHex);
    expect(base64Url(key.sign(message))).toBe(expected.signature);
    expect(verify(key.publicKey, message, key.sign(message))).toBe(true);
  });
});

describe('[S12] agreement', () => {
  test.each(vectorsOfKinds('agreement'))('%s', (_, { input, expected }) => {
    const seed = octets(input.privateSeed);
    const { scalar } = expandSeed(seed);
    expect(base64Url(agree(seed, octets(input.peer)))).toBe(expected.zab);
    expect(base64Url(agree(scalar % ed448Order, octets(input.peer)))).toBe(expected.zab);
    expect(() => agree(seed, octets(input.peerPlusOrder4))).toThrow(CryptoError);
    expect(() => agree(seed, octets(input.orderFour))).toThrow(CryptoError);
    // Beneath the import check: the component of small order vanishes instead of leaking bits of the scalar.
    const mixed = decodedPoint(octets(input.peerPlusOrder4));
    expect(base64Url(agreeOnPoint(scalar, mixed))).toBe(expected.zabOfPeerPlusOrder4);
    const naive = mixed.multiplyUnsafe(scalar % ed448Order).toBytes();
    expect(base64Url(naive)).toBe(expected.naiveReducedScalarGives);
    expect(() => agreeOnPoint(scalar, decodedPoint(octets(input.orderFour)))).toThrow(/small order/);
  });
});

describe('[S13] combinedKey', () => {
  test.each(vectorsOfKinds('combinedKey'))('%s', (_, { input, expected }) => {
    const [baseSeed, overlaySeed] = [octets(input.baseSeed), octets(input.overlaySeed)];
    const [baseRaw, overlayRaw] = [octets(expected.basePublic), octets(expected.overlayPublic)];
    expect(base64Url(signingKeyFromSeed(baseSeed).publicKey.raw)).toBe(expected.basePublic);
    expect(base64Url(signingKeyFromSeed(overlaySeed).publicKey.raw)).toBe(expected.overlayPublic);
    const sum = combinePublicKeys(baseRaw, overlayRaw);
    expect(base64Url(sum.raw)).toBe(expected.combinedPublic);
    const key = combineSeeds({ baseSeed, overlaySeed, baseRaw, overlayRaw, expectedUdf: expected.combinedKid });
    expect(base64Url(key.publicRaw)).toBe(expected.combinedPublic);
    expect(scalarHex(key.scalar)).toBe(expected.combinedScalarHex);
    expect(Buffer.from(key.prefix).toString('hex')).toBe(expected.prefixHex);
    const message = fromHex(input.messageHex);
    expect(base64Url(signWithScalar(key, message))).toBe(expected.signatureNoHedge);
    const hedged = combinedSigningKey(key, () => octets(input.hedge));
    expect(base64Url(hedged.sign(message))).toBe(expected.signatureHedged);
    expect(verify(hedged.publicKey, message, hedged.sign(message))).toBe(true);
  });
});

describe('[S13] attack', () => {
  test.each(vectorsOfKinds('attack'))('%s: the leak is real', (_, { input, expected }) => {
    const message = fromHex(input.messageHex);
    const parts = [1, 2].map((i) => {
      const signature = octets(input[`signature${i}`]);
      const raw = octets(input[`combined${i}`]);
      const challenge = shake256(
        Buffer.concat([Buffer.from('SigEd448\0\0'), signature.subarray(0, 57), raw, message]),
        114,
      );
      expect(verify(importPublicKey(raw), message, signature)).toBe(true);
      return {
        commitment: base64Url(signature.subarray(0, 57)),
        response: integerOfOctets(signature.subarray(57)),
        challenge: integerOfOctets(challenge) % ed448Order,
        overlay: integerOfOctets(fromHex(input[`overlay${i}Hex`])),
      };
    });
    const [a, b] = parts as [(typeof parts)[0], (typeof parts)[0]];
    expect(a.commitment).toBe(b.commitment);
    // S1 − S2 = k1·(b + o1) − k2·(b + o2) with one nonce: one unknown, one equation.
    const mod = (x: bigint): bigint => ((x % ed448Order) + ed448Order) % ed448Order;
    const difference = mod(a.response - b.response - a.challenge * a.overlay + b.challenge * b.overlay);
    const base = mod(difference * inverseModOrder(mod(a.challenge - b.challenge)));
    expect(scalarHex(base)).toBe(expected.recoveredBaseScalarHex);
  });

  test('two overlays of one base never share R, even without fresh octets', () => {
    const message = Buffer.alloc(64, 9);
    const baseSeed = Buffer.alloc(57, 1);
    const commitments = [2, 3].map((fill) => {
      const overlaySeed = Buffer.alloc(57, fill);
      const baseRaw = publicPoint(expandSeed(baseSeed).scalar).toBytes();
      const overlayRaw = publicPoint(expandSeed(overlaySeed).scalar).toBytes();
      const key = combineSeeds({ baseSeed, overlaySeed, baseRaw, overlayRaw });
      return base64Url(signWithScalar(key, message).subarray(0, 57));
    });
    expect(commitments[0]).not.toBe(commitments[1]);
  });
});

function inverseModOrder(x: bigint): bigint {
  // Fermat: the order is prime.
  let [result, base, exponent] = [1n, x, ed448Order - 2n];
  while (exponent > 0n) {
    if (exponent & 1n) result = (result * base) % ed448Order;
    base = (base * base) % ed448Order;
    exponent >>= 1n;
  }
  return result;
}
