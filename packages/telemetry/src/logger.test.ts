import { describe, expect, it } from 'vitest';
import { createLogger, flushLogger } from './logger.js';

describe('logger', () => {
  it('writes one JSON object a line and keeps secrets out', async () => {
    const lines: string[] = [];
    const logger = createLogger({ service: 'router', destination: { write: (line) => lines.push(line) } });
    logger.info({ key: { seed: 'swordfish', udf: 'MAAA' } }, 'loaded');
    logger.debug('not written');
    await flushLogger(logger);
    expect(lines).toHaveLength(1);
    const line = JSON.parse(lines[0] as string);
    expect(line).toMatchObject({ level: 'info', service: 'router', msg: 'loaded', key: { udf: 'MAAA' } });
    expect(lines[0]).not.toContain('swordfish');
  });
});
