import { combinedSigningKey } from '@meshd/crypto/combined-key';
import { generateSeed, signingKeyFromSeed, verify } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { describe, expect, it } from 'vitest';
import { combineOverlay, makeOverlay } from './overlay.js';

const message = new Uint8Array(70).fill(1);

describe('[S13] [R148] the keys of a connected device', () => {
  it('are sums that the device alone can sign with', () => {
    const baseSeed = generateSeed(systemRandom);
    const base = signingKeyFromSeed(baseSeed);
    const { combined, overlay } = makeOverlay(base.publicKey, systemRandom);
    const key = combinedSigningKey(combineOverlay(baseSeed, overlay, combined));
    expect(verify(combined, message, key.sign(message))).toBe(true);
    expect(verify(base.publicKey, message, key.sign(message))).toBe(false);
    expect(key.publicKey.udf).toBe(combined.udf);
  });

  it('[R149] are not those of who knows the base key alone', () => {
    const baseSeed = generateSeed(systemRandom);
    const { combined } = makeOverlay(signingKeyFromSeed(baseSeed).publicKey, systemRandom);
    const manufacturer = signingKeyFromSeed(baseSeed);
    expect(verify(combined, message, manufacturer.sign(message))).toBe(false);
    const guessed = makeOverlay(manufacturer.publicKey, systemRandom).overlay;
    expect(() => combineOverlay(baseSeed, guessed, combined)).toThrow(/does not make the key/);
  });

  it('[S13] are refused where overlay, base or sum belong to another', () => {
    const [mine, other] = [generateSeed(systemRandom), generateSeed(systemRandom)] as const;
    const { combined, overlay } = makeOverlay(signingKeyFromSeed(mine).publicKey, systemRandom);
    expect(() => combineOverlay(other, overlay, combined)).toThrow(/another device/);
    expect(() => combineOverlay(mine, undefined, combined)).toThrow(/no overlay/);
    expect(() => combineOverlay(mine, { ...overlay, UDF: 'MAAA' }, combined)).toThrow(/does not make the key/);
    const another = makeOverlay(signingKeyFromSeed(other).publicKey, systemRandom).combined;
    expect(() => combineOverlay(mine, overlay, another)).toThrow(/does not make the key/);
    const cut = { tag: 'PrivateKeyECDH', value: { crv: 'Ed448', Private: new Uint8Array(3) } } as const;
    expect(() => combineOverlay(mine, { ...overlay, Overlay: cut }, combined)).toThrow(/no usable key/);
  });
});
