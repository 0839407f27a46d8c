/** The outbound process. */
import { setFlagsFromString } from 'node:v8';
import { runMain } from '@meshd/process/run';
import { startOutbound } from './compose.js';
import { outboundConfigSchema } from './config.js';

// Messages pass through here as buffers, a few at a time. By itself the engine goes through the whole heap whenever 64 MB of
// them were made, however much is free again: with messages of full size that took a third of this process's time.
setFlagsFromString('--external-memory-accounted-in-global-limit');

await runMain({
  service: 'outbound',
  schema: outboundConfigSchema,
  start: ({ config, logger, metrics }) => startOutbound(config, { logger, metrics }),
});
