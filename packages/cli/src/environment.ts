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

/** Name servers and places of services that the environment names, as services are given them. */
export function readDiscoveryTexts(env: NodeJS.ProcessEnv = process.env): DiscoveryTexts {
  const { MESHD_DISCOVERY_SERVERS: servers, MESHD_DISCOVERY_OVERRIDES: overrides } = env;
  return { servers, overrides };
}

/** Milliseconds since 1970, UTC. */
export function currentMs(): number {
  return Date.now();
}
