/**
 * Brings a database to the form this code was written for: numbered files in `migrations/`, each run once, never edited
 * after its release (a changed file is noticed by its checksum).
 */
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import Postgrator from 'postgrator';

const folder = (name: string): string => fileURLToPath(new URL(`../../migrations/${name}/*.do.*.sql`, import.meta.url));
/** Any fixed number of our own: two processes that start at once migrate one after the other. */
const lockNumber = 0x6d657368;

async function migrate(url: string, name: 'shard' | 'directory'): Promise<number> {
  const client = new pg.Client({ connectionString: url, application_name: 'meshd migrations' });
  client.on('error', () => {}); // whoever waits for an answer learns of it there
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [lockNumber]);
    const postgrator = new Postgrator({
      driver: 'pg',
      migrationPattern: folder(name),
      schemaTable: `${name}_schema_version`,
      newline: 'LF',
      execQuery: (query) => client.query(query),
      // a script of several statements is one transaction of its own
      execSqlScript: async (script) => void (await client.query(script)),
    });
    await postgrator.migrate();
    return await postgrator.getDatabaseVersion();
  } finally {
    await client.end();
  }
}

/**
 * Migrates the database of one shard; doing it again changes nothing.
 *
 * @returns the version reached
 */
export function migrateShard(url: string): Promise<number> {
  return migrate(url, 'shard');
}

/** The same for the directory database. */
export function migrateDirectory(url: string): Promise<number> {
  return migrate(url, 'directory');
}
