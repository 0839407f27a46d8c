/** Ed448 keys over Node's own crypto, and their fingerprints (encoding 1.4, 1.5). */
import {
  createPrivateKey,
  createPublicKey,
  sign as cryptoSign,
  verify as cryptoVerify,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { b64, base32, concat, sha512, unb64, utf8 } from './octets.js';

const pkcs8Prefix = Buffer.from('3047020100300506032b6571043b0439', 'hex');
const spkiPrefix = Buffer.from('3043300506032b6571033a00', 'hex');
/** The key-info of the draft's era: NULL parameters, and an OCTET STRING inside the BIT STRING. */
const keyInfoPrefix = Buffer.from('304730070603' + '2b6571' + '0500033c000439', 'hex');

/** Content digest, SHA-2-512 (encoding 1.4). */
export function contentUdf(data: Uint8Array, contentType: string, bits = 140): string {
  const typed = sha512(utf8(`${contentType}:`), sha512(data));
  return base32(concat(Uint8Array.of(96 + compression(typed)), typed), bits);
}

/** Zero bits at the end of the digest, in steps: 20, 30, 40, 50. */
function compression(typed: Uint8Array): number {
  const bits = [...typed].map((octet) => octet.toString(2).padStart(8, '0')).join('');
  const trailing = bits.length - bits.lastIndexOf('1') - 1;
  return trailing < 20 ? 0 : Math.min(4, Math.floor(trailing / 10) - 1);
}

/** UDF of an Ed448 key. */
export const keyUdf = (raw: Uint8Array): string => contentUdf(concat(keyInfoPrefix, raw), 'application/x509-keyinfo');

/** A fresh nonce UDF: 132 random bits. */
export const nonceUdf = (): string => base32(concat(Uint8Array.of(104), randomBytes(17)), 140);

/** A key pair of which this process knows the seed. */
export interface Key {
  readonly raw: Uint8Array;
  readonly udf: string;
  sign(message: Uint8Array): Uint8Array;
}

export function newKey(seed: Uint8Array = randomBytes(57)): Key {
  const secret = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' });
  const raw = new Uint8Array(spki.subarray(spkiPrefix.length));
  return { raw, udf: keyUdf(raw), sign: (message) => new Uint8Array(cryptoSign(null, message, secret)) };
}

/** Pure Ed448, empty context. */
export function verify(raw: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (raw.length !== 57 || signature.length !== 114) return false;
  const key: KeyObject = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
  return cryptoVerify(null, message, key, signature);
}

/** The member of a profile or connection that holds a key (encoding 1.6). */
export interface PublicKeyMember {
  readonly UDF?: string;
  readonly PublicParameters?: { readonly PublicKeyECDH?: { readonly crv?: string; readonly Public?: string } };
}

export const publicKey = (key: { readonly raw: Uint8Array }): PublicKeyMember => publicKeyOfRaw(key.raw);

export const publicKeyOfRaw = (raw: Uint8Array, udf = keyUdf(raw)): PublicKeyMember => ({
  UDF: udf,
  PublicParameters: { PublicKeyECDH: { crv: 'Ed448', Public: b64(raw) } },
});

/** Raw octets of a key member, its fingerprint recomputed. @throws Error when the two do not fit */
export function rawKeyOf(member: PublicKeyMember | undefined): Uint8Array {
  const parameters = member?.PublicParameters?.PublicKeyECDH;
  if (parameters?.crv !== 'Ed448' || parameters.Public === undefined) throw new Error('no Ed448 key here');
  const raw = unb64(parameters.Public);
  if (keyUdf(raw) !== member?.UDF) throw new Error(`UDF ${member?.UDF} is not of its key`);
  return raw;
}
