/** The router process. */
import { runMain } from '@meshd/process/run';
import { startRouter } from './compose.js';
import { routerConfigSchema } from './config.js';

await runMain({
  service: 'router',
  schema: routerConfigSchema,
  start: ({ config, logger, metrics }) => startRouter(config, { logger, metrics }),
});
