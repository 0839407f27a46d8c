import { spawnSync } from 'node:child_process';
import { describe, expect, it, vi } from 'vitest';
import { collectorArguments, tuneCollector } from './collector.js';

const { set } = vi.hoisted(() => ({ set: [] as string[] }));
// Set for real, it would be this process that collects otherwise.
vi.mock('node:v8', () => ({ setFlagsFromString: (flag: string) => set.push(flag) }));

/** How node ends that is started with a flag: it does not start with one that it does not know. */
const startedWith = (flag: string) => spawnSync(process.execPath, [flag, '-e', '0'], { stdio: 'ignore' }).status;

describe('how the engine collects', () => {
  it('is told in words that this engine knows: one that it does not would be passed over in silence', () => {
    tuneCollector();
    expect(set).toHaveLength(1);
    for (const flag of [...collectorArguments, ...set]) expect([flag, startedWith(flag)]).toEqual([flag, 0]);
    expect(startedWith('--heap-growing-per-cent=100')).not.toBe(0);
  });
});
