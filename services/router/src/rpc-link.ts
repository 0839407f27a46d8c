import type { Logger } from '@meshd/telemetry/logger';
import type { RouterConfig } from './config.js';
import type { OpenShardLink } from './shard-link.js';
export async function openRpcLink(_config: RouterConfig, _logger: Logger): Promise<OpenShardLink> {
  throw new Error('not yet');
}
