/** Databases on a Postgres server: made, found, removed. */
import pg from 'pg';

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  // A server that is being stopped ends sessions with an error event; whoever waits for an answer learns of it there.
  client.on('error', () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Whether the server lets us in now. */
export async function canConnect(adminUrl: string): Promise<boolean> {
  try {
    await withClient(adminUrl, (client) => client.query('SELECT 1'));
    return true;
  } catch {
    return false;
  }
}

/** The address of another database on the same server. */
export function databaseUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/**
 * Makes the databases that are missing.
 *
 * @param templateOf the database of which the one of that name is to be a copy; an empty one when absent
 * @returns their addresses, in the same order
 * @throws Error of the server, when it refuses
 */
export function ensureDatabases(
  adminUrl: string,
  names: readonly string[],
  templateOf: (name: string) => string = () => 'template1',
): Promise<string[]> {
  return withClient(adminUrl, async (client) => {
    const { rows } = await client.query<{ datname: string }>('SELECT datname FROM pg_database');
    const present = new Set(rows.map((row) => row.datname));
    for (const name of names.filter((each) => !present.has(each))) {
      const [made, template] = [name, templateOf(name)].map((each) => client.escapeIdentifier(each));
      await client.query(`CREATE DATABASE ${made} TEMPLATE ${template}`);
    }
    return names.map((name) => databaseUrl(adminUrl, name));
  });
}

/** Removes databases, ending whatever sessions they have. */
export function dropDatabases(adminUrl: string, names: readonly string[]): Promise<void> {
  return withClient(adminUrl, async (client) => {
    for (const name of names)
      await client.query(`DROP DATABASE IF EXISTS ${client.escapeIdentifier(name)} WITH (FORCE)`);
  });
}
