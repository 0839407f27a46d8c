import { expect, it } from 'vitest';
import { mergeMetrics } from './merge-metrics.js';

it('figures of several processes become one document', () => {
  const text = (value: number) =>
    `# HELP up Up.\n# TYPE up gauge\nup ${value}\n\n# HELP t_seconds T.\n# TYPE t_seconds histogram\nt_seconds_bucket{le="1"} ${value}\n`;
  const merged = mergeMetrics([
    { process: 'router', text: text(1) },
    { process: 'shard-0', text: text(2) },
  ]);
  expect(merged.split('\n').filter((line) => line !== '')).toEqual([
    '# HELP up Up.',
    '# TYPE up gauge',
    'up{process="router"} 1',
    'up{process="shard-0"} 2',
    '# HELP t_seconds T.',
    '# TYPE t_seconds histogram',
    't_seconds_bucket{process="router",le="1"} 1',
    't_seconds_bucket{process="shard-0",le="1"} 2',
  ]);
});
