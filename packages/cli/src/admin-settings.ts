/** What `mesh-admin` takes from the environment: the only place in this package that reads it. */

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
