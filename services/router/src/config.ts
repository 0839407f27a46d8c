/** Settings of the router. */
import { commonSettings, hostPort, hostPortList, nameList, path, registration } from '@meshd/process/setting';
import { z } from 'zod';

/** The schema; members are named in the environment as `settingName` says. */
export const routerConfigSchema = z.object({
  ...commonSettings,
  /** Where Mesh requests are taken, TLS 1.3 only. */
  listen: hostPort,
  /** Domains served. */
  domains: nameList,
  tlsCertFile: path,
  tlsKeyFile: path,
  /** Some shards, to learn the slot map from; the map names all of them. */
  shards: hostPortList,
  /** Folder of the keys that seal tickets and page keys, the same for all routers; read again when it changes. */
  ticketKeyDir: path,
  /** Whether strangers may create accounts: the router then counts their attempts, the shards decide. */
  registration,
});

/** Settings, read and checked. */
export type RouterConfig = z.output<typeof routerConfigSchema>;
