import { type ErrorCode, statusCodes, statusRegistry } from '@meshd/schema/status';

/**
 * What is wrong with one entry of an upload. `Reject`: it will never be accepted as it is. `Conflict`: the writer's view
 * is stale; synchronise, merge, send again (semantics 5.1).
 */
export interface EntryFault {
  /** Running number of the envelope in the request, from 0. */
  readonly indexRequest: number;
  readonly result: 'Reject' | 'Conflict';
  /** Names the rule; its extended code goes into the entry. */
  readonly code: ErrorCode;
  /** One sentence that tells the writer of the client what to change. */
  readonly detail: string;
}

/** An entry that will never be accepted as it is. */
export function reject(indexRequest: number, code: ErrorCode, detail: string): EntryFault {
  return { indexRequest, result: 'Reject', code, detail };
}

/** An entry whose writer has a stale view. */
export function conflict(indexRequest: number, code: ErrorCode, detail: string): EntryFault {
  return { indexRequest, result: 'Conflict', code, detail };
}

/**
 * The `StatusExtended` of an entry or response with this code; 0 for none.
 */
export function extendedOf(code: ErrorCode): number {
  return statusRegistry[code].extended ?? 0;
}

/**
 * The code that a request with faults is answered with (semantics 6.6): its status is 409 if any entry is in conflict,
 * else that of the first; its extended code is that of the first, wherever the registry joins the two.
 *
 * @param faults at least one, in the order of the entries.
 */
export function codeOfFaults(faults: readonly EntryFault[]): ErrorCode {
  const first = faults[0]?.code ?? 'malformed';
  const conflicting = faults.find((fault) => fault.result === 'Conflict');
  if (conflicting === undefined) return first;
  const { status } = statusRegistry[conflicting.code];
  const { extended } = statusRegistry[first];
  const joined = statusCodes.find((code) => {
    const entry = statusRegistry[code];
    return entry.status === status && entry.extended === extended && extended !== undefined;
  });
  // Without `extended` of its own the first fault has nothing to repeat.
  return conflicting === faults[0] || joined === undefined ? conflicting.code : (joined as ErrorCode);
}

/** Tells a fault from what a rule returns when all is well. */
export function isFault(value: unknown): value is EntryFault {
  return typeof value === 'object' && value !== null && 'result' in value && 'indexRequest' in value;
}
