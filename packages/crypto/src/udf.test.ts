import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CryptoError } from './errors.js';
import { deriveKeySeed } from './key-seed.js';
import { type Curve, keyInfoDer, oidUdf, udfOfKey } from './key-udf.js';
import * as udf from './udf.js';

// biome-ignore lint/suspicious/noExplicitAny: the members of a vector depend on its kind
type Vector = { name: string; kind: string; input: any; expected: any };
const url = new URL('../../../test/vectors/udf.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(url, 'utf8')) as { vectors: Vector[] };

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');
const fromHex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const fromBase64Url = (text: string): Uint8Array => Buffer.from(text, 'base64url');

const runners: Record<string, (vector: Vector) => void> = {
  contentDigest: ({ input, expected }) => {
    expect(input.algorithm).toBe('SHA-2-512');
    const data = Buffer.from(input.dataUtf8, 'utf8');
    expect(udf.contentDigestUdf({ data, contentType: input.contentType, bits: input.bits })).toBe(expected);
  },
  keyFingerprint: ({ input, expected }) => {
    const raw = fromBase64Url(input.public);
    expect(hex(keyInfoDer(input.crv as Curve, raw))).toBe(input.keyInfoDerHex);
    expect(udfOfKey(input.crv, raw)).toBe(expected);
  },
  oidSequence: ({ input, expected }) => {
    const raw = fromHex(input.publicHex);
    expect(hex(keyInfoDer(input.crv, raw))).toBe(input.derHex);
    expect(oidUdf(input.crv, raw)).toBe(expected);
    expect(hex(udf.parseUdf(expected).data)).toBe(input.derHex);
  },
  symmetricKey: ({ input, expected }) => {
    expect(udf.encryptionKeyUdf(fromHex(input.keyHex))).toBe(expected);
    expect(hex(udf.parseUdf(expected).data)).toBe(input.keyHex);
  },
  parse: ({ input, expected }) => {
    const parsed = udf.parseUdf(input.udf);
    expect({ typeId: parsed.typeId, dataHex: hex(parsed.data), represent: parsed.canonical }).toEqual(expected);
  },
  authenticatorKey: ({ input, expected }) => {
    const { prk, macKey } = udf.authenticatorKey(input.keyUtf8);
    expect(hex(prk)).toBe(input.prkHex);
    expect(hex(macKey)).toBe(expected);
  },
  earlIdentifier: ({ input, expected }) => {
    expect(udf.earlIdentifier(input.keyUdf)).toBe(expected.identifier);
    expect(udf.earlUrl(input.keyUdf, 'example.com')).toBe(expected.url);
  },
  derivedKey: ({ name, input, expected }) => {
    const curve = name.replace('derived-key-', '') as Curve;
    expect(hex(udf.parseUdf(input.udf).data)).toBe(input.ikmHex);
    expect(hex(deriveKeySeed(input.udf, curve))).toBe(expected);
  },
};

describe('udf.json', () => {
  test.each(vectors.map((vector) => [vector.kind, vector.name, vector] as const))('%s: %s', (kind, _, vector) => {
    const run = runners[kind];
    if (run === undefined) throw new Error(`no test for vectors of kind ${kind}`);
    run(vector);
  });
});

describe('content digests', () => {
  const data = Buffer.from('UDF Data Value');

  test('a lower precision is a prefix of a higher one', () => {
    const full = udf.contentDigestUdf({ data, contentType: 'text/plain', bits: 520 });
    for (let bits = 100; bits < 520; bits += 20) {
      expect(full.startsWith(udf.contentDigestUdf({ data, contentType: 'text/plain', bits }))).toBe(true);
    }
  });

  test('SHA-3 digests begin with K and repeat the function in both steps', () => {
    const sha3 = udf.contentDigestUdf({ data, contentType: 'text/plain', algorithm: 'sha3-512' });
    expect(sha3).toMatch(/^K/);
    expect(sha3).not.toBe(udf.contentDigestUdf({ data, contentType: 'text/html', algorithm: 'sha3-512' }));
  });

  test.each([0, 90, 99, 141, 150, 540, Number.NaN, 110.5])('refuses a precision of %s bits', (bits) => {
    expect(() => udf.contentDigestUdf({ data, contentType: 'text/plain', bits })).toThrow(CryptoError);
  });

  test('twenty zero bits at the end change the type octet and nothing else', () => {
    const compressed = udf.contentDigestUdf({
      data: Buffer.from('UDF Compressed Document 4187123'),
      contentType: 'text/plain',
      bits: 520,
    });
    const { typeId, data: digest } = udf.parseUdf(compressed);
    expect(typeId).toBe(97);
    expect(hex(digest.subarray(61))).toMatch(/[048c]?0000$|0000$/);
  });
});

describe('reading', () => {
  test('case and dashes are free, canonical text is neither', () => {
    const { canonical } = udf.parseUdf('ealdbhs4-sqxo-v7hjvpgx36da-js2q');
    expect(canonical).toBe('EALD-BHS4-SQXO-V7HJ-VPGX-36DA-JS2Q');
  });

  test.each(['', 'M', '-', 'M1', 'MB 2', 'MDDK_7N6A', 'ＭＤＤＫ', 'M'.repeat(2000)])('refuses %j', (text) => {
    expect(() => udf.parseUdf(text)).toThrow(CryptoError);
  });

  test('bits left over count for equality', () => {
    expect(udf.udfEquals('NB2U-NLDC-ZBEJ-VPWS-AHWM-CA72-4AMA', 'nb2unldczbejvpwsahwmca724ama')).toBe(true);
    expect(udf.udfEquals('NB2U-NLDC-ZBEJ-VPWS-AHWM-CA72-4AMA', 'NB2U-NLDC-ZBEJ-VPWS-AHWM-CA72-4AMB')).toBe(false);
  });

  test('a name is compared in canonical form; what is no UDF stays as it is and is called like nothing', () => {
    expect(udf.canonicalName('nb2unldczbejvpwsahwmca724ama')).toBe('NB2U-NLDC-ZBEJ-VPWS-AHWM-CA72-4AMA');
    expect(udf.canonicalName('NB2U-NLDC-ZBEJ-VPWS-AHWM-CA72-4AMA')).toBe('NB2U-NLDC-ZBEJ-VPWS-AHWM-CA72-4AMA');
    for (const none of ['', 'no key', 'm'.repeat(2000)]) expect(udf.canonicalName(none)).toBe(none);
  });

  test('a digest matches a longer one from 100 bits on, other kinds never', () => {
    const longer = 'MDDK-7N6A-727A-JZNO-STRX-XKS7-DJAF';
    expect(udf.udfMatches('MDDK-7N6A-727A-JZNO-STRX', longer)).toBe(true);
    expect(udf.udfMatches('MDDK-7N6A-727A-JZNO', longer)).toBe(false);
    expect(udf.udfMatches('NDDK-7N6A-727A-JZNO-STRX', longer.replace('M', 'N'))).toBe(false);
    expect(udf.udfMatches(longer, 'MDDK-7N6A-727A-JZNO-STRX')).toBe(false);
  });

  test('any text is read or refused, and what was read is read the same again', () => {
    const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[A-Za-z2-7-]{0,80}$/));
    fc.assert(
      fc.property(texts, (text) => {
        let canonical: string;
        try {
          canonical = udf.parseUdf(text).canonical;
        } catch (error) {
          expect(error).toBeInstanceOf(CryptoError);
          return;
        }
        expect(udf.parseUdf(canonical).canonical).toBe(canonical);
      }),
    );
  });

  test('what is presented is read again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 64 }), (key) => {
        const { typeId, data } = udf.parseUdf(udf.encryptionKeyUdf(key));
        expect(typeId).toBe(32);
        expect(hex(data)).toBe(hex(key));
      }),
    );
  });
});

describe('nonces, authenticators, EARLs', () => {
  const zeros = (length: number): Uint8Array => new Uint8Array(length);

  test('a message identifier has 28 characters, a PIN 18', () => {
    expect(udf.nonceUdf(zeros)).toMatch(/^N([A-Z2-7]{3})(-[A-Z2-7]{4}){6}$/);
    expect(udf.nonceUdf(zeros, 80)).toMatch(/^N[A-Z2-7]{3}(-[A-Z2-7]{4}){3}-[A-Z2-7]{2}$/);
    expect(() => udf.nonceUdf(zeros, 79)).toThrow(CryptoError);
  });

  test('an authenticator depends on the key text, dashes included', () => {
    const data = Buffer.from('x');
    const keyText = 'NDD7-6CMX-H2FW-ISAL-K4VB-DQ3E-PEDM';
    const one = udf.authenticatorUdf({ data, contentType: 'text/plain', keyText });
    expect(one).toMatch(/^A/);
    expect(udf.authenticatorUdf({ data, contentType: 'text/plain', keyText: keyText.replaceAll('-', '') })).not.toBe(
      one,
    );
  });

  test('an EARL is made from an E value alone', () => {
    expect(() => udf.earlIdentifier('MDDK-7N6A-727A-JZNO-STRX')).toThrow(CryptoError);
  });
});

describe('key pair seeds', () => {
  const seed = 'ZAAA-CDJ5-DHPA-DUUW-WIPQ-UXNC-DSAR-U7A';

  test('a seed made for one algorithm is refused for another', () => {
    expect(() => deriveKeySeed(seed, 'Ed448')).toThrow(CryptoError);
  });

  test('a short seed and another type are refused', () => {
    expect(() => deriveKeySeed(udf.presentUdf(Uint8Array.of(200, 0, 0, 1, 2, 3)), 'Ed448')).toThrow(CryptoError);
    expect(() => deriveKeySeed('EALD-BHS4-SQXO-V7HJ-VPGX-36DA-JS2Q', 'Ed448')).toThrow(CryptoError);
  });

  test('a seed for any algorithm gives each curve other octets', () => {
    const any = udf.presentUdf(Buffer.concat([Uint8Array.of(200, 0, 0), Buffer.alloc(16, 7)]));
    const curves: Curve[] = ['Ed448', 'Ed25519', 'X448', 'X25519'];
    const seeds = curves.map((curve) => deriveKeySeed(any, curve));
    expect(seeds.map(({ length }) => length)).toEqual([56, 32, 56, 32]);
    expect(new Set(seeds.map((octets) => hex(octets.subarray(0, 32)))).size).toBe(4);
  });
});
