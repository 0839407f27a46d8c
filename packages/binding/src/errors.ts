/** What can go wrong between a client and a service, as a client sees it. */

/**
 * - `not-https`: the address is not an `https` one (S28)
 * - `transport`: no connection, TLS refused, connection broken
 * - `timeout`: no complete answer in time
 * - `response-too-large`, `response-form`: the answer is no Mesh response at all
 * - `unsigned-error`: an error without proof; nothing of it is believed but a pause (S22)
 * - `response-refused`: the proof does not hold, or the answer belongs to another request
 * - `host-refused`: the host is not bound to the service or the domain (S26)
 * - `pin-mismatch`: the service is another one than before
 * - `feature-missing`: a feature that is required, or was there before, is not offered (S23)
 * - `host-files`: files of a host cannot be used
 * - `discovery-none`, `discovery-refused`: the domain has no such service, or says so (semantics 2.1)
 * - `discovery-failed`: the name servers did not answer, or not with an answer; may pass
 * - `discovery-private`: its DNS points to addresses that must not be connected to
 * - `discovery-unfit`: no host has what is needed, or the records cannot be used
 */
export type BindingErrorCode =
  | 'not-https'
  | 'transport'
  | 'timeout'
  | 'response-too-large'
  | 'response-form'
  | 'unsigned-error'
  | 'response-refused'
  | 'host-refused'
  | 'pin-mismatch'
  | 'feature-missing'
  | 'host-files'
  | 'discovery-none'
  | 'discovery-refused'
  | 'discovery-failed'
  | 'discovery-private'
  | 'discovery-unfit';

/** Options of {@link BindingError}. */
export interface BindingErrorOptions extends ErrorOptions {
  /** HTTP code of the answer, if there was one. */
  readonly httpStatus?: number;
  /** How long the sender should wait before it tries again, milliseconds, bounded by us. */
  readonly pauseMs?: number;
  /**
   * Of a fault of transport: `unreached` where nothing was sent, so that another place may be tried; `stale` where a kept
   * connection broke before any answer, so that a fresh one may be.
   */
  readonly reach?: 'unreached' | 'stale';
}

/** A transaction that gave no verified response. No state may change because of it. */
export class BindingError extends Error {
  override readonly name = 'BindingError';
  readonly code: BindingErrorCode;
  readonly httpStatus: number | undefined;
  readonly pauseMs: number | undefined;
  readonly reach: 'unreached' | 'stale' | undefined;

  constructor(code: BindingErrorCode, message: string, options: BindingErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.httpStatus = options.httpStatus;
    this.pauseMs = options.pauseMs;
    this.reach = options.reach;
  }
}
