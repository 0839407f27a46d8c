/** What went wrong while an envelope, a manifest or a container file was read or written. */
export type DareErrorCode =
  /** The octets have not the shape that the DARE sections of the encoding rules give. */
  | 'shape'
  /** The stated `PayloadDigest` is not that of the payload. */
  | 'payload-digest'
  /** A digest or cipher identifier that this reader does not know. */
  | 'algorithm'
  /** The payload was left out, and what was asked for needs it. */
  | 'redacted'
  /** A signature over nothing (S03), made or presented. */
  | 'empty-payload'
  /** No signature by a trusted key, or one that does not verify. */
  | 'signature'
  /** A manifest that cannot be read, or does not fit the place where it stands (S41, S43). */
  | 'manifest'
  /** The manifests do not cover the frames without gap and overlap (S43). */
  | 'tiling'
  /** A manifest's root is not that of the frames before it (S43). */
  | 'root'
  /** A valid signature by someone who may not write here (S43). */
  | 'entitlement'
  /** `Event`, `First`, `Previous` or `UniqueID` contradict the frames before (semantics 5). */
  | 'event'
  /** The envelope holds no recipient block for the key at hand. */
  | 'recipient'
  /** The master key did not unwrap, the cipher refused, or decryption was not permitted (S60). */
  | 'decrypt'
  /** The witness of a signature on encrypted data is missing or wrong (S61). */
  | 'witness'
  /** A container file whose frames are damaged elsewhere than at the torn end. */
  | 'container'
  /** The stored state of a tree contradicts itself. */
  | 'tree-state'
  /** A frame, record or count beyond its bound. */
  | 'limit';

/**
 * The one error class of this package. Handlers switch over {@link DareError.code}; the message is for people and
 * holds no secret and no octets of the other side.
 */
export class DareError extends Error {
  override readonly name = 'DareError';
  readonly code: DareErrorCode;

  constructor(code: DareErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
