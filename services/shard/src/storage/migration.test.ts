import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { appendLeafKeeping } from '@meshd/dare/log-proof';
import { emptyLog } from '@meshd/dare/log-tree';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { emptyDatabase, type TestDatabase } from './test-kit.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await emptyDatabase();
});
afterAll(() => database.drop());

const script = (name: string) => readFile(new URL(`../../migrations/shard/${name}`, import.meta.url), 'utf8');

it('[S46] frames of the first form get the nodes that they complete', async () => {
  await database.query(await script('001.do.first-form.sql'));
  await database.query(
    `INSERT INTO account (id, address, status, mesh_udf, account_udf, profile_mesh_header, profile_mesh_payload,
       profile_account_header, profile_account_payload, mesh_offline_key, mesh_online_keys, account_offline_key,
       account_online_keys, mesh_updated_ms, account_updated_ms, quota_bytes, quota_frames, created_at_ms)
     VALUES (1, 'old@example.com', 'connected', 'M', 'A', '', '', '', '', $1, '{}', $1, '{}', 0, 0, 0, 0, 1)`,
    [randomBytes(57)],
  );
  const sizes = [1, 2, 13, 64];
  const kept: string[][] = [];
  for (const [at, size] of sizes.entries()) {
    await database.query(
      `INSERT INTO container (id, account_id, name, kind, frame_count, dare_tree, log_tree, log_id, manifest_from, legacy,
         bytes_used) VALUES ($1, 1, $2, 'catalog', $3, '', '', $4, 0, false, 0)`,
      [at + 1, `app_${at}`, size, randomBytes(32)],
    );
    let log = emptyLog;
    kept.push([]);
    for (let index = 0; index < size; index += 1) {
      const leaf = randomBytes(32);
      const next = appendLeafKeeping(log, leaf);
      log = next.log;
      kept[at]?.push(Buffer.concat(next.completed).toString('hex'));
      await database.query(
        `INSERT INTO frame (container_id, frame_index, stored_at_ms, header, payload_digest, tree_digest, leaf)
         VALUES ($1, $2, 1, '', $3, $3, $4)`,
        [at + 1, index, randomBytes(64), leaf],
      );
    }
  }
  await database.query(await script('002.do.proofs-tickets-marks.sql'));
  const rows = await database.query<{ container_id: string; nodes: Buffer }>(
    'SELECT container_id, nodes FROM frame ORDER BY container_id, frame_index',
  );
  const found = sizes.map((_, at) => rows.filter((row) => Number(row.container_id) === at + 1));
  expect(found.map((each) => each.map(({ nodes }) => nodes.toString('hex')))).toEqual(kept);
  await expect(database.query("UPDATE frame SET nodes = ''")).rejects.toThrow('never changed');
});
