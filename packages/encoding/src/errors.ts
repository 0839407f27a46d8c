/** What kind of fault an input has; callers decide by it, people read the message. */
export type EncodingErrorCode =
  | 'syntax'
  | 'depth'
  | 'repeated-member'
  | 'range'
  | 'type'
  | 'alphabet'
  | 'trailing'
  | 'limit'
  | 'missing';

/** An input that is not what it should be. Never thrown for a fault of the caller. */
export class EncodingError extends Error {
  override readonly name = 'EncodingError';
  readonly code: EncodingErrorCode;
  /** Octet index in the input, where known. */
  readonly offset?: number;

  constructor(code: EncodingErrorCode, message: string, offset?: number) {
    super(offset === undefined ? message : `${message} (at octet ${offset})`);
    this.code = code;
    if (offset !== undefined) this.offset = offset;
  }
}
