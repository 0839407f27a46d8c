import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Directory, openDirectory } from './directory.js';
import { migrateDirectory } from './migrate.js';
import { shardOfAccount, slotMapMessage } from './slot-table.js';
import { emptyDatabase, type TestDatabase } from './test-kit.js';

let database: TestDatabase;
const opened: Directory[] = [];
beforeAll(async () => {
  database = await emptyDatabase();
  await Promise.all([migrateDirectory(database.url), migrateDirectory(database.url)]);
});
afterEach(async () => {
  for (const directory of opened.splice(0)) await directory.stop();
});
afterAll(() => database.drop());

const shardNames = ['shard-0', 'shard-1', 'shard-2'];
async function open(shardName: string, address = `${shardName}:7000`): Promise<Directory> {
  const onError = (error: Error) => {
    throw error;
  };
  const directory = await openDirectory({ url: database.url, shardName, address, shardNames, onError });
  opened.push(directory);
  return directory;
}

describe('directory', () => {
  it('spreads the slots evenly once, whoever comes first', async () => {
    const [first, second] = await Promise.all([open('shard-0'), open('shard-1')]);
    for (const directory of [first, second]) {
      const { shards } = directory.table();
      const sizes = shardNames.map((name) => shards.filter((shard) => shard === name).length);
      expect(sizes.reduce((sum, size) => sum + size)).toBe(4096);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      expect(slotMapMessage(directory.table()).ranges).toHaveLength(3);
      await expect.poll(() => [...directory.table().addresses.keys()]).toEqual(['shard-0', 'shard-1']);
    }
  });

  it('makes no new version by starting again', async () => {
    const before = (await open('shard-0')).table().version;
    expect((await open('shard-0')).table().version).toBe(before);
    expect((await open('shard-0', 'elsewhere:1')).table().version).toBeGreaterThan(before);
  });

  it('tells of changes, and knows accounts that live elsewhere', async () => {
    const directory = await open('shard-0');
    const versions: number[] = [];
    directory.onChange(({ version }) => versions.push(version));
    const before = directory.table();
    // slot 4088
    expect(shardOfAccount(before, 'alice@example.com')).toBe('shard-2');
    await database.query(`INSERT INTO directory_exception VALUES ('alice@example.com', 'shard-1')`);
    await expect.poll(() => versions.length).toBe(1);
    expect(shardOfAccount(directory.table(), 'alice@example.com')).toBe('shard-1');
    expect(slotMapMessage(directory.table()).exceptions).toEqual([{ account: 'alice@example.com', shard: 'shard-1' }]);
    await database.query(`UPDATE directory_slot SET shard = 'shard-0' WHERE slot = 4095`);
    await expect
      .poll(() => slotMapMessage(directory.table()).ranges.at(-1))
      .toEqual({
        ...{ first: 4095, last: 4095, shard: 'shard-0' },
      });
    expect(versions).toEqual([before.version + 1, before.version + 2]);
    expect(shardOfAccount(directory.table(), '@service')).toBeUndefined();
  });

  it('finds back after its connection broke', async () => {
    const directory = await openDirectory({
      ...{ url: database.url, shardName: 'shard-0', address: 'a:1', shardNames },
      onError: () => {},
    });
    opened.push(directory);
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    await database.query(`UPDATE directory_shard SET address = 'b:2' WHERE name = 'shard-0'`);
    await expect.poll(() => directory.table().addresses.get('shard-0'), { timeout: 8000 }).toBe('b:2');
    expect(directory.problems()).toEqual([]);
  });
});
