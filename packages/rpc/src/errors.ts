/**
 * Why a call between services failed.
 *
 * - `unavailable`: no connection, or it broke.
 * - `deadline`: no answer in time.
 * - `overloaded`: a bounded queue is full; `resource` names it.
 * - `refused`: the peer does not let us in, or one of us sent what the other cannot read.
 * - `closed`: our end was closed.
 */
export type RpcErrorCode = 'unavailable' | 'deadline' | 'overloaded' | 'refused' | 'closed';

/** What a call throws when it got no answer. */
export class RpcError extends Error {
  readonly code: RpcErrorCode;
  /** Whether the peer may have seen the request. False: it certainly did nothing, and the request can be sent again. */
  readonly sent: boolean;
  /** The bounded resource that is used up, with `overloaded`. */
  readonly resource: string | undefined;

  constructor(code: RpcErrorCode, message: string, more: { sent?: boolean; resource?: string; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'RpcError';
    this.code = code;
    this.sent = more.sent ?? false;
    this.resource = more.resource;
  }
}
