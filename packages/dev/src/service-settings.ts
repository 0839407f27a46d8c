/** The settings of each service of a provider on one machine, as the environment in which it is started. */
import { join } from 'node:path';
import { formatHostPort } from '@meshd/process/setting';
import type { LogLevel } from '@meshd/telemetry/logger';
import type { ProviderCertificates, Role } from './certificates.js';
import { ticketKeyFolder } from './service-keys.js';

/** One shard. */
export interface ShardPlan {
  readonly name: string;
  readonly rpcPort: number;
  readonly adminPort: number;
  readonly postgresUrl: string;
}

/** Everything that is decided before a service starts. */
export interface ProviderPlan {
  readonly domains: readonly string[];
  /** Port of the router on the loopback interface; 0 lets the system choose (inside a test's process only). */
  readonly port: number;
  readonly registration: 'closed' | 'open';
  /** Domains whose people may write to anybody here; none when absent. */
  readonly openTo?: readonly string[] | undefined;
  /** Folder with a folder for each role, made by `service-keys.ts`. */
  readonly serviceFolder: string;
  readonly certificates: ProviderCertificates;
  readonly shards: readonly ShardPlan[];
  readonly directoryUrl: string;
  readonly redisUrl: string;
  readonly routerAdminPort: number;
  readonly outboundAdminPort: number;
  readonly logLevel: LogLevel;
  /** Settings of the outbound worker besides: where it finds other services, for one. */
  readonly outboundSettings: Settings | undefined;
}

/** Settings as a process finds them in its environment. */
export type Settings = Readonly<Record<string, string>>;

const loopback = (port: number): string => formatHostPort({ host: '127.0.0.1', port });

function common(plan: ProviderPlan, role: Role, adminPort: number): Record<string, string> {
  const { certFile, keyFile } = plan.certificates.internal[role];
  return {
    MESHD_ADMIN_LISTEN: loopback(adminPort),
    MESHD_LOG_LEVEL: plan.logLevel,
    MESHD_HOST_DIR: join(plan.serviceFolder, role),
    MESHD_RPC_CERT_FILE: certFile,
    MESHD_RPC_KEY_FILE: keyFile,
    MESHD_RPC_CA_FILE: plan.certificates.internalCaFile,
  };
}

/** Where the shards listen for what the other processes, and operators, ask. */
export function shardAddresses(plan: ProviderPlan): string[] {
  return plan.shards.map((shard) => loopback(shard.rpcPort));
}

/** Settings of the router. */
export function routerSettings(plan: ProviderPlan): Settings {
  return {
    ...common(plan, 'router', plan.routerAdminPort),
    MESHD_LISTEN: loopback(plan.port),
    MESHD_DOMAINS: plan.domains.join(','),
    MESHD_TLS_CERT_FILE: plan.certificates.server.certFile,
    MESHD_TLS_KEY_FILE: plan.certificates.server.keyFile,
    MESHD_SHARDS: shardAddresses(plan).join(','),
    MESHD_TICKET_KEY_DIR: join(plan.serviceFolder, ticketKeyFolder),
    MESHD_REGISTRATION: plan.registration,
  };
}

/** Settings of one shard. */
export function shardSettings(plan: ProviderPlan, shard: ShardPlan): Settings {
  return {
    ...common(plan, 'shard', shard.adminPort),
    MESHD_SHARD_NAME: shard.name,
    MESHD_SHARD_NAMES: plan.shards.map(({ name }) => name).join(','),
    MESHD_RPC_LISTEN: loopback(shard.rpcPort),
    MESHD_RPC_ADVERTISE: loopback(shard.rpcPort),
    MESHD_POSTGRES_URL: shard.postgresUrl,
    MESHD_DIRECTORY_URL: plan.directoryUrl,
    MESHD_DOMAINS: plan.domains.join(','),
    MESHD_REGISTRATION: plan.registration,
    MESHD_REDIS_URL: plan.redisUrl,
    ...(plan.openTo === undefined || plan.openTo.length === 0
      ? {}
      : { MESHD_MESSAGE_DOMAINS_OPEN: plan.openTo.join(',') }),
  };
}

/** Settings of the outbound worker. */
export function outboundSettings(plan: ProviderPlan): Settings {
  return {
    ...common(plan, 'outbound', plan.outboundAdminPort),
    MESHD_SHARDS: shardAddresses(plan).join(','),
    MESHD_REDIS_URL: plan.redisUrl,
    ...plan.outboundSettings,
  };
}
