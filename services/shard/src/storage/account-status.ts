/**
 * `pending`: made, but on hold until something outside the protocol has happened (semantics 6.2 step 6); `blocked`: closed to
 * its own devices by the operator; `moved`: it has left for another service, and what is here is kept for its return (semantics 6.3).
 */
export type AccountStatus = 'connected' | 'pending' | 'blocked' | 'moved';

/** Where an account is while this service is not the authoritative one (R008). */
export interface AccountAway {
  /** Canonical address, the first of `ServiceIDs`, or `MovedTo` of the request by which it left. */
  readonly to: string;
  /** Unix time in milliseconds. */
  readonly sinceMs: number;
}
