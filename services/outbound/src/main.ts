/** The outbound process. */
import { runMain } from '@meshd/process/run';
import { startOutbound } from './compose.js';
import { outboundConfigSchema } from './config.js';

await runMain({
  service: 'outbound',
  schema: outboundConfigSchema,
  start: ({ config, logger, metrics }) => startOutbound(config, { logger, metrics }),
});
