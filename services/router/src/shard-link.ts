/** The router's end of the connections to shards. */
import { readFile } from 'node:fs/promises';
import type { Identity } from '@meshd/rpc/credentials';
import { connectShard, type ShardConnection } from '@meshd/rpc/shard-client';
import type { Logger } from '@meshd/telemetry/logger';
import type { RouterConfig } from './config.js';

/** What the router uses of a connection to one shard. */
export type ShardLink = Pick<ShardConnection, 'transact' | 'download' | 'watchMap' | 'close'>;

/** Opens a link to an address `host:port`; it connects by itself, and again whenever it must. */
export type OpenShardLink = (address: string) => ShardLink;

/** Our certificate and what that of a shard must come from. */
export async function readRpcIdentity(
  config: Pick<RouterConfig, 'rpcCertFile' | 'rpcKeyFile' | 'rpcCaFile'>,
): Promise<Identity> {
  const [certificate, key, authority] = await Promise.all(
    [config.rpcCertFile, config.rpcKeyFile, config.rpcCaFile].map((file) => readFile(file)),
  );
  if (!certificate || !key || !authority) throw new TypeError('three files give three texts');
  return { certificate, key, authority };
}

/** Links over mutual TLS. */
export function openRpcLinks(identity: Identity, logger: Logger): OpenShardLink {
  return (address) =>
    connectShard({
      address,
      identity,
      onError: (error) => logger.warn({ err: error, address }, 'connection to a shard broke'),
    });
}
