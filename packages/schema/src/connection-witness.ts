import { sha512 } from '@meshd/crypto/digest';
import { presentBase32 } from '@meshd/encoding/base32';

const witnessBits = 140;

/**
 * The witness of semantics 7.1, seven groups of four characters: for devices that commit to nothing. Who stands between
 * can search for two nonces whose values look alike, so all seven groups have to be compared, and the user is told
 * that this is the weaker way (S53).
 *
 * @param meshFingerprint 64-octet fingerprint of the Mesh's offline key
 * @param deviceFingerprint 64-octet fingerprint of the device's offline key
 */
export function connectionWitness(input: {
  readonly meshFingerprint: Uint8Array;
  readonly serverNonce: Uint8Array;
  readonly deviceFingerprint: Uint8Array;
  readonly clientNonce: Uint8Array;
}): string {
  const mesh = sha512(input.meshFingerprint, input.serverNonce);
  const device = sha512(input.deviceFingerprint, input.clientNonce);
  return presentBase32(sha512(mesh, device), witnessBits);
}
