/** Makes every decision of a controller visible, with its reason: as a figure, and as a line of the log. */
import type { Logger } from '@meshd/telemetry/logger';
import type { LimitChange } from './lines.js';
import type { Figures } from './metrics.js';

/**
 * Tells of a decision. What changes nothing comes with every Post, so that it is told on the level `debug` alone.
 */
export function tellDecision(
  { figures, logger }: { readonly figures: Pick<Figures, 'decided'>; readonly logger: Logger },
  decision: LimitChange,
): void {
  figures.decided(decision);
  const level = decision.change === 'hold' ? 'debug' : 'info';
  logger[level]({ ...decision }, 'Posts at a time for a destination');
}
