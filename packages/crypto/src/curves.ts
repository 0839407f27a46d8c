import { CryptoError } from './errors.js';

/** The curves of the Mesh, by their `crv` names. Everything new is Ed448 and X448; the others are for reading. */
export type Curve = 'Ed448' | 'Ed25519' | 'X448' | 'X25519';

/** What differs between the curves (encoding 1.5, 1.10). */
export interface CurveFacts {
  /** Length of a raw public key: the Edwards encoding of RFC 8032 or the Montgomery one of RFC 7748. */
  readonly publicBytes: number;
  /** Length of the seed that we write. */
  readonly seedBytes: number;
  /** Last arc of the object identifier 1.3.101.x. */
  readonly oidArc: number;
  /** Algorithm number of a `Z` seed. */
  readonly seedAlgorithm: number;
  /** Length of the seed that a `Z` value gives: for Ed448 the 56 octets of the reference. */
  readonly derivedBytes: number;
}

/** Facts of every curve. */
export const curveFacts: Readonly<Record<Curve, CurveFacts>> = {
  X25519: { publicBytes: 32, seedBytes: 32, oidArc: 110, seedAlgorithm: 1, derivedBytes: 32 },
  X448: { publicBytes: 56, seedBytes: 56, oidArc: 111, seedAlgorithm: 2, derivedBytes: 56 },
  Ed25519: { publicBytes: 32, seedBytes: 32, oidArc: 112, seedAlgorithm: 3, derivedBytes: 32 },
  Ed448: { publicBytes: 57, seedBytes: 57, oidArc: 113, seedAlgorithm: 4, derivedBytes: 56 },
};

/** The curve of that exact name. Throws CryptoError `key-refused` for any other text. */
export function curveOfName(name: string): Curve {
  if (Object.hasOwn(curveFacts, name)) return name as Curve;
  throw new CryptoError('key-refused', `unknown curve; known are ${Object.keys(curveFacts).join(', ')}`);
}
