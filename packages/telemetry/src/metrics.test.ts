import { describe, expect, it } from 'vitest';
import { createMetrics } from './metrics.js';

describe('figures', () => {
  it('carry the prefix, their labels, and what is asked at the scrape', async () => {
    const metrics = createMetrics();
    metrics.counter('requests_total', 'Requests.', ['transaction']).inc({ transaction: 'Hello' });
    metrics.gauge('waiting', 'Waiting.', [], (gauge) => gauge.set(7));
    metrics.histogram('request_seconds', 'Time.', [], [1, 4]).observe(2);
    const text = await metrics.registry.metrics();
    expect(text).toContain('meshd_requests_total{transaction="Hello"} 1');
    expect(text).toContain('meshd_waiting 7');
    expect(text).toContain('meshd_request_seconds_bucket{le="1"} 0');
    expect(text).toContain('meshd_request_seconds_bucket{le="4"} 1');
  });

  it('of two registries do not mix', async () => {
    createMetrics().counter('only_here_total', 'Here.');
    expect(await createMetrics().registry.metrics()).toBe('\n');
  });

  it('of the process itself come only when asked for', async () => {
    expect(await createMetrics({ processMetrics: true }).registry.metrics()).toContain(
      'process_cpu_user_seconds_total',
    );
  });
});
