import { comeBackMs } from '@meshd/limits/limits';
import type { ShardHandlers } from '@meshd/rpc/shard-server';
import { statusRegistry } from '@meshd/schema/status';

/*
 * What a shard says between opening its listener and holding its lease. The listener comes first because its port is
 * part of what the directory is told.
 */

const outcome = {
  status: statusRegistry.overloaded.status,
  error: 'overloaded',
  detail: 'shard is starting',
  retryAfterMs: comeBackMs,
  correlation: '',
  mapVersion: 0,
};

/** Refuses everything for the moment. */
export const notReady: ShardHandlers = {
  transact: async () => ({ outcome, result: undefined }),
  download: (_request, sink) => sink.send({ part: { $case: 'outcome', value: outcome } }),
  // Ends at once: the watcher asks again, here or elsewhere.
  watchMap: async () => {},
};
