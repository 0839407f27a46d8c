/** A backup of a shard's database, taken and put back while no shard uses it. */
import pg from 'pg';

/** Runs statements beside a database, which nobody uses meanwhile. */
async function besides(databaseUrl: string, statements: (name: string) => readonly string[]): Promise<void> {
  const url = new URL(databaseUrl);
  const name = url.pathname.slice(1);
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    for (const statement of statements(name)) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Copies the database as it is. */
export function backUp(databaseUrl: string): Promise<void> {
  return besides(databaseUrl, (name) => [`CREATE DATABASE "${name}_backup" TEMPLATE "${name}"`]);
}

/** Puts the copy in place of the database, which is lost. */
export function restore(databaseUrl: string): Promise<void> {
  return besides(databaseUrl, (name) => [
    `DROP DATABASE "${name}" WITH (FORCE)`,
    `CREATE DATABASE "${name}" TEMPLATE "${name}_backup"`,
    `DROP DATABASE "${name}_backup"`,
  ]);
}
