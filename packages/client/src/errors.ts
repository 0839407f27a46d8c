/**
 * What can stop a device:
 * - `usage`: the state of the home does not allow this (no account yet, one already)
 * - `busy`: another process uses the home
 * - `state`: a file of the home is damaged
 * - `refused`: the service said no, in an authenticated answer
 * - `unavailable`: no authenticated answer after all attempts
 * - `pin`: the service is not the one that was pinned (S26)
 * - `downgrade`: a feature that the service once had is gone (S23)
 * - `rollback`: the service shows less than this device has verified before (S47)
 * - `fork`: the service shows other frames than this device has verified before (S47)
 * - `heads`: the service's signed word on its containers does not hold, or is too old (S45)
 * - `profile`: a profile of the Mesh or an entry of this device, as the service gives it, does not hold or is older (S25)
 * - `evidence`: writing stopped, because the service was caught contradicting itself or this device (S45)
 * - `proof`: a proof file that proves nothing
 * - `frame`: frames that do not pass the reader's checks (S43)
 * - `legacy`: a container without manifests, not opened without being told to (S49)
 * - `stale-key`: a device was shut out, and this one has not got the account's new key yet (S62)
 * - `conflict`: other writers were faster at every attempt
 * - `connect`: a connection of a device that does not prove itself (S50 to S57)
 * - `moved`: the service says that the account is at another one (303/25)
 * - `copy`: a service does not have what was copied to it, or has something else
 * - `entry`: an entry that cannot be written or decrypted
 */
export type ClientErrorCode =
  | 'usage'
  | 'busy'
  | 'state'
  | 'refused'
  | 'unavailable'
  | 'pin'
  | 'downgrade'
  | 'rollback'
  | 'fork'
  | 'heads'
  | 'profile'
  | 'evidence'
  | 'proof'
  | 'frame'
  | 'legacy'
  | 'stale-key'
  | 'conflict'
  | 'connect'
  | 'moved'
  | 'copy'
  | 'entry';

/** Status of a refusal, as the service signed it. */
export interface Refusal {
  readonly status: number;
  readonly statusExtended?: number | undefined;
  readonly description?: string | undefined;
}

/** A container in the two states that do not go together. */
export interface Contradiction {
  readonly container: string;
  /** What this device has verified. */
  readonly verified?: HeadNumbers | undefined;
  /** What the service shows. */
  readonly shown?: HeadNumbers | undefined;
  /** Both were signed by the service: anybody can be convinced by them. */
  readonly isProof?: boolean | undefined;
}

/** Size and root of a container. */
export interface HeadNumbers {
  readonly log?: Uint8Array | undefined;
  readonly size: number;
  readonly root?: Uint8Array | undefined;
}

interface ClientErrorOptions extends ErrorOptions {
  readonly refusal?: Refusal | undefined;
  readonly contradiction?: Contradiction | undefined;
}

/** The one error of this package; its message is one line that says what to do next where that is known. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;
  readonly refusal: Refusal | undefined;
  /** What contradicts what, for `rollback` and `fork`: recorded as evidence. */
  readonly contradiction: Contradiction | undefined;

  constructor(code: ClientErrorCode, message: string, options: ClientErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.refusal = options.refusal;
    this.contradiction = options.contradiction;
  }
}
