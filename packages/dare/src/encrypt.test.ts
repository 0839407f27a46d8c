import { sha512 } from '@meshd/crypto/digest';
import { agree, importPublicKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { agreeEd25519, publicOfSeedEd25519 } from '@meshd/crypto/ed25519';
import { wrapKey } from '@meshd/crypto/key-wrap';
import { watchNative } from '@meshd/crypto/native-calls.fixture';
import { systemRandom } from '@meshd/crypto/random';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { plainAnnotation, readDataSequence, saltPrefix, writeDataSequence } from './annotations.js';
import { contentKeys, decryptContent, encryptContent, padJson, witnessOf } from './content-cipher.js';
import { decryptEnvelope, decryptWithMasterKey } from './decrypt.js';
import { encryptContentTo, encryptEnvelope } from './encrypt.js';
import { type EnvelopeOctets, makeEnvelope, openEnvelope, readEnvelope, writeEnvelope } from './envelope.js';
import { DareError } from './errors.js';
import type { SignatureEntry } from './header.js';
import { type DecryptionKey, decryptionKeyFromSeed, keyEncryptionKey, unwrapMasterKey } from './recipients.js';
import { asPrinted, b64, hex, toHex, utf8, vectorsOf } from './vectors.fixture.js';
import { verifyEnvelopeSync } from './verify.js';

const deciphers = watchNative('createDecipheriv');
const contentDecryptions = () => deciphers.calls.filter(([cipher]) => /^aes-256-(gcm|cbc)$/.test(cipher as string));
afterEach(() => void deciphers.calls.splice(0));
afterAll(() => deciphers.stop());

const text = (octets: Uint8Array): string => Buffer.from(octets).toString('utf8');
const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return error instanceof DareError ? error.code : String(error);
  }
  return 'none';
};

const alice = signingKeyFromSeed(Buffer.alloc(57, 1));
const mallory = signingKeyFromSeed(Buffer.alloc(57, 2));
const bobSeed = Buffer.alloc(57, 3);
const bob = signingKeyFromSeed(bobSeed).publicKey;
const bobKey = decryptionKeyFromSeed('Ed448', bobSeed);
const carolSeed = Buffer.alloc(57, 4);
const carol = signingKeyFromSeed(carolSeed).publicKey;
const known = (kid: string) => [alice, mallory].find((key) => key.publicKey.udf === kid)?.publicKey;
const plain = utf8('{"RequestConfirmation":{"Sender":"alice@example.com"}}');
const base = { plain, recipients: [bob, carol], random: systemRandom, pad: true };
const trimmed = (octets: Uint8Array): string => text(octets).trimEnd();
const verified = (octets: EnvelopeOctets) => verifyEnvelopeSync(openEnvelope(octets), known).envelope;

describe('published and computed encryption vectors', () => {
  const kinds = ['encryptedEnvelope', 'encryptedEnvelopeEd448', 'encryptedAnnotations'];
  for (const { name, kind, input, expected } of kinds.flatMap((one) => vectorsOf('encryption.json', one))) {
    test(`${kind}: ${name}`, () => {
      const curve = input.recipientPrivateEd25519Seed === undefined ? 'Ed448' : 'Ed25519';
      const seed = b64(input.recipientPrivateEd25519Seed ?? input.recipientPrivateEd448Seed);
      const key = decryptionKeyFromSeed(curve, seed);
      const opened = openEnvelope(readEnvelope(asPrinted(input.envelope)));
      const [block] = opened.header.recipients ?? [];
      const ephemeral = block?.epk?.PublicKeyECDH?.Public as Uint8Array;
      if (expected.recipientKid !== undefined) expect(key.udf).toBe(expected.recipientKid);
      if (expected.agreementHex !== undefined) {
        const agreed = curve === 'Ed448' ? agree(seed, ephemeral) : agreeEd25519(seed, ephemeral);
        expect(toHex(agreed)).toBe(expected.agreementHex);
        expect(toHex(keyEncryptionKey(agreed))).toBe(expected.keyEncryptionKeyHex);
      }
      const masterKey = unwrapMasterKey(opened.header.recipients ?? [], key);
      expect(toHex(masterKey)).toBe(expected.masterKeyHex);
      // the recipient is found by its name in any case (encoding 1.2)
      const lowered = (opened.header.recipients ?? []).map((each) => ({ ...each, kid: each.kid?.toLowerCase() ?? '' }));
      expect(toHex(unwrapMasterKey(lowered, key))).toBe(expected.masterKeyHex);
      const keys = contentKeys(masterKey, opened.header.Salt as Uint8Array);
      if (expected.payloadKeyHex !== undefined) {
        expect(toHex(keys.key)).toBe(expected.payloadKeyHex);
        expect(toHex(keys.iv)).toBe(expected.ivHex);
      }
      const decrypted = decryptEnvelope(opened, key, 'none', { allowUnprovenCbc: true });
      expect(text(decrypted.plain)).toBe(expected.plaintextUtf8);
      const annotations = expected.annotations ?? [];
      expect(decrypted.annotations().map(text)).toEqual(
        annotations.map((one: { plaintextUtf8: string }) => one.plaintextUtf8),
      );
      const prefixes = (opened.header.Annotations ?? []).map((octets) => toHex(readDataSequence(octets).saltPrefix));
      expect(prefixes).toEqual(annotations.map((one: { saltPrefixHex: string }) => one.saltPrefixHex));
    });
  }

  test('the Ed448 vector is what we would write with its ephemeral seed', () => {
    const [vector] = vectorsOf('encryption.json', 'encryptedEnvelopeEd448');
    const { input, expected } = vector as NonNullable<typeof vector>;
    const ephemeralSeed = b64(input.ephemeralPrivateEd448Seed);
    const recipientRaw = signingKeyFromSeed(b64(input.recipientPrivateEd448Seed)).publicKey.raw;
    const kek = keyEncryptionKey(agree(ephemeralSeed, recipientRaw));
    const [block] = input.envelope[0].recipients;
    expect(toHex(wrapKey(kek, hex(expected.masterKeyHex)))).toBe(toHex(b64(block.wmk)));
    expect(toHex(signingKeyFromSeed(ephemeralSeed).publicKey.raw)).toBe(toHex(b64(block.epk.PublicKeyECDH.Public)));
  });

  for (const { name, input, expected } of vectorsOf('security.json', 'gcmPayload')) {
    test(`[S60] [S61] gcmPayload: ${name}`, () => {
      const masterKey = hex(input.masterKeyHex);
      const keys = contentKeys(masterKey, b64(input.salt));
      expect(toHex(keys.key)).toBe(expected.keyHex);
      expect(toHex(keys.iv.subarray(0, 12))).toBe(expected.nonceHex);
      const padded = padJson(utf8(input.plaintextUtf8));
      expect(padded.length).toBe(expected.paddedLength);
      const sealed = encryptContent('A256GCM', keys, padded);
      expect(toHex(sealed)).toBe(toHex(b64(expected.payload)));
      expect(toHex(sha512(sealed))).toBe(toHex(b64(expected.payloadDigest)));
      expect(toHex(witnessOf(keys, b64(expected.signature)))).toBe(toHex(b64(expected.witness)));
      const envelope = makeEnvelope({
        header: { enc: 'A256GCM', Salt: b64(input.salt) },
        payload: sealed,
        trailer: {
          signatures: [{ alg: 'S512', kid: 'M', signature: b64(expected.signature), witness: b64(expected.witness) }],
        },
      });
      const opened = decryptWithMasterKey(openEnvelope(envelope), masterKey, 'manifest');
      expect(trimmed(opened.plain)).toBe(input.plaintextUtf8);
    });
  }
});

describe('what we write', () => {
  test('[S60] every recipient decrypts, nobody else does, in both encodings', () => {
    const octets = encryptEnvelope({ ...base, keys: [alice], contentType: 'application/mmm' });
    for (const form of ['json', 'json-b'] as const) {
      const read = verified(readEnvelope(writeEnvelope(octets, form), form));
      expect(read.header.enc).toBe('A256GCM');
      for (const seed of [bobSeed, carolSeed]) {
        const opened = decryptEnvelope(read, decryptionKeyFromSeed('Ed448', seed), 'signature');
        expect(trimmed(opened.plain)).toBe(text(plain));
      }
      const stranger = decryptionKeyFromSeed('Ed448', Buffer.alloc(57, 9));
      expect(codeOf(() => decryptEnvelope(read, stranger, 'signature'))).toBe('recipient');
    }
  });

  test('[S62] a key opens what was encrypted to the keys that it took the place of, and to no others', () => {
    const [newest, bob, carol] = [Buffer.alloc(57, 7), bobSeed, carolSeed].map((seed) =>
      decryptionKeyFromSeed('Ed448', seed),
    );
    const read = verified(encryptEnvelope({ ...base, keys: [alice], contentType: 'application/mmm' }));
    const opens = (key: DecryptionKey) => trimmed(decryptEnvelope(read, key, 'signature').plain);
    const current = newest as DecryptionKey;
    expect(opens({ ...current, former: [carol as DecryptionKey] })).toBe(text(plain));
    expect(opens({ ...current, former: [current, bob as DecryptionKey] })).toBe(text(plain));
    expect(codeOf(() => opens({ ...current, former: [] }))).toBe('recipient');
    expect(codeOf(() => opens({ ...current, former: [decryptionKeyFromSeed('Ed448', Buffer.alloc(57, 9))] }))).toBe(
      'recipient',
    );
  });

  test('[S60] master key and salt are fresh for every envelope', () => {
    const [one, two] = [encryptContentTo(base), encryptContentTo(base)];
    expect(toHex(one.header.Salt as Uint8Array)).not.toBe(toHex(two.header.Salt as Uint8Array));
    expect(toHex(one.payload)).not.toBe(toHex(two.payload));
    const masterKeys = [one, two].map((each) => toHex(unwrapMasterKey(each.header.recipients ?? [], bobKey)));
    expect(masterKeys[0]).not.toBe(masterKeys[1]);
  });

  test('[S60] padding goes to 256 octets, from 4 KiB on to 1,024', () => {
    const sizes = [1, 256, 257, 4095, 4096, 4097].map((size) => padJson(new Uint8Array(size)).length);
    expect(sizes).toEqual([256, 256, 512, 4096, 4096, 5120]);
    expect(encryptContentTo(base).payload.length).toBe(256 + 16);
  });

  test('[S60] a contact that knows only CBC and an Ed25519 recipient of old can be served', () => {
    const seed = Buffer.alloc(32, 5);
    const old = decryptionKeyFromSeed('Ed25519', seed);
    const recipient = { udf: old.udf, raw: publicOfSeedEd25519(seed), curve: 'Ed25519' as const };
    const octets = encryptEnvelope({ ...base, recipients: [recipient], cipher: 'A256CBC', keys: [alice] });
    expect(trimmed(decryptEnvelope(verified(octets), old, 'signature').plain)).toBe(text(plain));
  });

  test('annotations are encrypted under the same master key, prefix 1 first', () => {
    const octets = encryptEnvelope({ ...base, annotations: [utf8('From: a'), utf8('To: b')], keys: [alice] });
    const opened = verified(octets);
    expect(decryptEnvelope(opened, bobKey, 'signature').annotations().map(text)).toEqual(['From: a', 'To: b']);
    const [first] = opened.header.Annotations ?? [];
    const sequence = readDataSequence(first as Uint8Array);
    expect(toHex(sequence.saltPrefix)).toBe('01');
    expect(sequence.tag.length).toBe(16);
    expect(toHex(writeDataSequence(sequence))).toBe(toHex(first as Uint8Array));
  });

  test('a plain annotation has an empty tag, and a sequence of four items is refused', () => {
    expect(toHex(plainAnnotation(utf8('x'), 1))).toBe('880101880178' + '8800');
    expect(toHex(saltPrefix(256))).toBe('0001');
    expect(codeOf(() => readDataSequence(hex('8801018801788800' + '8800')))).toBe('shape');
    expect(codeOf(() => readDataSequence(hex('880101')))).toBe('shape');
  });

  test('encrypting to nobody is refused', () => {
    expect(codeOf(() => encryptContentTo({ ...base, recipients: [] }))).toBe('recipient');
  });

  test('any plain text survives both ciphers', () => {
    const keys = contentKeys(Buffer.alloc(32, 1), Buffer.alloc(16, 2));
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('A256GCM' as const, 'A256CBC' as const),
        (octets, cipher) => {
          expect(toHex(decryptContent(cipher, keys, encryptContent(cipher, keys, octets)))).toBe(toHex(octets));
        },
      ),
    );
  });
});

describe('what we refuse to read', () => {
  const signed = encryptEnvelope({ ...base, keys: [alice] });
  const withEntries = (octets: EnvelopeOctets, change: (entry: SignatureEntry) => SignatureEntry): EnvelopeOctets => {
    const opened = openEnvelope(octets);
    return makeEnvelope({
      header: opened.header,
      payload: opened.payload,
      trailer: { ...opened.trailer, signatures: opened.signatures.map(change) },
    });
  };

  test('[S60] a GCM tag cut to 4 octets, a flipped bit, a payload shorter than a tag', () => {
    const keys = contentKeys(Buffer.alloc(32, 1), Buffer.alloc(16, 2));
    const sealed = encryptContent('A256GCM', keys, plain);
    const cut = Buffer.concat([sealed.subarray(0, -16), sealed.subarray(-16, -12)]);
    expect(codeOf(() => decryptContent('A256GCM', keys, cut))).toBe('decrypt');
    expect(codeOf(() => decryptContent('A256GCM', keys, sealed.subarray(0, 15)))).toBe('decrypt');
    for (let at = 0; at < sealed.length; at += 1) {
      const flipped = Uint8Array.from(sealed);
      flipped[at] = (flipped[at] as number) ^ 1;
      expect(codeOf(() => decryptContent('A256GCM', keys, flipped))).toBe('decrypt');
    }
  });

  test('[S60] CBC with a bad signature: no decryption call is made', () => {
    const cbc = encryptEnvelope({ ...base, cipher: 'A256CBC', keys: [alice] });
    const forged = withEntries(cbc, (entry) => ({ ...entry, signature: mallory.sign(Buffer.alloc(64)) }));
    const opened = openEnvelope(forged);
    expect(codeOf(() => verifyEnvelopeSync(opened, known))).toBe('signature');
    expect(codeOf(() => decryptEnvelope(opened, bobKey, 'signature'))).toBe('signature');
    expect(codeOf(() => decryptEnvelope(opened, bobKey, 'none'))).toBe('decrypt');
    expect(contentDecryptions()).toEqual([]);
  });

  test('[S60] unsigned objects are opened in GCM alone', () => {
    const gcm = openEnvelope(encryptEnvelope(base));
    expect(trimmed(decryptEnvelope(gcm, bobKey, 'none').plain)).toBe(text(plain));
    expect(contentDecryptions().length).toBe(1);
    const cbc = openEnvelope(encryptEnvelope({ ...base, cipher: 'A256CBC' }));
    expect(codeOf(() => decryptEnvelope(cbc, bobKey, 'none'))).toBe('decrypt');
  });

  test('[S61] a witness is missing or another one: nothing is decrypted', () => {
    const without = verified(withEntries(signed, ({ witness: _gone, ...entry }) => entry));
    const other = verified(withEntries(signed, (entry) => ({ ...entry, witness: Buffer.alloc(32) })));
    const short = verified(withEntries(signed, (entry) => ({ ...entry, witness: entry.witness?.subarray(0, 8) })));
    deciphers.calls.length = 0;
    for (const opened of [without, other, short]) {
      expect(codeOf(() => decryptEnvelope(opened, bobKey, 'signature'))).toBe('witness');
      expect(codeOf(() => decryptEnvelope(opened, bobKey, 'manifest'))).toBe('witness');
    }
    expect(contentDecryptions()).toEqual([]);
  });

  test("[S61] the ciphertext of Alice under Mallory's signature has no witness that Mallory can make", () => {
    const { header, payload } = openEnvelope(signed);
    const digest = sha512(payload as Uint8Array);
    const entry = { alg: 'S512', kid: mallory.publicKey.udf, signature: mallory.sign(digest) };
    const own = openEnvelope(signed).signatures[0]?.witness as Uint8Array;
    const octets = makeEnvelope({ header, payload, trailer: { signatures: [{ ...entry, witness: own }] } });
    expect(codeOf(() => decryptEnvelope(verified(octets), bobKey, 'signature'))).toBe('witness');
  });

  test('[S61] two recipients with two master keys: only one of them is the signed one', () => {
    const one = openEnvelope(signed);
    const two = openEnvelope(encryptEnvelope({ ...base, keys: [alice] }));
    const recipients = [one.header.recipients?.[0], two.header.recipients?.[1]].flatMap((block) => block ?? []);
    const mixed = makeEnvelope({ header: { ...one.header, recipients }, payload: one.payload, trailer: one.trailer });
    const opened = verified(mixed);
    expect(trimmed(decryptEnvelope(opened, bobKey, 'signature').plain)).toBe(text(plain));
    const carolKey = decryptionKeyFromSeed('Ed448', carolSeed);
    expect(codeOf(() => decryptEnvelope(opened, carolKey, 'signature'))).toBe('witness');
  });

  test('[S10] [S12] an ephemeral key of small order is refused', () => {
    const { header, payload, trailer } = openEnvelope(signed);
    const identity = Buffer.concat([Buffer.from([1]), Buffer.alloc(56)]);
    const recipients = (header.recipients ?? []).map((block) => ({
      ...block,
      epk: { PublicKeyECDH: { crv: 'Ed448', Public: identity } },
    }));
    const opened = verified(makeEnvelope({ header: { ...header, recipients }, payload, trailer }));
    expect(codeOf(() => decryptEnvelope(opened, bobKey, 'signature'))).toBe('decrypt');
    expect(() => importPublicKey(identity)).toThrow();
  });

  test('a recipient block of another kind of key is skipped, another curve is not ours', () => {
    const header = `{"enc":"A256GCM","Salt":"QQ","recipients":[{"kid":"${bob.udf}","epk":{"PublicKeyRSA":{"n":"QQ"}},"wmk":"QQ"}]}`;
    const opened = openEnvelope(readEnvelope(utf8(`[${header},"QQ"]`)));
    expect(codeOf(() => decryptEnvelope(opened, bobKey, 'none'))).toBe('recipient');
    expect(codeOf(() => decryptionKeyFromSeed('P-256', new Uint8Array(32)))).toBe('algorithm');
  });

  test('no encryption, no salt, no payload, an unknown cipher', () => {
    const opened = (header: string, payload = '"QQ"') => openEnvelope(readEnvelope(utf8(`[${header},${payload}]`)));
    expect(codeOf(() => decryptEnvelope(opened('{}'), bobKey, 'none'))).toBe('shape');
    expect(codeOf(() => decryptEnvelope(opened('{"enc":"A256GCM"}'), bobKey, 'none'))).toBe('shape');
    expect(codeOf(() => decryptEnvelope(opened('{"enc":"A256GCM"}', 'null'), bobKey, 'none'))).toBe('redacted');
    expect(codeOf(() => decryptEnvelope(opened('{"enc":"ROT13"}'), bobKey, 'none'))).toBe('algorithm');
  });
});
