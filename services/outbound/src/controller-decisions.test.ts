import { createLogger } from '@meshd/telemetry/logger';
import { createMetrics } from '@meshd/telemetry/metrics';
import { describe, expect, it } from 'vitest';
import type { TransferSample } from './controller.js';
import { tellDecision } from './controller-decisions.js';
import { Lines } from './lines.js';
import { makeFigures } from './metrics.js';

const domain = 'beta.test';

/** Posts one after the other, and what figures and log say of them. */
async function told(posts: readonly (readonly [tookMs: number, result: TransferSample['result']])[]) {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const logger = createLogger({ service: 'outbound', level: 'debug', destination });
  const metrics = createMetrics();
  const figures = makeFigures(metrics);
  let nowMs = 0;
  const slots = new Lines({
    clock: () => nowMs,
    onDecision: (decision) => tellDecision({ figures, logger }, decision),
    onFree: () => undefined,
  });
  const slot = slots.tryEnter(domain);
  for (const [tookMs, result] of posts) {
    slot?.begin();
    nowMs += tookMs;
    slot?.ended(result, 1000);
  }
  const counted = (await metrics.registry.metrics())
    .split('\n')
    .filter((line) => line.startsWith('meshd_outbound_controller_decisions_total{'));
  return { lines, counted };
}

describe('[R178] [R179] every decision of a controller', () => {
  it('is counted and logged with its reason, those that change nothing for whoever looks closely', async () => {
    const { lines, counted } = await told([
      [100, 'done'],
      [100, 'failed'],
    ]);
    expect(counted.sort()).toEqual([
      expect.stringMatching(/change="hold",reason="few-samples".*} 1$/),
      expect.stringMatching(/change="outage",reason="cohort-failed".*} 1$/),
    ]);
    expect(
      lines.map(({ level, domain: of, change, reason, from, to }) => [level, of, change, reason, from, to]),
    ).toEqual([
      ['debug', domain, 'hold', 'few-samples', 4, 4],
      ['info', domain, 'outage', 'cohort-failed', 4, 1],
    ]);
  });
});
