import { importPublicKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { udfOfKey } from '@meshd/crypto/key-udf';
import { parseJson } from '@meshd/encoding/json-reader';
import { writeJson, writeJsonB } from '@meshd/encoding/json-writer';
import { envelopePartBytesMax } from '@meshd/limits/limits';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkPayloadDigest,
  decodeEnvelope,
  digestOf,
  envelopeBytes,
  envelopeBytesAtMost,
  isWithin,
  makeEnvelope,
  openEnvelope,
  readEnvelope,
  readOpened,
  redactEnvelope,
  sameEnvelope,
  withContainerInfo,
  withPayloadDigest,
  writeEnvelope,
} from './envelope.js';
import { DareError } from './errors.js';
import type { SignatureEntry } from './header.js';
import { signEnvelope } from './sign.js';
import { asPrinted, b64, utf8, vectorsOf } from './vectors.fixture.js';
import { verifyEnvelope, verifyEnvelopeSync } from './verify.js';

const key = signingKeyFromSeed(Buffer.alloc(57, 7));
const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return error instanceof DareError ? error.code : String(error);
  }
  return 'none';
};
const hexOf = (octets: Uint8Array | undefined): string => Buffer.from(octets ?? []).toString('hex');
const text = (octets: Uint8Array | null): string => Buffer.from(octets ?? []).toString('utf8');

describe('signed envelopes of the draft', () => {
  for (const vector of vectorsOf('envelope.json', 'signedEnvelope')) {
    test(`[R302] [R072] ${vector.name}`, async () => {
      const { input, expected } = vector;
      const opened = openEnvelope(readEnvelope(asPrinted(input.envelope)));
      const signer = importPublicKey(b64(input.signerPublicKey));
      const findKey = (kid: string) => (kid === signer.udf ? signer : undefined);
      if (expected.accept === false) {
        expect(codeOf(() => verifyEnvelopeSync(opened, findKey))).toBe('payload-digest');
        return;
      }
      const verified = await verifyEnvelope(opened, findKey);
      expect(verified.signers).toEqual([signer]);
      expect(verified.envelope.payload.length).toBe(expected.payloadLength);
      expect(Buffer.from(verified.payloadDigest).toString('base64url')).toBe(expected.payloadDigest);
      expect(opened.signatures[0]?.kid).toBe(expected.kid);
      const payload = parseJson(verified.envelope.payload) as Record<string, unknown>;
      expect(Object.keys(payload)).toEqual([expected.payloadType]);
    });
  }

  test('[R204] kid of every self-signed profile is the UDF of the key in its payload', () => {
    for (const { input, expected } of vectorsOf('envelope.json', 'signedEnvelope')) {
      if (expected.accept === false) continue;
      expect(udfOfKey('Ed448', b64(input.signerPublicKey))).toBe(expected.kid);
    }
  });
});

describe('reading the array', () => {
  test('[R204] two and three elements, empty header and payload', () => {
    expect(readEnvelope(utf8('[{},""]'))).toMatchObject({ payload: { length: 0 }, trailer: null });
    expect(text(readEnvelope(utf8(' [ {} , "" , {} ] ')).trailer)).toBe('{}');
  });

  test('[R204] one element and null payload are redacted, an empty payload is not', () => {
    expect(openEnvelope(readEnvelope(utf8('[{}]'))).payload).toBeNull();
    expect(openEnvelope(readEnvelope(utf8('[{},null,{}]'))).payload).toBeNull();
    expect(openEnvelope(readEnvelope(utf8('[{},"",{}]'))).payload?.length).toBe(0);
  });

  test('[R204] an empty payload with the digest of something else is redacted, with its own digest it is not', () => {
    const digest = (of: string) => Buffer.from(digestOf(utf8(of))).toString('base64url');
    const opened = (of: string) => openEnvelope(readEnvelope(utf8(`[{},"",{"PayloadDigest":"${digest(of)}"}]`)));
    expect(opened('x').payload).toBeNull();
    expect(opened('').payload?.length).toBe(0);
    expect(codeOf(() => checkPayloadDigest(opened('x')))).toBe('redacted');
  });

  test('[R204] four elements, a header that is no object, an empty array are refused', () => {
    expect(() => readEnvelope(utf8('[{},"",{},{}]'))).toThrow(DareError);
    expect(() => readEnvelope(utf8('["",""]'))).toThrow(/objects/);
    expect(() => readEnvelope(utf8('[]'))).toThrow(DareError);
    expect(() => readEnvelope(utf8('{}'))).toThrow(/array/);
  });

  test('[R204] PayloadDigest in header and trailer is refused', () => {
    const both = readEnvelope(utf8('[{"PayloadDigest":"QQ"},"QQ",{"PayloadDigest":"QQ"}]'));
    expect(codeOf(() => openEnvelope(both))).toBe('shape');
  });

  test('[R302] unknown members are kept, raw control characters become escapes', () => {
    const read = readEnvelope(utf8('[{"Later":{"a":[1,"x\ny"]},"dig":"S512"},"QQ",{"Odd":9007199254740993}]'));
    expect(text(read.header)).toBe('{"Later":{"a":[1,"x\\ny"]},"dig":"S512"}');
    expect(text(writeEnvelope(read))).toBe('[{"Later":{"a":[1,"x\\ny"]},"dig":"S512"},"QQ",{"Odd":9007199254740993}]');
  });

  test('[R204] an unknown digest algorithm cannot be verified', () => {
    const opened = openEnvelope(readEnvelope(utf8('[{"dig":"S999"},"QQ",{}]')));
    expect(codeOf(() => checkPayloadDigest(opened))).toBe('algorithm');
    const early = openEnvelope(readEnvelope(utf8('[{"dig":"SHA2"},"QQ",{}]')));
    expect(hexOf(checkPayloadDigest(early))).toBe(hexOf(digestOf(b64('QQ'))));
  });
});

describe('reading and opening in one pass', () => {
  const outcome = (action: () => unknown): unknown => {
    try {
      return action();
    } catch (error) {
      // where in the input a fault was met may differ
      return (error as Error).message.replace(/ \(at octet \d+\)$/, '');
    }
  };

  test('[R204] gives what the two steps give, faults included', () => {
    const signed = text(
      writeEnvelope(signEnvelope({ payload: utf8('x'), keys: [key], contentType: 'application/mmm' })),
    );
    const texts = [
      signed,
      `\u{feff}${signed}`,
      ' [ {"a":"\tü"} , "QQ" , { "b" : [1] } ] ',
      '[{}]',
      '[{},null,{}]',
      '[]',
      '[{},"",{},{}]',
      '[[],""]',
      '[{},"",""]',
      '[{"dig":1},""]',
      '[{"PayloadDigest":"QQ"},"QQ",{"PayloadDigest":"QQ"}]',
      '[{"ContentMetaData":"QQ"},"QQ"]',
      '[{},""] x',
    ];
    for (const one of texts) {
      const octets = utf8(one);
      expect(outcome(() => readOpened(octets))).toEqual(outcome(() => openEnvelope(readEnvelope(octets))));
    }
  });

  test('[R204] decodes without text what the two steps decode, in both encodings', () => {
    const inner = signEnvelope({ payload: utf8('x'), keys: [key], contentType: 'application/mmm' });
    const entry: SignatureEntry = { alg: 'S512', kid: 'MAAA', signature: new Uint8Array(114), Connection: inner };
    const trailer = { signatures: [entry], PayloadDigest: new Uint8Array(64) };
    const octets = makeEnvelope({ header: { dig: 'S512' }, payload: utf8('payload'), trailer });
    for (const form of ['json', 'json-b'] as const) {
      const written = writeEnvelope(octets, form);
      const { header, payload, trailer: read } = openEnvelope(readEnvelope(written, form));
      expect(decodeEnvelope(written, form)).toEqual({ header, payload, trailer: read });
    }
    expect(decodeEnvelope(utf8('[{}]'), 'json')).toEqual({ header: {}, payload: null, trailer: {} });
  });

  test('[S20] refuses a member that stands twice in a part, known or not, and a part that is too large', () => {
    for (const twice of ['[{"dig":"S512","dig":"S512"},""]', '[{"a":1,"a":2},""]', '[{},"",{"b":1,"b":1}]']) {
      expect(codeOf(() => decodeEnvelope(utf8(twice), 'json'))).toMatch(/repeated|twice/);
    }
    const large = { EnvelopeID: 'x'.repeat(envelopePartBytesMax) };
    const octets = { header: utf8(JSON.stringify(large)), payload: utf8(''), trailer: null };
    for (const form of ['json', 'json-b'] as const) {
      expect(codeOf(() => decodeEnvelope(writeEnvelope(octets, form), form))).toContain('too large');
    }
    const array = '["not","an object"]';
    expect(codeOf(() => decodeEnvelope(utf8(`[${array},""]`), 'json'))).toContain('are objects');
  });
});

describe('hostile octets', () => {
  const typed = (action: () => unknown): void => {
    try {
      action();
    } catch (error) {
      expect(['DareError', 'EncodingError']).toContain((error as Error).name);
    }
  };

  test('[R204] any octets give an envelope or a named error, in both encodings', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (octets) => {
        for (const form of ['json', 'json-b'] as const) typed(() => openEnvelope(readEnvelope(octets, form)));
      }),
      { numRuns: 500 },
    );
  });

  test('[R204] an envelope with octets changed anywhere opens, or fails by name, and never verifies as something else', () => {
    const payload = utf8('{"ProfileAccount":{}}');
    const signed = signEnvelope({ payload, keys: [key], contentMeta: { UniqueID: 'a', Event: 'New' } });
    const findKey = (kid: string) => (kid === key.publicKey.udf ? key.publicKey : undefined);
    for (const form of ['json', 'json-b'] as const) {
      const octets = writeEnvelope(signed, form);
      fc.assert(
        fc.property(fc.nat({ max: octets.length - 1 }), fc.nat({ max: 255 }), (at, octet) => {
          const changed = Uint8Array.from(octets);
          changed[at] = octet;
          typed(() => {
            const { envelope } = verifyEnvelopeSync(openEnvelope(readEnvelope(changed, form)), findKey);
            expect(Buffer.compare(envelope.payload, payload)).toBe(0);
          });
        }),
        { numRuns: 300 },
      );
    }
  });

  test('[R204] a header of more than 64 KiB and nesting without end are refused', () => {
    const header = `{"EnvelopeID":"${'x'.repeat(70_000)}"}`;
    expect(() => readEnvelope(utf8(`[${header},""]`))).toThrow(/too large/);
    expect(() => readEnvelope(utf8(`[{"a":${'['.repeat(100_000)}`))).toThrow(/levels/);
  });

  test('[R091] a payload in chunks is joined', () => {
    const chunked = Buffer.concat([
      utf8('[{}'),
      Buffer.from('8c0141', 'hex'),
      Buffer.from('8c0142', 'hex'),
      Buffer.from('8800', 'hex'),
      utf8(']'),
    ]);
    expect(text(readEnvelope(chunked, 'json-b').payload)).toBe('AB');
  });
});

describe('the forms of an envelope', () => {
  const signed = signEnvelope({ payload: utf8('{"Hello":{}}'), keys: [key], contentType: 'application/mmm' });

  test('[R091] JSON-B and back gives the same envelope, unknown members included', () => {
    const odd = withContainerInfo(signed, { Index: 3, Unknown: 'kept' });
    const octets = writeEnvelope(odd, 'json-b');
    expect(sameEnvelope(readEnvelope(octets, 'json-b'), odd)).toBe(true);
    expect(envelopeBytes(odd)).toBe(octets.length);
  });

  test('its size is that of its JSON-B, whatever stands in it, and never more than its lengths allow', () => {
    const number = fc.oneof(
      fc.nat({ max: 300 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constant(1e9),
    );
    const leaf = fc.oneof(number, fc.string({ unit: 'grapheme' }), fc.boolean(), fc.constant(null));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('value')), fc.dictionary(fc.string(), tie('value'))),
    }));
    const part = fc.dictionary(
      fc.string().map((name) => `x${name}`),
      value,
      { noNullPrototype: false },
    );
    const length = fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(0, 255, 256, 65_535, 65_536));
    fc.assert(
      fc.property(part, fc.option(part), fc.option(length), (header, trailer, bytes) => {
        const octets = {
          header: writeJson(header as never),
          payload: bytes === null ? null : new Uint8Array(bytes),
          trailer: trailer === null ? null : writeJson(trailer as never),
        };
        const size = writeEnvelope(octets, 'json-b').length;
        expect(envelopeBytes(octets)).toBe(size);
        expect(envelopeBytesAtMost(octets)).toBeGreaterThanOrEqual(size);
        expect([isWithin(octets, size), isWithin(octets, size - 1)]).toEqual([true, false]);
      }),
      // What grows most: short fractions, of which chance makes few.
      { examples: [[{ x: Array(200).fill(0.5) }, null, null]] },
    );
  });

  test('[R091] JSON-B has binary items where JSON has base64url', () => {
    const value = parseJson(writeEnvelope(signed, 'json-b'), { binary: true }) as unknown[];
    expect(value[1]).toBeInstanceOf(Uint8Array);
    const [entry] = (value[2] as { signatures: { signature: unknown }[] }).signatures;
    expect(entry?.signature).toBeInstanceOf(Uint8Array);
    // one form only: writing the value again gives the same octets
    expect(writeJsonB(value as never)).toEqual(writeEnvelope(signed, 'json-b'));
  });

  test('[R091] a nested envelope of a signature entry survives JSON-B', () => {
    const outer = signEnvelope({ payload: utf8('{"A":{}}'), keys: [key], entryMembers: [{ Profile: signed }] });
    const again = readEnvelope(writeEnvelope(outer, 'json-b'), 'json-b');
    const profile = openEnvelope(again).signatures[0]?.Profile;
    expect(profile !== undefined && sameEnvelope(profile, signed)).toBe(true);
  });

  test('redacting moves the trailer into the header and keeps what was signed', () => {
    const redacted = redactEnvelope(signed);
    const opened = openEnvelope(redacted);
    expect(opened.payload).toBeNull();
    expect(hexOf(opened.payloadDigest)).toBe(hexOf(digestOf(utf8('{"Hello":{}}'))));
    expect(opened.signatures).toEqual(openEnvelope(signed).signatures);
    expect(text(writeEnvelope(redacted)).startsWith('[{')).toBe(true);
    expect(readEnvelope(writeEnvelope(redacted)).trailer).toBeNull();
    expect(redactEnvelope(redacted)).toBe(redacted);
  });

  test('redacting adds a digest that was not stated; filing adds it to the trailer', () => {
    const bare = makeEnvelope({ header: {}, payload: utf8('x') });
    expect(hexOf(openEnvelope(redactEnvelope(bare)).payloadDigest)).toBe(hexOf(digestOf(utf8('x'))));
    const filed = withPayloadDigest(bare, digestOf(utf8('x')));
    expect(hexOf(openEnvelope(filed).trailer.PayloadDigest)).toBe(hexOf(digestOf(utf8('x'))));
    expect(withPayloadDigest(filed, digestOf(utf8('y')))).toBe(filed);
  });

  test('any payload and metadata text survive both forms', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'grapheme' }), (payload, name) => {
        const made = makeEnvelope({ header: { EnvelopeID: name }, payload, trailer: {} });
        for (const form of ['json', 'json-b'] as const) {
          const read = openEnvelope(readEnvelope(writeEnvelope(made, form), form));
          expect(Buffer.compare(read.payload ?? new Uint8Array(0), payload)).toBe(0);
          expect(read.header.EnvelopeID).toBe(name);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('signatures', () => {
  const other = signingKeyFromSeed(Buffer.alloc(57, 8));
  const payload = utf8('{"ProfileAccount":{}}');
  const trust =
    (...keys: (typeof key)[]) =>
    (kid: string) =>
      keys.find((one) => one.publicKey.udf === kid)?.publicKey;

  test('several signatures: every trusted one must hold, others are passed over', () => {
    const opened = openEnvelope(signEnvelope({ payload, keys: [key, other] }));
    expect(verifyEnvelopeSync(opened, trust(key, other)).signers).toEqual([key.publicKey, other.publicKey]);
    expect(verifyEnvelopeSync(opened, trust(other)).signers).toEqual([other.publicKey]);
    expect(codeOf(() => verifyEnvelopeSync(opened, trust()))).toBe('signature');
  });

  test('one bad signature by a trusted key spoils the envelope', () => {
    const signed = openEnvelope(signEnvelope({ payload, keys: [key, other] }));
    const entries = signed.trailer.signatures ?? [];
    const swapped = entries.map((entry, at) => ({ ...entry, signature: entries[1 - at]?.signature }));
    const octets = makeEnvelope({ header: signed.header, payload, trailer: { signatures: swapped } });
    expect(codeOf(() => verifyEnvelopeSync(openEnvelope(octets), trust(key)))).toBe('signature');
    const [good, bad] = [entries[0], swapped[1]] as [SignatureEntry, SignatureEntry];
    const mixed = openEnvelope(makeEnvelope({ header: signed.header, payload, trailer: { signatures: [good, bad] } }));
    expect(verifyEnvelopeSync(mixed, trust(key)).signers).toEqual([key.publicKey]);
    expect(codeOf(() => verifyEnvelopeSync(mixed, trust(key, other)))).toBe('signature');
  });

  test('[S03] nothing is signed over an empty payload, and such a signature proves nothing', () => {
    expect(codeOf(() => signEnvelope({ payload: new Uint8Array(0), keys: [key] }))).toBe('empty-payload');
    const captured = key.sign(digestOf(new Uint8Array(0)));
    const Delete = makeEnvelope({
      header: { dig: 'S512' },
      payload: new Uint8Array(0),
      trailer: { signatures: [{ alg: 'S512', kid: key.publicKey.udf, signature: captured }] },
    });
    expect(codeOf(() => verifyEnvelopeSync(openEnvelope(Delete), trust(key)))).toBe('empty-payload');
  });

  test('[S02] an entry of another alg is no signature of a stored object', () => {
    const signature = key.sign(digestOf(payload));
    for (const alg of ['S512-REQ1', 'S512-RSP1', 'S512-MAN1', 'HS512-REQ1', 'toString', undefined]) {
      const entry = { ...(alg === undefined ? {} : { alg }), kid: key.publicKey.udf, signature };
      const octets = makeEnvelope({ header: {}, payload, trailer: { signatures: [entry] } });
      expect(codeOf(() => verifyEnvelopeSync(openEnvelope(octets), trust(key)))).toBe('signature');
    }
  });

  test('[S05] other unused bits in the base64 of a digest are the same octets', () => {
    const octets = signEnvelope({ payload: utf8('x'), keys: [key] });
    const printed = text(writeEnvelope(octets));
    const digest = Buffer.from(digestOf(utf8('x'))).toString('base64url');
    const last = digest.at(-1) as string;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const sibling = alphabet[alphabet.indexOf(last) ^ 1] as string;
    const opened = openEnvelope(readEnvelope(utf8(printed.replace(digest, digest.slice(0, -1) + sibling))));
    expect(hexOf(verifyEnvelopeSync(opened, trust(key)).payloadDigest)).toBe(hexOf(digestOf(utf8('x'))));
  });

  test('a hundred entries by one trusted key are refused without a verification', () => {
    const entry = { alg: 'S512', kid: key.publicKey.udf, signature: key.sign(digestOf(payload)) };
    const octets = makeEnvelope({ header: {}, payload, trailer: { signatures: Array(100).fill(entry) } });
    expect(codeOf(() => verifyEnvelopeSync(openEnvelope(octets), trust(key)))).toBe('limit');
  });

  test('a signature over SHA-2-256 verifies by its own digest', () => {
    const entry = { alg: 'S256', kid: key.publicKey.udf, signature: key.sign(digestOf(payload, 'S256')) };
    const octets = makeEnvelope({ header: { dig: 'S256' }, payload, trailer: { signatures: [entry] } });
    expect(hexOf(verifyEnvelopeSync(openEnvelope(octets), trust(key)).payloadDigest)).toBe(
      hexOf(digestOf(payload, 'S256')),
    );
  });
});
