/** The settings of every program that the manifests and the compose file start. */
import { prepareConfigSchema, renewConfigSchema } from '@meshd/deploy/config';
import { outboundConfigSchema } from '@meshd/outbound/config';
import { settingNames } from '@meshd/process/config';
import { routerConfigSchema } from '@meshd/router/config';
import { shardSettings } from '@meshd/shard/config';
import type { z } from 'zod';

/** Schemas by the name of the program. */
export const schemas: Readonly<Record<string, z.ZodObject>> = {
  router: routerConfigSchema,
  shard: shardSettings,
  outbound: outboundConfigSchema,
  prepare: prepareConfigSchema,
  'renew-hosts': renewConfigSchema,
};

/** What `mesh-admin database migrate` takes; names of the shard's own settings. */
const migrateNames = ['MESHD_POSTGRES_URL', 'MESHD_DIRECTORY_URL'];

/** Names of the settings of a program. */
export function namesOf(program: string): string[] {
  if (program === 'migrate') return migrateNames;
  const schema = schemas[program];
  if (schema === undefined) throw new Error(`no settings are known for ${program}`);
  return settingNames(schema);
}

/** The program that a container starts, from the image's name or its command. */
export function programOf(image: string, command: readonly string[] | undefined): string {
  const line = (command ?? []).join(' ');
  if (line.includes('mesh-admin.mjs database migrate')) return 'migrate';
  if (line.includes('deploy/dist/')) return /deploy\/dist\/([a-z-]+)\.js/.exec(line)?.[1] ?? line;
  return /^meshd-([a-z]+):/.exec(image)?.[1] ?? image;
}
