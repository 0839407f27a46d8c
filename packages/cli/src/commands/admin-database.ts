/** `mesh-admin database`: brings databases to the form that this version of the services expects. */
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { readAdminSettings } from '../environment.js';

interface MigrateFlags {
  readonly postgres?: readonly string[];
  readonly directory?: string;
}

async function migrate(io: CommandIo, flags: MigrateFlags): Promise<void> {
  const settings = readAdminSettings();
  const shards = flags.postgres ?? settings.postgresUrls;
  const directory = flags.directory ?? settings.directoryUrl;
  if (shards.length === 0 && directory === undefined) {
    throw new UsageError(
      'no database named: give --postgres or --directory, or set MESHD_POSTGRES_URL, MESHD_DIRECTORY_URL',
    );
  }
  // Loaded here: the other commands need no database driver.
  const { migrateDirectory, migrateShard } = await import('@meshd/shard/storage/migrate');
  const versions: { database: string; version: number }[] = [];
  for (const url of shards) versions.push({ database: 'shard', version: await migrateShard(url) });
  if (directory !== undefined) versions.push({ database: 'directory', version: await migrateDirectory(directory) });
  io.print({ databases: versions }, () =>
    versions.map(({ database, version }) => `${database}: version ${version}`).join('\n'),
  );
}

/** Adds the group to the program. */
export function registerAdminDatabaseCommands(program: Command, io: CommandIo): void {
  commandGroup(program, 'database', 'the databases of shards and directory')
    .command('migrate')
    .description('run the migrations that are missing; running it again changes nothing')
    .option('--postgres <url...>', 'databases of shards (default: MESHD_POSTGRES_URL)')
    .option('--directory <url>', 'database of the directory (default: MESHD_DIRECTORY_URL)')
    .action((flags: MigrateFlags) => migrate(io, flags));
}
