import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CryptoError } from './errors.js';
import { systemRandom } from './random.js';
import { recoverSecret, splitSecret } from './secret-share.js';
import { encryptionKeyUdf } from './udf.js';

const secret = 'EALD-BHS4-SQXO-V7HJ-VPGX-36DA-JS2Q';

describe('secret shares', () => {
  test('any quorum of the shares gives the secret again', () => {
    const keys = fc.oneof(
      ...[16, 17, 24, 32, 64].map((n) => fc.uint8Array({ minLength: n, maxLength: n })),
      fc.constantFrom(new Uint8Array(16), new Uint8Array(32).fill(255)),
    );
    const numbers = fc.tuple(fc.integer({ min: 2, max: 6 }), fc.integer({ min: 0, max: 4 }));
    fc.assert(
      fc.property(keys, numbers, fc.integer(), (key, [quorum, more], rotation) => {
        const text = encryptionKeyUdf(key);
        const shares = splitSecret(text, quorum + more, quorum, systemRandom);
        const from = Math.abs(rotation) % shares.length;
        const picked = [...shares.slice(from), ...shares.slice(0, from)].slice(0, quorum);
        expect(recoverSecret(picked)).toBe(text);
        expect(recoverSecret(shares)).toBe(text);
      }),
      { numRuns: 40 },
    );
  });

  test('one share fewer is too few', () => {
    const shares = splitSecret(secret, 5, 3, systemRandom);
    expect(() => recoverSecret(shares.slice(0, 2))).toThrow(/3 are needed/);
    expect(() => recoverSecret([])).toThrow(CryptoError);
  });

  test('a share twice, a changed share and a stranger are noticed', () => {
    const shares = splitSecret(secret, 4, 2, systemRandom) as [string, string, string, string];
    const strangers = splitSecret(secret, 4, 2, systemRandom);
    expect(() => recoverSecret([shares[0], shares[0]])).toThrow(/twice/);
    expect(() => recoverSecret([shares[0], shares[1], strangers[2] as string])).toThrow(/belong/);
    expect(() => recoverSecret([shares[0], ...splitSecret(secret, 3, 3, systemRandom).slice(1)])).toThrow(/belong/);
    expect(() => recoverSecret([shares[0], secret])).toThrow(/no share/);
  });

  test('a value that does not fit its octets is drawn again', () => {
    // The first polynomial is f(x) = (2^128 − 1) + 1·x, whose value at 1 is 2^128: one bit too many.
    const draws = [Buffer.alloc(24), Buffer.alloc(24)];
    (draws[0] as Buffer)[23] = 1;
    (draws[1] as Buffer)[23] = 60;
    let count = 0;
    const random = (): Uint8Array => draws[count++] as Uint8Array;
    const text = encryptionKeyUdf(new Uint8Array(16).fill(255));
    expect(recoverSecret(splitSecret(text, 2, 2, random))).toBe(text);
    expect(count).toBe(2);
  });

  test.each([
    [1, 1],
    [3, 1],
    [17, 3],
    [16, 16],
    [2, 3],
    [2.5, 2],
  ])('refuses %d shares with a quorum of %d', (shares, quorum) => {
    expect(() => splitSecret(secret, shares, quorum, systemRandom)).toThrow(CryptoError);
  });

  test('only an encryption key is split', () => {
    expect(() => splitSecret('NB2U-NLDC-ZBEJ-VPWS-AHWM-CA72-4AMA', 3, 2, systemRandom)).toThrow(CryptoError);
  });
});
