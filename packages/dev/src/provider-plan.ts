/** Makes everything that a provider's services need before they start: databases, certificates, keys, free ports. */
import { migrateDirectory, migrateShard } from '@meshd/shard/storage/migrate';
import type { LogLevel } from '@meshd/telemetry/logger';
import { ensureCertificates } from './certificates.js';
import { ensureDatabases } from './databases.js';
import { freePorts } from './ports.js';
import { ensureServiceKeys } from './service-keys.js';
import type { ProviderPlan, Settings } from './service-settings.js';

/** What {@link planProvider} needs. */
export interface PlanOptions {
  readonly domains: readonly string[];
  /** Port of the router; 0 for any. */
  readonly port: number;
  readonly registration: 'closed' | 'open';
  /** Domains whose people may write to anybody here; none when absent. */
  readonly openTo?: readonly string[] | undefined;
  readonly serviceFolder: string;
  readonly tlsFolder: string;
  /** Address of the maintenance database of a server on which databases may be made. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
  /** The databases are named after it: `<prefix>_directory`, `<prefix>_shard_0`. */
  readonly databasePrefix: string;
  /** Prefix of the databases that {@link migratedDatabases} made, of which those of this provider are to be copies. */
  readonly templatePrefix?: string | undefined;
  readonly shardCount: number;
  readonly logLevel: LogLevel;
  /** The time, milliseconds since 1970. */
  readonly nowMs: number;
  readonly outboundSettings?: Settings | undefined;
}

/** Names of the databases of a provider, that of the directory first. */
export function databaseNames(prefix: string, shardCount: number): string[] {
  return [`${prefix}_directory`, ...Array.from({ length: shardCount }, (_, index) => `${prefix}_shard_${index}`)];
}

/**
 * Makes the databases of a provider where they are missing, and brings them to the form that the services want.
 *
 * @param templatePrefix of databases that are so already, to be copied
 * @returns their addresses, that of the directory first
 */
export async function migratedDatabases(
  postgresUrl: string,
  prefix: string,
  shardCount: number,
  templatePrefix?: string,
): Promise<[directoryUrl: string, ...shardUrls: string[]]> {
  const names = databaseNames(prefix, shardCount);
  const [directory, shard] = databaseNames(templatePrefix ?? '', 1) as [string, string];
  const templateOf = (name: string): string => (name === names[0] ? directory : shard);
  const [directoryUrl = '', ...shardUrls] =
    templatePrefix === undefined
      ? await ensureDatabases(postgresUrl, names)
      : await ensureDatabases(postgresUrl, names, templateOf);
  if (templatePrefix === undefined) {
    await Promise.all([migrateDirectory(directoryUrl), ...shardUrls.map(migrateShard)]);
  }
  return [directoryUrl, ...shardUrls];
}

/** Makes what is missing and keeps what is there; a second call with the same folders and prefix is the same provider. */
export async function planProvider(options: PlanOptions): Promise<ProviderPlan> {
  const { domains, shardCount } = options;
  const certificates = await ensureCertificates(options.tlsFolder, domains, options.nowMs);
  await ensureServiceKeys(options.serviceFolder, domains, options.nowMs);
  const { postgresUrl, databasePrefix, templatePrefix } = options;
  const [directoryUrl, ...shardUrls] = await migratedDatabases(postgresUrl, databasePrefix, shardCount, templatePrefix);
  const ports = await freePorts(2 * shardCount + 2);
  const take = (): number => ports.pop() as number;
  return {
    domains,
    port: options.port,
    registration: options.registration,
    openTo: options.openTo,
    serviceFolder: options.serviceFolder,
    certificates,
    shards: shardUrls.map((postgresUrl, index) => ({
      name: `shard-${index}`,
      rpcPort: take(),
      adminPort: take(),
      postgresUrl,
    })),
    directoryUrl,
    redisUrl: options.redisUrl,
    routerAdminPort: take(),
    outboundAdminPort: take(),
    logLevel: options.logLevel,
    outboundSettings: options.outboundSettings,
  };
}
