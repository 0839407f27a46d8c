/**
 * All that a provider keeps and writes, as octets: every value of every table, everything in Redis and all that was ever said
 * to it (jobs leave it when they are done), its logs, and the files of its service.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';

/** A place where something may lie. */
export interface Kept {
  readonly where: string;
  readonly octets: Buffer;
}

const between = Buffer.from('\n');
const joined = (parts: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.flatMap((part) => [Buffer.from(part as string), between]));

/** Every table of a database, rows as text and octets as they are. */
export async function databaseContents(url: string): Promise<Kept[]> {
  const client = new pg.Client({ connectionString: url, types: { getTypeParser: () => (text: string) => text } });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ schema: string; name: string }>(
      `SELECT table_schema AS schema, table_name AS name FROM information_schema.tables
       WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
    );
    const kept: Kept[] = [];
    for (const { schema, name } of tables) {
      const { rows } = await client.query<Record<string, string | null>>(`SELECT * FROM "${schema}"."${name}"`);
      const values = rows.flatMap((row) => Object.values(row).filter((value) => value !== null));
      kept.push({ where: `table ${name}`, octets: joined(values.map(octetsOf)) });
    }
    return kept;
  } finally {
    await client.end();
  }
}

const octetsOf = (value: string) => (value.startsWith('\\x') ? Buffer.from(value.slice(2), 'hex') : value);

/** Every key in Redis, with what is under it. */
export async function redisContents(url: string): Promise<Kept[]> {
  const client = new Redis(url);
  try {
    const keys = await client.keys('*');
    const values = await Promise.all(keys.map((key) => redisValue(client, key)));
    return keys.map((key, at) => ({ where: `Redis ${key}`, octets: joined([key, ...(values[at] ?? [])]) }));
  } finally {
    client.disconnect();
  }
}

async function redisValue(client: Redis, key: string): Promise<(string | Buffer)[]> {
  const type = await client.type(key);
  switch (type) {
    case 'none':
      return [];
    case 'string':
      return [(await client.getBuffer(key)) ?? ''];
    case 'hash':
      return Object.entries(await client.hgetallBuffer(key)).flat();
    case 'list':
      return client.lrangeBuffer(key, 0, -1);
    case 'set':
      return client.smembersBuffer(key);
    case 'zset':
      return client.zrangeBuffer(key, '0', '-1');
    case 'stream':
      return (await client.xrangeBuffer(key, '-', '+')).flatMap(([id, fields]) => [id, ...(fields ?? [])]);
    default:
      throw new Error(`nobody has said how a ${type} of Redis is read`);
  }
}

/** Listens to all that is said to Redis. */
export class RedisListener {
  readonly #client: Redis;
  readonly #heard: string[] = [];

  private constructor(client: Redis) {
    this.#client = client;
  }

  static async start(url: string): Promise<RedisListener> {
    const client = new Redis(url);
    const listener = new RedisListener(await client.monitor());
    client.disconnect();
    listener.#client.on('monitor', (_time: string, said: string[]) => listener.#heard.push(...said));
    return listener;
  }

  get heard(): Kept {
    return { where: 'what was said to Redis', octets: joined(this.#heard) };
  }

  stop(): void {
    this.#client.disconnect();
  }
}

/** The files below a folder. */
export async function folderContents(folder: string): Promise<Kept[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return Promise.all(files.map(async (path) => ({ where: `file ${path}`, octets: await readFile(path) })));
}
