import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, test } from 'vitest';
import { sha512 } from './digest.js';
import { agreeEd25519, publicOfSeedEd25519, verifyContextualEd25519 } from './ed25519.js';
import { CryptoError } from './errors.js';

const { Point } = ed25519;
const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

/** The reference's signature, made from the pieces of RFC 8032 with the contextual prefix. */
function signContextual(seed: Uint8Array, message: Uint8Array): Uint8Array {
  const dom2 = Buffer.from('SigEd25519 no Ed25519 collisions\0\0');
  const { prefix, scalar, pointBytes } = ed25519.utils.getExtendedPublicKey(seed);
  const toScalar = (...parts: Uint8Array[]): bigint =>
    BigInt(
      `0x${Buffer.from(sha512(dom2, ...parts))
        .reverse()
        .toString('hex')}`,
    ) % Point.Fn.ORDER;
  const r = toScalar(prefix, message);
  const commitment = Point.BASE.multiply(r).toBytes();
  const s = (r + toScalar(commitment, pointBytes, message) * scalar) % Point.Fn.ORDER;
  return Buffer.concat([commitment, Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()]);
}

describe('Ed25519 of the reference', () => {
  const seed = Buffer.from('YVDc2lAAlRRTOp49t8-cS5ncpC9nD8QwE6KCbs_Iv8I', 'base64url');
  const raw = publicOfSeedEd25519(seed);
  const message = Buffer.alloc(64, 3);

  test('the agreement of the published envelope', () => {
    const epk = Buffer.from('zN9NE_98jmR3D0HB8sbbzOs5B_Yc0basc4Z9CxDHCTc', 'base64url');
    expect(hex(agreeEd25519(seed, epk))).toBe('cdd11c5f39f5fe75eebc4dc6ee41820dcf326e190618b25df22a2cae0bb6e229');
  });

  test('the contextual form verifies, the plain one does not', () => {
    const signature = signContextual(seed, message);
    expect(verifyContextualEd25519(raw, message, signature)).toBe(true);
    expect(verifyContextualEd25519(raw, message, ed25519.sign(message, seed))).toBe(false);
    expect(verifyContextualEd25519(raw, Buffer.alloc(64), signature)).toBe(false);
    expect(verifyContextualEd25519(raw, message, signature.subarray(1))).toBe(false);
    const large = Buffer.from(signature).fill(255, 32);
    expect(verifyContextualEd25519(raw, message, large)).toBe(false);
    expect(verifyContextualEd25519(raw, message, Buffer.from(signature).fill(255, 0, 32))).toBe(false);
  });

  test('[S10] keys of small and mixed order are refused', () => {
    expect(() => agreeEd25519(seed, new Uint8Array(32))).toThrow(CryptoError);
    expect(() => verifyContextualEd25519(new Uint8Array(32).fill(255), message, new Uint8Array(64))).toThrow(
      CryptoError,
    );
    const small = Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a');
    expect(() => agreeEd25519(seed, small.toBytes())).toThrow(/small order/);
    expect(() => agreeEd25519(seed, Point.fromBytes(raw).add(small).toBytes())).toThrow(/prime order/);
    expect(() => agreeEd25519(seed.subarray(1), raw)).toThrow(CryptoError);
  });
});
