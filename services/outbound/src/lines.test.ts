import { outboundPostsMax } from '@meshd/limits/outbound';
import type { Lane } from '@meshd/rpc/delivery-jobs';
import { describe, expect, it } from 'vitest';
import { Lines } from './lines.js';

const laneOf = (domain: string, lane = 0): Lane => ({ shard: 'shard-0', domain, lane });

function setUp() {
  const freed: Lane[] = [];
  const lines = new Lines({ clock: () => 1000, onDecision: () => undefined, onFree: (lane) => freed.push(lane) });
  return { lines, freed };
}

describe('a worker whose slots are all taken by others', () => {
  it('[R170] looks at a lane that found none as soon as any of them is free, whosever it was', () => {
    const { lines, freed } = setUp();
    const others = Array.from({ length: outboundPostsMax }, (_, at) => lines.tryEnter(`hangs-${at}.test`));
    for (const domain of ['healthy.test', 'well.test']) {
      expect(lines.tryEnter(domain)).toBeUndefined();
      lines.park(laneOf(domain));
    }
    expect(freed).toEqual([]);
    others[7]?.leave();
    expect(freed).toEqual([laneOf('healthy.test')]);
    expect(lines.tryEnter('healthy.test')).toBeDefined();
    others[8]?.leave();
    expect(freed.at(-1)).toEqual(laneOf('well.test'));
  });

  it('wakes nobody twice, and nobody of a line that is full itself', () => {
    const { lines, freed } = setUp();
    const slots = [];
    for (let slot = lines.tryEnter('beta.test'); slot !== undefined; slot = lines.tryEnter('beta.test'))
      slots.push(slot);
    lines.park(laneOf('beta.test'));
    lines.tryEnter('gamma.test')?.leave();
    expect(freed).toEqual([]);
    slots[0]?.leave();
    slots[1]?.leave();
    expect(freed).toEqual([laneOf('beta.test')]);
  });
});
