/** Settings of the programs around the services; named in the environment as `settingName` says. */
import { hostPort, logLevel, nameList, path } from '@meshd/process/setting';
import { z } from 'zod';

/** Settings of `prepare`. */
export const prepareConfigSchema = z.object({
  logLevel,
  domains: nameList,
  /** The service's key and everything made with it. Serving processes never see this folder. */
  serviceDir: path,
  /** Authorities and certificates. */
  tlsDir: path,
  /** Gets one folder a role, with what a process of that role reads. */
  filesDir: path,
  /** Where the program says that it is well, if it is to stay and renew; without it the program ends when all is made. */
  adminListen: hostPort.optional(),
});

/** Settings of `renew-hosts`. */
export const renewConfigSchema = z.object({
  logLevel,
  domains: nameList,
  /** Mounted Secret with the service's key and profile. */
  serviceDir: path,
  /** Mounted Secrets of the hosts, one folder a role; a folder that is empty gets a new host. */
  filesDir: path,
  /** Secrets to write, in the order router, shard, outbound. */
  hostSecrets: nameList,
  /** Secret of the ticket keys; those that there are lie mounted in `tickets` of the files. */
  ticketSecret: z.string().regex(/^[a-z0-9.-]{1,253}$/, 'must be the name of a Secret'),
  /** Kubernetes namespace of the Secrets. */
  namespace: z.string().regex(/^[a-z0-9-]{1,63}$/, 'must be the name of a namespace'),
});
