import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hostFileNames } from '@meshd/binding/host-files';
import { ensureServiceKeys } from '@meshd/dev/service-keys';
import { outboundSettings } from '@meshd/dev/service-settings';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { startOutbound } from '@meshd/outbound/compose';
import { outboundConfigSchema } from '@meshd/outbound/config';
import { readConfig } from '@meshd/process/config';
import { createMetrics } from '@meshd/telemetry/metrics';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const hourMs = 3600 * 1000;
let made: Awaited<ReturnType<typeof makeTestPlan>>;
beforeAll(async () => {
  made = await makeTestPlan();
});
afterAll(() => made.remove());

async function readiness(clock?: () => number): Promise<string[]> {
  const config = readConfig(outboundConfigSchema, outboundSettings(made.plan));
  const outbound = await startOutbound(config, { metrics: createMetrics(), ...(clock === undefined ? {} : { clock }) });
  try {
    await expect.poll(() => problems(outbound.adminUrl)).not.toContainEqual(expect.stringMatching('Redis'));
    expect((await fetch(`${outbound.adminUrl}/healthz`)).status).toBe(200);
    return await problems(outbound.adminUrl);
  } finally {
    await outbound.stop();
  }
}

async function problems(adminUrl: string): Promise<string[]> {
  const response = await fetch(`${adminUrl}/readyz`);
  return ((await response.json()) as { problems: string[] }).problems;
}

describe('the outbound process', () => {
  it('is healthy, and says which shards it cannot reach', async () => {
    const shards = made.plan.shards.map(({ rpcPort }) => `shard 127.0.0.1:${rpcPort} is not connected`);
    expect(await readiness()).toEqual(shards);
  });

  it('[S26] is not ready when its host connection ends within the hour', async () => {
    const nearTheEnd = Date.now() + 7 * 24 * hourMs - hourMs;
    expect(await readiness(() => nearTheEnd)).toContain('the host connection ends within the hour');
  });

  it('[S26] does not start without a host identity', async () => {
    await rm(join(made.plan.serviceFolder, 'outbound', hostFileNames.profileHost));
    await expect(readiness()).rejects.toThrow(hostFileNames.profileHost);
    await rm(join(made.plan.serviceFolder, 'outbound'), { recursive: true });
    await ensureServiceKeys(made.plan.serviceFolder, made.plan.domains, Date.now());
    expect(await readiness()).not.toContain('the host connection ends within the hour');
  });
});
