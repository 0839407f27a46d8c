/** What happens when a stored frame is not what was written. */
import { entry, opening, Person, TestWriter } from '@meshd/shard/testing/person';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ShardKit } from './shard-kit.js';

let kit: ShardKit;

beforeAll(async () => {
  kit = await ShardKit.make();
  await kit.start();
});

afterAll(() => kit.remove());

/** As somebody with the database in hand would. */
async function overwriteFrames(): Promise<void> {
  const client = new pg.Client({ connectionString: kit.databaseUrl() });
  await client.connect();
  try {
    await client.query("SET session_replication_role = 'replica'");
    await client.query('UPDATE frame SET payload = $1 WHERE octet_length(payload) = 4000', [Buffer.alloc(4000)]);
  } finally {
    await client.end();
  }
}

test('a damaged frame is not given out; its container takes nothing more, the incident is recorded, others go on', async () => {
  const alice = new Person('alice');
  const device = alice.device();
  await kit.create(alice);
  const writer = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
  const body = new Uint8Array(4000).fill(7);
  const whole = writer.write([opening(), entry({ UniqueID: 'a', Event: 'New' }, body)]).envelopes;
  expect((await kit.upload(device, 'mmm_Credential', whole)).outcome).toMatchObject({ status: 201 });
  await overwriteFrames();
  const read = kit.download(device, 'mmm_Credential').then(({ frames }) => frames.length);
  expect(await read.catch(() => 'broken off')).not.toBe(2);
  const next = writer.write([entry({ UniqueID: 'b', Event: 'New' })]).envelopes;
  expect((await kit.upload(device, 'mmm_Credential', next)).outcome?.status).toBe(503);
  const bookmarks = new TestWriter('mmm_Bookmark', alice.accountUdf, device.signature);
  const other = await kit.upload(device, 'mmm_Bookmark', bookmarks.write([opening()]).envelopes);
  expect(other.outcome).toMatchObject({ status: 201 });
  const client = new pg.Client({ connectionString: kit.databaseUrl() });
  await client.connect();
  const { rows } = await client.query(
    "SELECT payload FROM frame WHERE encode(payload, 'escape') LIKE '%frame-damaged%'",
  );
  await client.end();
  expect(rows).toHaveLength(1);
});
