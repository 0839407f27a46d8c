import { requestSeenMs, requestSeenPerPrincipalMax } from '@meshd/limits/limits';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeenRequests } from './seen-requests.js';

const digest = (octet: number) => new Uint8Array(64).fill(octet);
const id = (number: number) => Buffer.from(number.toString(16).padStart(48, '0'), 'hex');

describe('[S27] requests seen', () => {
  it('tell a repetition from another request under the same ID', () => {
    const seen = new SeenRequests();
    seen.remember('a', id(1), digest(1), 0);
    expect(seen.isReused('a', id(1), digest(1), 1)).toBe(false);
    expect(seen.isReused('a', id(1), digest(2), 1)).toBe(true);
    expect(seen.isReused('b', id(1), digest(2), 1)).toBe(false);
    expect(seen.isReused('a', id(1), digest(2), requestSeenMs)).toBe(false);
  });

  it('[S05] are told apart by octets', () => {
    const seen = new SeenRequests();
    seen.remember('a', Buffer.from(Buffer.from(id(1)).toString('base64url'), 'base64url'), digest(1), 0);
    expect(seen.isReused('a', Uint8Array.from(id(1)), digest(2), 1)).toBe(true);
  });

  it('are bounded for each principal: nobody fills what is another one’s', () => {
    const seen = new SeenRequests();
    seen.remember('quiet', id(1), digest(1), 0);
    for (let at = 0; at < 2 * requestSeenPerPrincipalMax; at += 1) seen.remember('loud', id(at), digest(1), 0);
    expect(seen.count).toBe(requestSeenPerPrincipalMax + 1);
    expect(seen.isReused('quiet', id(1), digest(2), 1)).toBe(true);
    expect(seen.isReused('loud', id(requestSeenPerPrincipalMax - 1), digest(2), 1)).toBe(false);
    expect(seen.isReused('loud', id(requestSeenPerPrincipalMax), digest(2), 1)).toBe(true);
    seen.remember('loud', id(7), digest(1), requestSeenMs);
    expect(seen.count).toBe(2);
  });

  it('are those that a list of all of them tells', () => {
    // Few numbers, so that they come again; their ends are alike, so that nothing can be told by them alone.
    const number = fc.integer({ min: 0, max: 40 });
    const request = fc.record({
      number,
      octet: fc.integer({ min: 0, max: 2 }),
      waitMs: fc.integer({ min: 0, max: 99 }),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 200 }), (requests) => {
        const seen = new SeenRequests();
        const list = new Map<number, { readonly octet: number; readonly untilMs: number }>();
        let nowMs = 0;
        for (const { number, octet, waitMs } of requests) {
          nowMs += waitMs * (requestSeenMs / 1000);
          const named = Buffer.concat([id(number).subarray(4), Buffer.alloc(4)]);
          const known = list.get(number);
          const isReused = known !== undefined && known.untilMs > nowMs && known.octet !== octet;
          expect(seen.isReused('a', named, digest(octet), nowMs)).toBe(isReused);
          seen.remember('a', named, digest(octet), nowMs);
          list.set(number, { octet, untilMs: nowMs + requestSeenMs });
        }
      }),
    );
  });
});
