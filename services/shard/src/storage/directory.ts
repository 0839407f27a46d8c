/**
 * A shard's copy of the directory, kept fresh: the database notifies of every change, and a slow look at the version
 * finds what a lost notification would have told.
 */
import { directoryPollMs } from '@meshd/limits/limits';
import { slotCount } from '@meshd/schema/address';
import type pg from 'pg';
import { type ClientMaker, keeperConfig, makeClient, rowsOf, storageError } from './database.js';
import { StorageError } from './errors.js';
import type { SlotTable } from './slot-table.js';
import * as sql from './sql/directory.js';

/** What {@link openDirectory} needs. */
export interface DirectoryOptions {
  /** Database of the directory, migrated already. */
  readonly url: string;
  readonly shardName: string;
  /** `host:port` under which routers reach this shard. */
  readonly address: string;
  /** All shards of the provider: the slots are spread over them when the directory is made. */
  readonly shardNames: readonly string[];
  /** The copy may be old; for the log. */
  readonly onError: (error: StorageError) => void;
  readonly makeClient?: ClientMaker;
}

/** The copy. */
export interface Directory {
  /** The newest version seen. */
  table(): SlotTable;
  /** Calls the listener at each new version; returns what ends that. */
  onChange(listener: (table: SlotTable) => void): () => void;
  /** For readiness: empty while the copy is fresh. */
  problems(): readonly string[];
  stop(): Promise<void>;
}

async function inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** Spreads the slots where nobody has yet, and says where this shard listens. */
async function makeAndPlace(client: pg.Client, options: DirectoryOptions): Promise<void> {
  const { shardName, shardNames, address } = options;
  await client.query('BEGIN');
  try {
    await rowsOf(client, sql.lockDirectory);
    const [slots] = await rowsOf<[number]>(client, sql.countSlots);
    if (slots?.[0] === 0) {
      if (!shardNames.includes(shardName)) throw new StorageError('invalid', `${shardName} is not among the shards`);
      await rowsOf(client, sql.insertShards(shardNames));
      await rowsOf(client, sql.spreadSlots(shardNames));
    }
    // a start that changes nothing makes no new version
    const placed = await rowsOf(client, sql.selectShardAt(shardName, address));
    if (placed.length === 0) await rowsOf(client, sql.placeShard(shardName, address));
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

function readTable(client: pg.Client): Promise<SlotTable> {
  return inTransaction(client, async () => {
    const [version] = await rowsOf<[number]>(client, sql.selectVersion);
    const slots = await rowsOf<[number, string]>(client, sql.selectSlots);
    if (slots.length !== slotCount) throw new StorageError('invalid', `the directory has ${slots.length} slots`);
    return {
      version: version?.[0] ?? 0,
      shards: slots.map(([, shard]) => shard),
      exceptions: new Map(await rowsOf<[string, string]>(client, sql.selectExceptions)),
      addresses: new Map(await rowsOf<[string, string]>(client, sql.selectAddresses)),
    };
  });
}

/**
 * Opens the directory, making it where this is the first shard ever.
 *
 * @throws StorageError
 */
export async function openDirectory(options: DirectoryOptions): Promise<Directory> {
  const listeners = new Set<(table: SlotTable) => void>();
  let client: pg.Client | undefined;
  let failure: StorageError | undefined;
  let stopped = false;
  let changedMeanwhile = false;
  let onNotification = (): void => {
    changedMeanwhile = true;
  };

  const connect = async (): Promise<pg.Client> => {
    const made = (options.makeClient ?? makeClient)(keeperConfig(options.url));
    const forget = (): void => {
      if (client === made) client = undefined;
    };
    made.on('error', forget).on('end', forget);
    // While the directory is being opened other shards may place themselves: looked at once it is open.
    made.on('notification', () => onNotification());
    await made.connect();
    await rowsOf(made, sql.listenDirectory);
    return made;
  };

  const start = async (): Promise<SlotTable> => {
    client = await connect();
    await makeAndPlace(client, options);
    return readTable(client);
  };
  let table: SlotTable;
  try {
    table = await start();
  } catch (error) {
    await client?.end().catch(() => {});
    throw storageError(error);
  }

  let running: Promise<void> | undefined;
  let again = false;
  /** One at a time; a change that comes meanwhile is looked at afterwards. */
  const refresh = (): Promise<void> => {
    again = true;
    running ??= (async () => {
      while (again && !stopped) {
        again = false;
        await look();
      }
    })().finally(() => {
      running = undefined;
    });
    return running;
  };
  const look = async (): Promise<void> => {
    try {
      client ??= await connect();
      const [version] = await rowsOf<[number]>(client, sql.selectVersion);
      failure = undefined;
      if (version?.[0] === table.version) return;
      table = await readTable(client);
      for (const listener of listeners) listener(table);
    } catch (error) {
      failure = storageError(error);
      if (!stopped) options.onError(failure);
    }
  };
  onNotification = () => void refresh();
  if (changedMeanwhile) onNotification();
  const timer = setInterval(() => void refresh(), directoryPollMs);
  timer.unref();

  return {
    table: () => table,
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    problems: () => (failure === undefined ? [] : [`directory: ${failure.message}`]),
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      listeners.clear();
      await running;
      await client?.end().catch(() => {});
    },
  };
}
