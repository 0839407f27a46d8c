/** Rows for tests that look at what becomes of rows, not at what is in them. */
import type { LeasedRow } from './carrier.js';

/** A row whose message nobody opens, unless the test gives one. */
export function leasedRow(id: number, recipient: string, more: Partial<LeasedRow> = {}): LeasedRow {
  const message = { header: new Uint8Array(0), payload: null, trailer: null };
  const payloadDigest = new Uint8Array(64);
  return { id, message, payloadDigest, bytes: 100, sender: 'alice@alpha.test', recipient, ...more };
}
