/** Reading what was encrypted to an Ed448 key (encoding 2.6, 2.7; S12, S60), and blinded keys of items (S63). */
import { createDecipheriv, createHash, createHmac } from 'node:crypto';
import { ed448 } from '@noble/curves/ed448.js';
import { type Opened, type PublicKeyHolder, rawOf } from './dare.js';
import { base32, concat, label, unb64, utf8, zeros } from './octets.js';

/** HKDF-Expand of one or more blocks. */
function expand(hash: 'sha256' | 'sha512', prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  let [block, out] = [zeros(0), zeros(0)];
  for (let n = 1; out.length < length; n += 1) {
    block = new Uint8Array(
      createHmac(hash, prk)
        .update(concat(block, info, Uint8Array.of(n)))
        .digest(),
    );
    out = concat(out, block);
  }
  return out.subarray(0, length);
}
const mac = (hash: 'sha256' | 'sha512', key: Uint8Array, data: Uint8Array): Uint8Array =>
  new Uint8Array(createHmac(hash, key).update(data).digest());

/** Encoding of the shared point; both points are of prime order here. */
function agree(seed: Uint8Array, peer: Uint8Array): Uint8Array {
  const hashed = createHash('shake256', { outputLength: 114 }).update(seed).digest().subarray(0, 57);
  hashed[0] = (hashed[0] as number) & 0xfc;
  hashed[55] = (hashed[55] as number) | 0x80;
  hashed[56] = 0;
  const scalar = BigInt(`0x${Buffer.from(hashed).reverse().toString('hex')}`) % ed448.Point.Fn.ORDER;
  return ed448.Point.fromBytes(peer).multiply(scalar).toBytes();
}

export interface Decrypted {
  readonly plain: Uint8Array;
  /** From which a signature's witness comes. */
  readonly prk: Uint8Array;
}

/** @throws Error when the key is no recipient's, or anything was changed */
export function decrypt(frame: Opened, kid: string, seed: Uint8Array): Decrypted {
  const recipient = frame.header.recipients?.find((entry) => entry.kid === kid);
  if (recipient === undefined || frame.payload === null) throw new Error(`not encrypted to ${kid}`);
  const shared = agree(seed, rawOf(recipient.epk as PublicKeyHolder));
  const kek = expand('sha512', mac('sha512', zeros(64), shared), utf8('master'), 32);
  const unwrap = createDecipheriv('id-aes256-wrap', kek, Buffer.alloc(8, 0xa6));
  const master = concat(unwrap.update(unb64(recipient.wmk ?? '')), unwrap.final());
  const prk = mac('sha256', unb64(frame.header.Salt ?? ''), master);
  const key = expand('sha256', prk, utf8('encrypt'), 32);
  const nonce = expand('sha256', prk, utf8('iv'), 16).subarray(0, 12);
  const cipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  cipher.setAuthTag(frame.payload.subarray(-16));
  return { plain: concat(cipher.update(frame.payload.subarray(0, -16)), cipher.final()), prk };
}

/** S63: what stands for the key of an item where the service can read. */
export function blindedKey(keyBlind: Uint8Array, container: string, key: string): string {
  const own = mac('sha512', keyBlind, concat(label('mesh-blind-1'), utf8(container)));
  return base32(concat(Uint8Array.of(0), mac('sha512', own, utf8(key))), 280);
}
