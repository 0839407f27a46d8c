/** What the database itself refuses, whoever asks: gaps, changes, frames that were made for another length. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  append,
  makeAccount,
  openTestStore,
  shardDatabase,
  type TestDatabase,
  TestStores,
  testFrame,
} from './test-kit.js';

let database: TestDatabase;
let stores: TestStores;
beforeAll(async () => {
  database = await shardDatabase();
  stores = new TestStores(database);
});
afterEach(() => stores.stop());
afterAll(() => database.drop());

describe('the database refuses', () => {
  let containerId: string;
  beforeAll(async () => {
    const store = await openTestStore(database.url);
    await makeAccount(store, 'raw@example.com');
    await append(store, 'raw@example.com', 'mmm_Credential', [testFrame(), testFrame()]);
    await store.stop();
    const [row] = await database.query<{ id: string }>(
      `SELECT c.id FROM container c JOIN account a ON a.id = c.account_id WHERE a.address = 'raw@example.com'`,
    );
    containerId = row?.id ?? '';
  });
  const insert = (index: number, more: Record<string, unknown> = {}) => {
    const row = {
      container_id: containerId,
      frame_index: index,
      stored_at_ms: 1,
      header: Buffer.from('{}'),
      ...digests(),
      ...more,
    };
    const names = Object.keys(row);
    return database.query(
      `INSERT INTO frame (${names.join(', ')}) VALUES (${names.map((_, at) => `$${at + 1}`).join(', ')})`,
      Object.values(row),
    );
  };
  const digests = () => ({ payload_digest: randomBytes(64), tree_digest: randomBytes(64), leaf: randomBytes(32) });
  const raise = (count: number) =>
    database.query('UPDATE container SET frame_count = $2 WHERE id = $1', [containerId, count]);

  it('a gap, a frame beyond the count, a second frame at an index, a frame of no container', async () => {
    await expect(insert(3)).rejects.toThrow('do not continue');
    await expect(insert(4)).rejects.toThrow('do not continue');
    await expect(insert(2)).rejects.toThrow('frame_pkey');
    await expect(insert(0, { container_id: 999_999_999 })).rejects.toThrow('do not continue');
    await expect(insert(-1)).rejects.toThrow('frame_frame_index_check');
    await database.query('BEGIN');
    await raise(9);
    await expect(insert(4)).rejects.toThrow('do not continue');
    await database.query('ROLLBACK');
  });

  it('digests of another size', async () => {
    for (const name of ['payload_digest', 'tree_digest', 'leaf']) {
      await expect(insert(3, { [name]: randomBytes(20) })).rejects.toThrow(`frame_${name}_check`);
    }
  });

  it('to change or delete frames, or to shorten a container', async () => {
    for (const text of ['UPDATE frame SET stored_at_ms = 2', `UPDATE frame SET payload = ''`, 'TRUNCATE frame']) {
      await expect(database.query(text)).rejects.toThrow('never changed');
    }
    await expect(database.query('DELETE FROM frame WHERE container_id = $1', [containerId])).rejects.toThrow('expired');
    await expect(database.query('DELETE FROM container WHERE id = $1', [containerId])).rejects.toThrow('expired');
    await expect(raise(2)).rejects.toThrow('shortened');
    await expect(database.query(`UPDATE container SET log_id = log_id || ''::bytea, name = 'x'`)).rejects.toThrow(
      'identity',
    );
  });

  it('frames of a container that was found damaged', async () => {
    await database.query('UPDATE container SET damaged = true, frame_count = 4 WHERE id = $1', [containerId]);
    await expect(insert(3)).rejects.toThrow('do not continue');
  });

  it('an append that was made for another frame count, however the memory came to it', async () => {
    const store = await stores.open();
    await makeAccount(store, 'behind@example.com');
    await store.readAccount('behind@example.com', () => {});
    // somebody else writes behind the back of the cache: ahead of it, then without frames at all
    await database.query(
      `UPDATE container SET frame_count = frame_count + 1 FROM account a
       WHERE a.id = account_id AND a.address = 'behind@example.com'`,
    );
    const frame = testFrame();
    await expect(append(store, 'behind@example.com', 'mmm_Credential', [frame])).rejects.toMatchObject({
      code: 'stale',
    });
    await expect(append(store, 'behind@example.com', 'mmm_Credential', [frame])).rejects.toMatchObject({
      code: 'stale',
    });
    expect(await stores.leavesOf('behind@example.com', 'mmm_Credential')).toHaveLength(1);
  });
});
