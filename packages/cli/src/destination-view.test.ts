import { describe, expect, it } from 'vitest';
import { ageHeads, viewsOf } from './destination-view.js';

const said = (domain: string, members: object = {}) => ({
  ...{ domain, state: 'healthy', failures: 0, lastFailure: '', lastSuccessMs: 0, nextAttemptMs: 0 },
  ...{ rows: 0, leased: 0, oldestQueuedMs: 0, rowsByAge: [0, 0, 0, 0, 0, 0] },
  ...members,
});

describe('a destination over all shards', () => {
  it('has a column for each age that shards count', () => {
    expect(ageHeads).toEqual(['<1m', '<10m', '<1h', '<6h', '<24h', 'older']);
  });

  it('adds up what waits, and shows the worst state and the oldest message', () => {
    const [beta, ...others] = viewsOf([
      {
        shard: 'shard-0',
        destination: said('beta.test', { rows: 2, oldestQueuedMs: 50, rowsByAge: [1, 1, 0, 0, 0, 0] }),
      },
      {
        shard: 'shard-1',
        destination: said('beta.test', { rows: 3, leased: 1, state: 'resting', oldestQueuedMs: 40, rowsByAge: [0, 3] }),
      },
      { shard: 'shard-1', destination: said('alpha.test', { state: 'held' }) },
      { shard: 'shard-0', destination: said('gamma.test', { rows: 1, oldestQueuedMs: 45 }) },
    ]);
    expect(beta).toMatchObject({
      ...{ domain: 'beta.test', state: 'resting', rows: 5, leased: 1, oldestQueuedMs: 40 },
      ...{ rowsByAge: [1, 4, 0, 0, 0, 0], shards: [{ shard: 'shard-0' }, { shard: 'shard-1', state: 'resting' }] },
    });
    expect(others.map(({ domain, state, oldestQueuedMs }) => [domain, state, oldestQueuedMs])).toEqual([
      ['gamma.test', 'healthy', 45],
      ['alpha.test', 'held', undefined],
    ]);
  });
});
