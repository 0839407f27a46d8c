/** For the tests of this folder: databases, accounts and frames that are well-formed as far as the storage looks. */
import { hash, randomBytes } from 'node:crypto';
import pg from 'pg';
import { openStore } from './open-store.js';
import type {
  AccountFields,
  CatalogKey,
  ContainerState,
  ContainerWrite,
  FrameWrite,
  SeenWrite,
  Store,
} from './store.js';
import type { StoreOptions } from './store-options.js';

/** What the test run offers: the address of its server, and how the names of its migrated databases begin. */
function offered(name: 'POSTGRES_URL' | 'TEMPLATES'): string {
  const value = process.env[`MESHD_TEST_${name}`];
  if (value === undefined) throw new Error('run through vitest: its set-up starts Postgres');
  return value;
}

/** A database of its own. */
export interface TestDatabase {
  readonly url: string;
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  drop(): Promise<void>;
}

/** Makes a database that is empty, or a copy of another. */
export async function emptyDatabase(template = 'template1'): Promise<TestDatabase> {
  const name = `storage_${randomBytes(6).toString('hex')}`;
  const admin = new pg.Client({ connectionString: offered('POSTGRES_URL') });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = new URL(offered('POSTGRES_URL'));
  url.pathname = `/${name}`;
  const client = new pg.Client({ connectionString: url.href });
  client.on('error', () => {});
  await client.connect();
  let last: Promise<unknown> = Promise.resolve();
  return {
    url: url.href,
    // one after the other on one connection, so that a test may open a transaction with it
    query: <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) => {
      const answer = last.then(async () => (await client.query<Row>(text, values)).rows);
      last = answer.catch(() => {});
      return answer;
    },
    drop: async () => {
      await client.end();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}

/** Makes a database of a shard. */
export function shardDatabase(): Promise<TestDatabase> {
  return emptyDatabase(`${offered('TEMPLATES')}_shard_0`);
}

/** Opens its storage. */
export function openTestStore(url: string, options: Partial<StoreOptions> = {}): Promise<Store> {
  return openStore({
    url,
    shardName: 'shard-0',
    now: () => Date.now(),
    onLeaseLost: () => {},
    onDamaged: () => {},
    ...options,
  });
}

/** Any number of storages on one database; a test stops those that it opened. */
export class TestStores {
  readonly database: TestDatabase;
  readonly #open: Store[] = [];

  constructor(database: TestDatabase) {
    this.database = database;
  }

  async open(options: Partial<StoreOptions> = {}): Promise<Store> {
    const store = await openTestStore(this.database.url, options);
    this.#open.push(store);
    return store;
  }

  async stop(): Promise<void> {
    for (const store of this.#open.splice(0)) await store.stop();
  }

  /** Leaves of a container's frames, in order, straight from the database. Throws where a frame is missing. */
  async leavesOf(address: string, name: string): Promise<string[]> {
    const rows = await this.database.query<{ leaf: Buffer; frame_index: string }>(
      `SELECT leaf, frame_index FROM frame JOIN container c ON c.id = container_id JOIN account a ON a.id = c.account_id
       WHERE a.address = $1 AND c.name = $2 ORDER BY frame_index`,
      [address, name],
    );
    if (rows.some(({ frame_index: index }, at) => Number(index) !== at)) throw new Error(`${name} has a gap`);
    return rows.map(({ leaf }) => leaf.toString('hex'));
  }
}

/** A frame with a random payload. */
export function testFrame(payloadBytes = 64, more: Partial<FrameWrite> = {}): FrameWrite {
  const payload = randomBytes(payloadBytes);
  return {
    ...{ header: Buffer.from('{"dig":"S512"}'), payload, trailer: Buffer.from('{}') },
    ...{ payloadDigest: hash('sha512', payload, 'buffer'), treeDigest: randomBytes(64), leaf: randomBytes(32) },
    nodes: Buffer.alloc(0),
    ...more,
  };
}

/** A batch that opens a container or continues it. */
export function testBatch(
  name: string,
  before: ContainerState | undefined,
  frames: readonly FrameWrite[],
  keys: readonly CatalogKey[] = [],
): ContainerWrite {
  const expectedFrameCount = before?.frameCount ?? 0;
  return {
    ...{ name, expectedFrameCount, frames, keys, manifestFrom: expectedFrameCount + frames.length },
    ...{ dareTree: randomBytes(8 + 64 * 8), logTree: randomBytes(8 + 32 * 4) },
    ...(before === undefined ? { open: { kind: 'catalog', legacy: false, logId: randomBytes(32) } } : {}),
  };
}

/** Fields of an account. */
export function testFields(more: Partial<AccountFields> = {}): AccountFields {
  const envelope = () => ({ header: randomBytes(40), payload: randomBytes(300), trailer: randomBytes(200) });
  return {
    ...{
      status: 'connected',
      meshUdf: 'MMMM',
      accountUdf: 'MAAA',
      meshUpdatedMs: 0,
      accountUpdatedMs: 0,
      ticketsFromMs: 0,
    },
    ...{ profileMesh: envelope(), profileAccount: { ...envelope(), trailer: null } },
    ...{ meshOfflineKey: randomBytes(57), meshOnlineKeys: [randomBytes(57), randomBytes(57)] },
    ...{
      accountOfflineKey: randomBytes(57),
      accountOnlineKeys: [],
      quota: { bytesMax: 2 ** 30, framesMax: 1_000_000 },
      away: null,
    },
    ...more,
  };
}

/** A remembered answer of now. */
export function testSeen(principal: string, more: Partial<SeenWrite> = {}): SeenWrite {
  const id = randomBytes(24);
  id.writeBigUInt64BE(BigInt(Date.now()), 0);
  return { principal, id, digest: randomBytes(64), result: Buffer.from('answer'), ...more };
}

/** Makes an account with some containers of one frame each. */
export async function makeAccount(store: Store, address: string, containers: readonly string[] = ['mmm_Credential']) {
  await store.transactAccount(address, (transactor) =>
    transactor.commit({
      create: testFields(),
      containers: containers.map((name) => testBatch(name, undefined, [testFrame(0)])),
    }),
  );
}

/** Appends frames to a container of an account; the frame count after it. */
export function append(store: Store, address: string, name: string, frames: readonly FrameWrite[]): Promise<number> {
  return store.transactAccount(address, async (transactor) => {
    await transactor.commit({ containers: [testBatch(name, transactor.state?.containers.get(name), frames)] });
    return transactor.state?.containers.get(name)?.frameCount ?? 0;
  });
}

/** Makes the service's account with its two containers. */
export function makeService(store: Store): Promise<void> {
  return store.ensureService(() => ({
    fields: testFields(),
    containers: ['mmm_Account', 'mmm_Incident'].map((name) => testBatch(name, undefined, [testFrame(0)])),
  }));
}

/** A store that has the stores of the service itself. */
export async function openServiceStore(url: string, options: Partial<StoreOptions> = {}): Promise<Store> {
  const store = await openTestStore(url, options);
  await makeService(store);
  return store;
}
