import { join } from 'node:path';
import { freePorts } from '@meshd/dev/ports';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { describe, expect, it } from 'vitest';

describe('the processes of a provider', () => {
  it('start, stop in good order, die and come back one by one', async () => {
    const { plan, folder, remove } = await makeTestPlan();
    const [port] = await freePorts(1);
    const processes = new ProviderProcesses({ ...plan, port: port as number }, join(folder, 'logs'));
    const unexpected: string[] = [];
    processes.onUnexpectedEnd = (name) => unexpected.push(name);
    try {
      await processes.start();
      expect(processes.programs).toHaveLength(4);
      for (const name of processes.names) {
        expect(await processes.stopOne(name)).toEqual({ code: 0, signal: null });
        await processes.startOne(name);
      }
      await processes.killOne('shard-0');
      await processes.startOne('shard-0');
      await Promise.all(processes.names.map((name) => processes.untilReady(name)));
    } finally {
      await processes.stop();
      await remove();
    }
    expect(processes.programs).toEqual([]);
    expect(unexpected).toEqual([]);
  }, 120_000);
});
