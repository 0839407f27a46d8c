import { describe, expect, it } from 'vitest';
import { FreshMessages } from './fresh-messages.js';
import type { OutboxInsert } from './outbox-store.js';
import type { AccountState, AccountWrite, FrameWrite } from './store.js';

const spool = 'mmm_Outbound';
const containerId = 7;
const after = { containers: new Map([[spool, { id: containerId, name: spool }]]) } as unknown as AccountState;

/** A frame whose payload came in octets of its own, or within others. */
function frame(payload: Uint8Array): FrameWrite {
  const empty = new Uint8Array(0);
  const digests = { payloadDigest: new Uint8Array(64), treeDigest: empty, leaf: empty, nodes: empty };
  return { header: new Uint8Array(0), payload, trailer: null, ...digests };
}

const row = (frameIndex: number, recipient: string) =>
  ({ container: spool, frameIndex, recipient }) as unknown as OutboxInsert;

function writeOf(first: number, frames: readonly FrameWrite[], outbox: readonly OutboxInsert[]): AccountWrite {
  const trees = { dareTree: new Uint8Array(0), logTree: new Uint8Array(0), manifestFrom: 0, keys: [] };
  return { containers: [{ name: spool, expectedFrameCount: first, frames, ...trees }], outbox };
}

const at = (frameIndex: number) => ({ containerId, frameIndex });

describe('messages that were committed a moment ago', () => {
  it('are handed out once for each row that was queued with them, as they were written', () => {
    const fresh = new FreshMessages();
    const [one, two] = [frame(Uint8Array.of(1)), frame(Uint8Array.of(2))];
    fresh.follow(writeOf(5, [one, two], [row(5, 'a'), row(5, 'b'), row(6, 'a')]), after);
    const { header, payload, trailer, payloadDigest } = one;
    expect(fresh.take(at(5))).toEqual({ frame: { header, payload, trailer }, payloadDigest });
    expect(fresh.take(at(5))?.frame.payload).toBe(payload);
    expect(fresh.take(at(5))).toBeUndefined();
    expect(fresh.take(at(6))?.frame.payload).toBe(two.payload);
    expect(fresh.take({ containerId: 8, frameIndex: 6 })).toBeUndefined();
  });

  it('are those that wait to be sent, and no other frames', () => {
    const fresh = new FreshMessages();
    fresh.follow(writeOf(0, [frame(Uint8Array.of(1)), frame(Uint8Array.of(2))], [row(1, 'a')]), after);
    fresh.follow(writeOf(2, [frame(Uint8Array.of(3))], []), after);
    expect([0, 1, 2].map((index) => fresh.take(at(index))?.frame.payload?.[0])).toEqual([undefined, 2, undefined]);
  });

  it('[S64] are forgotten with the body of their entry', () => {
    const fresh = new FreshMessages();
    fresh.follow(writeOf(0, [frame(Uint8Array.of(1)), frame(Uint8Array.of(2))], [row(0, 'a'), row(1, 'a')]), after);
    const frames = [{ frameIndex: 0, header: new Uint8Array(0), bytesFreed: 1 }];
    fresh.follow({ erased: { erasure: { container: spool, frameIndex: 0 }, frames, next: undefined } }, after);
    expect(fresh.take(at(0))).toBeUndefined();
    expect(fresh.take(at(1))?.frame.payload?.[0]).toBe(2);
  });

  it('make room for newer ones, each with its share of the octets that it came in', () => {
    const fresh = new FreshMessages(100);
    for (const index of [0, 1, 2]) fresh.follow(writeOf(index, [frame(new Uint8Array(40))], [row(index, 'a')]), after);
    expect([0, 1, 2].map((index) => fresh.take(at(index)) !== undefined)).toEqual([false, true, true]);
    const within = new Uint8Array(160).subarray(0, 1);
    fresh.follow(writeOf(3, [frame(within), frame(within)], [row(3, 'a'), row(4, 'a')]), after);
    expect([3, 4].map((index) => fresh.take(at(index)) !== undefined)).toEqual([false, true]);
    fresh.follow(writeOf(5, [frame(within)], [row(5, 'a')]), after);
    expect(fresh.take(at(5))).toBeUndefined();
  });
});
