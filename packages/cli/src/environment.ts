/** What the commands take from the process around them: variables and the clock. The only place that reads either. */
import type { DiscoveryTexts } from '@meshd/binding/discovery/settings';

/** Databases that the environment names, as the shards are given them. */
export interface AdminSettings {
  readonly postgresUrls: readonly string[];
  readonly directoryUrl: string | undefined;
}

/** Reads the settings. Empty variables count as absent. */
export function readAdminSettings(env: NodeJS.ProcessEnv = process.env): AdminSettings {
  const { MESHD_POSTGRES_URL: postgres, MESHD_DIRECTORY_URL: directory } = env;
  return { postgresUrls: postgres ? [postgres] : [], directoryUrl: directory || undefined };
}

/** Where the shards are, and the files that an operator comes with, as services are given them. */
export interface OperatorSettings {
  readonly shards: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly caFile: string | undefined;
}

/** Reads the settings. Empty variables count as absent. */
export function readOperatorSettings(env: NodeJS.ProcessEnv = process.env): OperatorSettings {
  const { MESHD_SHARDS, MESHD_RPC_CERT_FILE, MESHD_RPC_KEY_FILE, MESHD_RPC_CA_FILE } = env;
  return {
    shards: MESHD_SHARDS || undefined,
    certFile: MESHD_RPC_CERT_FILE || undefined,
    keyFile: MESHD_RPC_KEY_FILE || undefined,
    caFile: MESHD_RPC_CA_FILE || undefined,
  };
}

/** Name servers and places of services that the environment names, as services are given them. */
export function readDiscoveryTexts(env: NodeJS.ProcessEnv = process.env): DiscoveryTexts {
  const { MESHD_DISCOVERY_SERVERS: servers, MESHD_DISCOVERY_OVERRIDES: overrides } = env;
  return { servers, overrides };
}

/** Whether errors are told with their trace (`MESH_DEBUG=1`). */
export function readDebug(env: NodeJS.ProcessEnv = process.env): boolean {
  return env.MESH_DEBUG === '1';
}

/** Milliseconds since 1970, UTC. */
export function currentMs(): number {
  return Date.now();
}
