import { concat, label, lv, sha512 } from '@meshd/crypto/digest';
import { presentBase32 } from '@meshd/encoding/base32';

/** Octets of the two secrets that code mode reveals, one by each end (S50). */
export const revealNonceBytes = 32;

const codeBits = 40;
const labels = {
  request: label('mesh-connect-1'),
  commit: label('mesh-sas-commit-1'),
  acknowledge: label('mesh-connect-ack-1'),
  code: label('mesh-sas-1'),
} as const;

/** What a connection request covers (S50): all of it verified by whoever computes with it. */
export interface RequestParts {
  /** Canonical address of the account that the device wants to join. */
  readonly account: string;
  /** 64-octet fingerprint of the device's offline key. */
  readonly deviceFingerprint: Uint8Array;
  /** PayloadDigest of the ProfileDevice. */
  readonly profileDeviceDigest: Uint8Array;
  /** 16 octets drawn by the device. */
  readonly clientNonce: Uint8Array;
  /** Raw Ed448 public key that the activations will be encrypted to, fresh for this request. */
  readonly clientKey: Uint8Array;
}

/** The Mesh and the account that a device is to join, as verified by whoever computes with them. */
export interface MeshParts {
  /** 64-octet fingerprint of the Mesh's offline key. */
  readonly meshFingerprint: Uint8Array;
  readonly profileMeshDigest: Uint8Array;
  readonly profileAccountDigest: Uint8Array;
}

/** RC of S50: the digest of all that a request binds together. */
export function requestDigest(parts: RequestParts): Uint8Array {
  return sha512(
    labels.request,
    lv(parts.account),
    parts.deviceFingerprint,
    parts.profileDeviceDigest,
    parts.clientNonce,
    lv(parts.clientKey),
  );
}

/** `ClientCommit` of S50: binds the device to the secret that it will reveal. */
export function clientCommit(request: Uint8Array, revealNonce: Uint8Array): Uint8Array {
  return sha512(labels.commit, request, revealNonce);
}

/** T of S50: request, commitment, the Mesh that answers, and the service's nonce. */
export function transcriptDigest(
  request: Uint8Array,
  commit: Uint8Array,
  mesh: MeshParts,
  serverNonce: Uint8Array,
): Uint8Array {
  return sha512(
    labels.acknowledge,
    request,
    commit,
    mesh.meshFingerprint,
    mesh.profileMeshDigest,
    mesh.profileAccountDigest,
    serverNonce,
  );
}

/** The two halves that a person types: the device's code at the administrator's, its confirmation at the device (S53). */
export interface ShortCodes {
  /** XXXX-XXXX, shown by the device. */
  readonly code: string;
  /** XXXX-XXXX, shown by the administrator's device once `code` was right. */
  readonly confirm: string;
}

/**
 * Both halves. Each end has fixed its secret before it learns the other's, so that nobody between them can try
 * nonces until the codes of the two legs agree (S53).
 *
 * @param transcript see {@link transcriptDigest}
 * @param revealNonce rD, of the device
 * @param adminNonce rA, of the administrator's device
 */
export function shortCodes(transcript: Uint8Array, revealNonce: Uint8Array, adminNonce: Uint8Array): ShortCodes {
  const digest = sha512(labels.code, transcript, revealNonce, adminNonce);
  return {
    code: presentBase32(digest, codeBits),
    confirm: presentBase32(digest.subarray(codeBits / 8), codeBits),
  };
}

/** Whether a person typed this code: case, dashes and spaces are free. Both texts are short and public: no constant time. */
export function isTypedCode(typed: string, code: string): boolean {
  const plain = (text: string) => text.replaceAll(/[-\s]/g, '').toUpperCase();
  return plain(typed) === plain(code);
}

/** M of S54, what a PIN speaks about: the request and its commitment. */
export function pinnedDigest(request: Uint8Array, commit: Uint8Array): Uint8Array {
  return sha512(concat(request, commit));
}
