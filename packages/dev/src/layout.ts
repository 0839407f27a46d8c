/** Where a provider that we start keeps its things. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isReachable, serverUser } from './reach.js';

/** Paths below a provider's data folder. */
export interface Layout {
  /** The data folder itself, absolute. */
  readonly data: string;
  /** Keys, profiles and connections of service and hosts. */
  readonly service: string;
  /** Certificates. */
  readonly tls: string;
  readonly logs: string;
  /** The Postgres cluster; below the data folder unless the user that Postgres runs as cannot get there. */
  readonly postgres: string;
  /** For scripts: where the provider answers. There only while it runs. */
  readonly providerFile: string;
  /** Who uses the data folder now, and which programs it started. */
  readonly lockFile: string;
}

/** What is made once for a data folder and kept. */
export interface LocalSecrets {
  /** Distinguishes this provider's databases from those of others on a shared server. */
  readonly id: string;
  readonly postgresPassword: string;
  readonly redisPassword: string;
}

/** Works out the layout and makes the folders; reads the secrets, or makes them at the first time. */
export async function prepareLayout(folder: string): Promise<Layout & { readonly secrets: LocalSecrets }> {
  const data = resolve(folder);
  await mkdir(data, { recursive: true });
  const secrets = await localSecrets(data);
  const below = join(data, 'postgres');
  const reachable = await isReachable(join(below, 'cluster/PG_VERSION'), serverUser());
  const layout = {
    data,
    service: join(data, 'service'),
    tls: join(data, 'tls'),
    logs: join(data, 'logs'),
    // by the data's own name, not by its path: a data folder made anew must not meet the cluster of an old one
    postgres: reachable ? below : join('/var/lib/meshd', secrets.id),
    secrets,
    providerFile: join(data, 'provider.json'),
    lockFile: join(data, 'running.json'),
  };
  for (const path of [layout.service, layout.tls, layout.logs]) await mkdir(path, { recursive: true, mode: 0o700 });
  await mkdir(layout.postgres, { recursive: true });
  return layout;
}

async function localSecrets(data: string): Promise<LocalSecrets> {
  const file = join(data, 'local-secrets.json');
  const made = {
    id: randomBytes(4).toString('hex'),
    postgresPassword: randomBytes(18).toString('hex'),
    redisPassword: randomBytes(18).toString('hex'),
  };
  try {
    await writeFile(file, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return JSON.parse(await readFile(file, 'utf8')) as LocalSecrets;
  }
}
