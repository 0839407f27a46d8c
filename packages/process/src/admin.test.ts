import { createMetrics } from '@meshd/telemetry/metrics';
import { afterEach, describe, expect, it } from 'vitest';
import { type AdminListener, startAdminListener } from './admin.js';

let listener: AdminListener | undefined;
afterEach(async () => {
  await listener?.stop();
  listener = undefined;
});

describe('admin listener', () => {
  it('tells health, readiness with its problems, and figures', async () => {
    const metrics = createMetrics();
    metrics.counter('things_total', 'Things.').inc(3);
    let problems: string[] = ['no shard'];
    listener = await startAdminListener({
      listen: { host: '127.0.0.1', port: 0 },
      ready: () => problems,
      metrics: metrics.registry,
    });
    const get = async (path: string) => {
      const response = await fetch(`${listener?.url}${path}`);
      return { status: response.status, text: await response.text() };
    };
    expect((await get('/healthz')).status).toBe(200);
    expect(await get('/readyz')).toEqual({ status: 503, text: '{"ok":false,"problems":["no shard"]}' });
    problems = [];
    expect((await get('/readyz')).status).toBe(200);
    expect((await get('/metrics')).text).toContain('meshd_things_total 3');
    expect((await get('/other')).status).toBe(404);
  });

  it('takes a check that throws as a problem', async () => {
    listener = await startAdminListener({
      listen: { host: '127.0.0.1', port: 0 },
      ready: () => Promise.reject(new Error('database gone')),
      metrics: createMetrics().registry,
    });
    const response = await fetch(`${listener.url}/readyz`);
    expect(await response.json()).toEqual({ ok: false, problems: ['database gone'] });
  });
});
