import { pendingConnectionMs, pendingConnectionsMax } from '@meshd/limits/limits';
import { MeshError } from '@meshd/schema/status';
import type { ConnectionChange, ConnectionRow } from '../storage/connection-rows.js';

/**
 * Makes room for one more request. What has been over for as long as it may be told about is forgotten; a request of the
 * same device is replaced, and so gone for good (semantics 7.2).
 *
 * @returns the rows that go.
 * @throws MeshError `rate-limited` where as many wait as may.
 */
export function makeRoom(
  rows: ReadonlyMap<string, ConnectionRow>,
  deviceUdf: string,
  nowMs: number,
): readonly ConnectionChange[] {
  const others = [...rows.values()].filter((row) => row.deviceUdf !== deviceUdf);
  const over = others.filter(({ expiresAtMs }) => expiresAtMs + pendingConnectionMs <= nowMs);
  const waiting = others.filter((row) => isPending(row, nowMs));
  if (waiting.length >= pendingConnectionsMax) {
    const retryAfterMs = Math.min(...waiting.map(({ expiresAtMs }) => expiresAtMs)) - nowMs;
    throw new MeshError('rate-limited', 'too many devices wait to be connected', { retryAfterMs });
  }
  const kept = others.filter((row) => !over.includes(row));
  const ended = kept.filter((row) => !isPending(row, nowMs)).sort((a, b) => a.expiresAtMs - b.expiresAtMs);
  // Those that were answered take no room from those that wait, but must not pile up either.
  const surplus = ended.slice(0, Math.max(0, ended.length - pendingConnectionsMax));
  return [...over, ...surplus].map((row) => ({ remove: row.deviceUdf }));
}

/** Whether nobody has answered the request, and somebody still may. */
export function isPending(row: ConnectionRow, nowMs: number): boolean {
  return row.status === 'pending' && row.expiresAtMs > nowMs;
}

/** Whether the request was accepted and the device has not acted under its new keys yet. */
export function isAccepted(row: ConnectionRow, entryIndex: number | undefined): boolean {
  return row.status !== 'rejected' && entryIndex !== undefined && entryIndex >= row.catalogFrom;
}
