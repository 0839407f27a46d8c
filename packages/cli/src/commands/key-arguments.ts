/** Reading keys from a command line. Commander turns these errors into wrong usage (exit code 2). */
import { type Curve, curveOfName } from '@meshd/crypto/curves';
import { decodeBase64Url } from '@meshd/encoding/base64url';
import { InvalidArgumentError } from 'commander';

/** A curve by its exact name. */
export function curveArgument(text: string): Curve {
  try {
    return curveOfName(text);
  } catch {
    throw new InvalidArgumentError('It is one of Ed448, Ed25519, X448, X25519.');
  }
}

/** The octets of a raw key in base64url; whether they are a key is another question. */
export function publicArgument(text: string): Uint8Array {
  try {
    return decodeBase64Url(text);
  } catch {
    throw new InvalidArgumentError('It is base64url.');
  }
}
