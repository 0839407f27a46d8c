/** Connections to the shards, from which messages will be leased: mutual TLS, in the role of the outbound process. */
import { readFile } from 'node:fs/promises';
import { Client, connectivityState } from '@grpc/grpc-js';
import { formatHostPort } from '@meshd/process/setting';
import { channelSetting, type Identity } from '@meshd/rpc/credentials';
import type { OutboundConfig } from './config.js';

/** The connections and what tells about them. */
export interface ShardLinks {
  /** One sentence for each shard that is not connected; asking also makes an idle connection connect. */
  problems(): string[];
  stop(): void;
}

/** Opens one connection to each shard; they connect by themselves, and again when they broke. */
export async function openShardLinks(config: OutboundConfig): Promise<ShardLinks> {
  const { credentials, options } = channelSetting(await readIdentity(config), 'shard');
  const links = config.shards.map((shard) => {
    const address = formatHostPort(shard);
    return { address, client: new Client(address, credentials, options) };
  });
  const isReady = (client: Client): boolean =>
    client.getChannel().getConnectivityState(true) === connectivityState.READY;
  // the first question begins the first attempt
  for (const { client } of links) isReady(client);
  return {
    problems: () =>
      links.filter(({ client }) => !isReady(client)).map(({ address }) => `shard ${address} is not connected`),
    stop: () => {
      for (const { client } of links) client.close();
    },
  };
}

async function readIdentity(config: OutboundConfig): Promise<Identity> {
  const files = [config.rpcCertFile, config.rpcKeyFile, config.rpcCaFile];
  const [certificate, key, authority] = await Promise.all(files.map((file) => readFile(file)));
  return { certificate: certificate as Buffer, key: key as Buffer, authority: authority as Buffer };
}
