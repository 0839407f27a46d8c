import { describe, expect, test } from 'vitest';
import { CryptoError } from './errors.js';
import { keyFileOfSeed, readKeyFile, writeKeyFile } from './key-file.js';

const text = (octets: Uint8Array): string => Buffer.from(octets).toString('utf8');

describe('key files', () => {
  const key = keyFileOfSeed('Ed448', Buffer.alloc(57, 1));

  test.each([
    ['Ed448', 57],
    ['Ed448', 56],
    ['X448', 56],
    ['Ed25519', 32],
    ['X25519', 32],
  ] as const)('%s of %d octets is written and read', (curve, length) => {
    const made = keyFileOfSeed(curve, Buffer.alloc(length, 1));
    expect(readKeyFile(writeKeyFile(made))).toEqual(made);
  });

  test('a file that contradicts itself is refused', () => {
    const other = keyFileOfSeed('Ed448', Buffer.alloc(57, 2));
    expect(() => readKeyFile(writeKeyFile({ ...key, publicRaw: other.publicRaw }))).toThrow(/contradicts/);
    expect(() => readKeyFile(writeKeyFile({ ...key, udf: other.udf }))).toThrow(/contradicts/);
  });

  test('refusals never repeat the secret', () => {
    const secret = Buffer.from(key.seed).toString('base64url');
    const whole = text(writeKeyFile(key));
    const files = [
      '',
      '[]',
      'null',
      whole.slice(0, -3),
      whole.replace('Ed448', 'P-256'),
      whole.replace('"seed"', '"Seed"'),
    ];
    for (const file of files) {
      try {
        readKeyFile(Buffer.from(file));
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(CryptoError);
        expect((error as CryptoError).code).toBe('key-file');
        expect((error as Error).message).not.toContain(secret);
      }
    }
  });
});
