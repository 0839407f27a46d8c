import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { orderBySrv } from './srv-order.js';

/** Drawn from a seed, so that the shares below are the same in each run. */
function seeded(seed: number): (length: number) => Uint8Array {
  let state = seed;
  return (length) => {
    const octets = Buffer.alloc(length);
    for (let at = 0; at < length; at += 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      octets[at] = state >>> 24;
    }
    return octets;
  };
}

const record = (priority: number, weight: number, target = `${priority}-${weight}`) => ({ priority, weight, target });

describe('[R056] the order of SRV records', () => {
  it('has each record once, lower priorities first', () => {
    const records = fc.array(fc.record({ priority: fc.nat(3), weight: fc.nat(65_535) }), { maxLength: 32 });
    fc.assert(
      fc.property(records, fc.nat(), (all, seed) => {
        const ordered = orderBySrv(all, seeded(seed));
        expect(new Set(ordered)).toEqual(new Set(all));
        expect(ordered.map(({ priority }) => priority)).toEqual(
          all.map(({ priority }) => priority).sort((a, b) => a - b),
        );
      }),
    );
  });

  it('draws by weight within a priority, and seldom but sometimes one of weight 0', () => {
    const random = seeded(7);
    const firsts = { '0-60': 0, '0-30': 0, '0-10': 0, '0-0': 0 };
    const rounds = 10_000;
    for (let round = 0; round < rounds; round += 1) {
      const [first] = orderBySrv([record(0, 60), record(0, 0), record(0, 10), record(0, 30)], random);
      firsts[first?.target as keyof typeof firsts] += 1;
    }
    expect(firsts['0-60'] / rounds).toBeCloseTo(0.6, 1);
    expect(firsts['0-30'] / rounds).toBeCloseTo(0.3, 1);
    expect(firsts['0-10'] / rounds).toBeCloseTo(0.1, 1);
    expect(firsts['0-0'] / rounds).toBeCloseTo(0.01, 2);
    expect(firsts['0-0']).toBeGreaterThan(0);
  });

  it('is the same whether unfit records are left out before or after', () => {
    const random = seeded(11);
    const all = [record(0, 50, 'a'), record(0, 30, 'unfit'), record(0, 50, 'b')];
    let before = 0;
    let after = 0;
    for (let round = 0; round < 10_000; round += 1) {
      before += Number(
        orderBySrv(
          all.filter(({ target }) => target !== 'unfit'),
          random,
        )[0]?.target === 'a',
      );
      after += Number(orderBySrv(all, random).filter(({ target }) => target !== 'unfit')[0]?.target === 'a');
    }
    expect(before / 10_000).toBeCloseTo(after / 10_000, 1);
  });
});
