import { concat, shake256 } from './digest.js';
import { ed448KeyBytes, ed448Order, integerOfOctets, octetsOfInteger, publicPoint } from './ed448-point.js';

const hashBytes = 2 * ed448KeyBytes;
/** dom4 of RFC 8032 with phflag 0 and an empty context: the only one that the Mesh uses (S02). */
const dom4 = Buffer.from('SigEd448\0\0', 'latin1');

/** A private key without a seed: what seeds of 56 octets and combined keys come down to. */
export interface ScalarKey {
  /** Reduced mod L, not zero. */
  readonly scalar: bigint;
  /** 57 secret octets from which nonces are derived; never shared between two scalars (S13). */
  readonly prefix: Uint8Array;
  /** Encoding of scalar × base point. */
  readonly publicRaw: Uint8Array;
}

function hashToScalar(...parts: Uint8Array[]): bigint {
  return integerOfOctets(shake256(concat(dom4, ...parts), hashBytes)) % ed448Order;
}

/**
 * Signs as RFC 8032 does, from a bare scalar: OpenSSL signs from seeds only. `hedge` enters the nonce (S13): 57 fresh
 * octets for combined keys, empty for keys with a seed, whose signatures then equal those of any other program.
 */
export function signWithScalar(key: ScalarKey, message: Uint8Array, hedge: Uint8Array = new Uint8Array(0)): Uint8Array {
  const nonce = hashToScalar(key.prefix, hedge, message);
  const commitment = publicPoint(nonce).toBytes();
  const challenge = hashToScalar(commitment, key.publicRaw, message);
  const response = (nonce + challenge * key.scalar) % ed448Order;
  return concat(commitment, octetsOfInteger(response, ed448KeyBytes));
}
