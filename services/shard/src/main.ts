import { runMain } from '@meshd/process/run';
import { startShard } from './compose.js';
import { shardSettings } from './config.js';

await runMain({
  service: 'shard',
  schema: shardSettings,
  start: ({ config, logger, metrics }) =>
    startShard(config, {
      logger,
      metrics,
      // Another process has the shard: end in good order, so that whatever runs this one starts it afresh.
      onLeaseLost: () => process.kill(process.pid, 'SIGTERM'),
    }),
});
