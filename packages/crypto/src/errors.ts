/** What went wrong, for programs; the message is for people and never holds secret octets. */
export type CryptoErrorCode =
  | 'key-refused'
  | 'signature-form'
  | 'agreement-refused'
  | 'udf'
  | 'unwrap'
  | 'share'
  | 'key-file'
  | 'length';

/** Every refusal of this package. Programming mistakes (a wrong argument type) are not of this class. */
export class CryptoError extends Error {
  override readonly name = 'CryptoError';
  readonly code: CryptoErrorCode;

  constructor(code: CryptoErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
