import { type EnvelopeOctets, envelopeBytes } from '@meshd/dare/envelope';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrangePosts, defaultConstraints, split } from './arrange.js';
import type { LeasedRow } from './carrier.js';
import { leasedRow } from './leased-row.fixture.js';

const withPayload = (bytes: number): EnvelopeOctets => {
  return { header: new TextEncoder().encode('{}'), payload: new Uint8Array(bytes), trailer: null };
};
/** An envelope of exactly so many octets, as limits count them. */
const messageOf = (bytes: number): EnvelopeOctets => withPayload(2 * bytes - envelopeBytes(withPayload(bytes)));
const rowOf = (id: number, recipient: string, bytes: number): LeasedRow =>
  leasedRow(id, recipient, { message: messageOf(bytes), bytes });
const rowsArbitrary = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 16, max: 70_000 })), { maxLength: 60 })
  .map((rows) => rows.map(([to, bytes], id) => rowOf(id, `r${to}@beta.test`, bytes)));
const bounds = fc.record({
  messageBytesMax: fc.integer({ min: 1, max: 80_000 }),
  messagesMax: fc.integer({ min: 0, max: 40 }),
  batchBytesMax: fc.integer({ min: 1, max: 300_000 }),
});

describe('rows for another service', () => {
  it('[R235] [R237] go once each, or are refused before they are sent', () => {
    fc.assert(
      fc.property(rowsArbitrary, bounds, (rows, { batchBytesMax, ...constraints }) => {
        const { chains, refused } = arrangePosts(rows, constraints, batchBytesMax);
        const ids = [...chains.flat(2), ...refused.keys()].map(({ id }) => id);
        expect(ids.toSorted((a, b) => a - b)).toEqual(rows.map(({ id }) => id));
        for (const row of chains.flat(2)) {
          expect(envelopeBytes(row.message)).toBeLessThanOrEqual(constraints.messageBytesMax);
        }
        for (const row of refused.keys())
          expect(envelopeBytes(row.message)).toBeGreaterThan(constraints.messageBytesMax);
      }),
    );
  });

  it('keep their order for one recipient, who has one chain', () => {
    fc.assert(
      fc.property(rowsArbitrary, bounds, (rows, { batchBytesMax, ...constraints }) => {
        const chains = arrangePosts(rows, constraints, batchBytesMax).chains.map((chain) => chain.flat());
        const recipients = chains.map((chain) => new Set(chain.map(({ recipient }) => recipient)));
        expect(recipients.every(({ size }) => size === 1)).toBe(true);
        expect(new Set(recipients.flatMap((names) => [...names])).size).toBe(chains.length);
        for (const chain of chains) expect(chain).toEqual(chain.toSorted((a, b) => a.id - b.id));
      }),
    );
  });

  it('fill no batch beyond what the service takes, except with one message alone', () => {
    fc.assert(
      fc.property(rowsArbitrary, bounds, (rows, { batchBytesMax, ...constraints }) => {
        for (const batch of arrangePosts(rows, constraints, batchBytesMax).chains.flat()) {
          expect(batch.length).toBeLessThanOrEqual(Math.max(1, constraints.messagesMax));
          const bytes = batch.reduce((sum, row) => sum + row.bytes, 0);
          if (batch.length > 1) expect(bytes).toBeLessThanOrEqual(batchBytesMax);
        }
      }),
    );
  });
});

describe('batches', () => {
  it('are as few as their order allows', () => {
    const rows = [40, 60, 20, 100, 101].map((bytes, id) => rowOf(id, 'r@beta.test', bytes));
    const sizes = split(rows, 10, 100).map((batch) => batch.map(({ bytes }) => bytes));
    expect(sizes).toEqual([[40, 60], [20], [100], [101]]);
  });

  it('hold 64 KB messages where a service says nothing', () => {
    const { chains, refused } = arrangePosts([rowOf(0, 'r@beta.test', 65_536)], defaultConstraints, 1);
    expect(chains.flat(2)).toHaveLength(1);
    expect(refused.size).toBe(0);
  });
});
