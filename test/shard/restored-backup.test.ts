/** A shard whose database is an old backup: devices bring back what they have, and history goes on where it was (S47). */
import { type LogState, root, verifyConsistency } from '@meshd/dare/log-tree';
import { entry, opening, Person, TestWriter } from '@meshd/shard/testing/person';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backUp, restore } from './database-backup.js';
import { ShardKit } from './shard-kit.js';

let kit: ShardKit;
beforeAll(async () => {
  kit = await ShardKit.make();
  await kit.start();
});
afterAll(() => kit.remove());

test('[S47] a device brings back, verbatim, what the service had lost; the history is the same, the incident recorded', async () => {
  const alice = new Person('alice');
  const [first, second] = [alice.device(), alice.device('second')];
  const devices = await kit.join(alice, first);
  const listed = devices.write([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]).envelopes;
  await kit.upload(first, 'mmm_Device', listed);
  const container = 'mmm_Credential';
  const writer = new TestWriter(container, alice.accountUdf, second.signature);
  const batch = (...ids: string[]) => writer.write(ids.map((id) => entry({ UniqueID: id, Event: 'New' }))).envelopes;
  await kit.upload(second, container, [...writer.write([opening()]).envelopes]);
  await kit.upload(second, container, batch('a', 'b'));
  const sizeAt = async () => (await kit.status(first)).containers.find((each) => each.container === container)?.index;

  await kit.stop();
  await backUp(kit.databaseUrl());
  await kit.start();
  const lost = [batch('c'), batch('d', 'e', 'f'), batch('g')];
  for (const envelopes of lost) {
    expect((await kit.upload(second, container, envelopes)).outcome).toMatchObject({ status: 201 });
  }
  const before: LogState = writer.trees.log;
  await kit.stop();
  await restore(kit.databaseUrl());
  await kit.start();

  expect(await sizeAt()).toBe(3);
  for (const envelopes of lost) {
    expect((await kit.upload(first, container, envelopes)).outcome).toMatchObject({ status: 201 });
  }
  expect(await sizeAt()).toBe(before.frameCount);
  const after = batch('h');
  expect((await kit.upload(second, container, after)).outcome).toMatchObject({ status: 201 });
  const { parts } = await kit.download(first, container, {}, { indexMin: 8, proveFrom: before.frameCount });
  const begin = parts.find((part) => part.$case === 'container');
  const path = begin?.$case === 'container' ? begin.value.consistency : [];
  const [fromRoot, toRoot] = [root(before), root(writer.trees.log)];
  const counts = { fromCount: before.frameCount, toCount: before.frameCount + 1 };
  expect(verifyConsistency({ ...counts, fromRoot, toRoot, path })).toBe(true);

  const client = new pg.Client({ connectionString: kit.databaseUrl() });
  await client.connect();
  const { rows } = await client.query(
    "SELECT encode(payload, 'escape') AS text FROM frame WHERE encode(payload, 'escape') LIKE '%history-restored%'",
  );
  await client.end();
  expect(rows).toHaveLength(lost.length);
  expect(rows[0].text).toContain(`${container} 3..3`);
});
