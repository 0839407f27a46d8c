/** Whose messages are taken: what people say (`mesh contact`), and what operators say in their settings (semantics 8.3). */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeEnvelope } from '@meshd/dare/envelope';
import { ProfileAccount } from '@meshd/schema/profiles';
import { publicMember, signedObject, testKey } from '@meshd/shard/testing/person';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Person, startTwoProviders, type TwoProviders } from '../outbound/two-providers.js';

let two: TwoProviders;
let alice: Person;
let bob: Person;
beforeAll(async () => {
  two = await startTwoProviders({
    // A provider for development: whoever the other one vouches for may write, known or not.
    'alpha.test': { MESHD_MESSAGE_DOMAINS_OPEN: 'beta.test' },
    'beta.test': { MESHD_MESSAGE_TYPES_REFUSED: 'Advertisement' },
  });
  [alice, bob] = await Promise.all([two.person('alice', two.alpha), two.person('bob', two.beta)]);
}, 400_000);
afterAll(() => two?.stop());

const waiting = { timeout: 60_000, interval: 500 };

/** Sends a message in clear; what came of it in the end. */
async function fateOf(from: Person, to: Person, type: string): Promise<string> {
  const { messages } = await from.run('message', 'send', to.address, '--type', type, '--clear');
  const { id } = messages[0];
  let result = '';
  await expect
    .poll(async () => {
      const listed = (await from.run('message', 'list', '--box', 'outbound')).messages;
      result = listed.find((message: { id: string }) => message.id === id)?.deliveries[0]?.result ?? '';
      return result;
    }, waiting)
    .toMatch(/delivered|refused/);
  return result;
}

describe('[R186] a person', () => {
  it('[R005] [R183] takes requests for contact of strangers, and nothing else, until she says so', async () => {
    expect(await fateOf(alice, bob, 'RequestContact')).toBe('delivered');
    expect(await fateOf(alice, bob, 'Note')).toBe('refused');
    await bob.run('contact', 'allow', alice.address, '--types', 'Note');
    expect(await fateOf(alice, bob, 'Note')).toBe('delivered');
    await bob.run('contact', 'allow', alice.address, '--block');
    expect(await fateOf(alice, bob, 'Note')).toBe('refused');
  }, 180_000);

  it('[S72] keeps whom she knows: another account’s card for the same address is refused', async () => {
    const { card } = await alice.run('contact', 'card');
    const [own, another] = [join(two.folder, 'alice.card'), join(two.folder, 'another.card')];
    const key = testKey('another offline');
    const profile = {
      ...{ Updated: new Date(), KeyOfflineSignature: publicMember(key), KeysOnlineSignature: [] },
      ...{ KeyEncryption: publicMember(testKey('another encryption')), ServiceIDs: [alice.address] },
    };
    await writeFile(own, card);
    await writeFile(another, writeEnvelope(signedObject(ProfileAccount, profile, key), 'json'));
    const known = await bob.run('contact', 'allow', alice.address, '--types', 'Note', '--card', own);
    expect(known.account).toMatch(/^M/);
    await expect(bob.run('contact', 'allow', alice.address, '--card', another)).rejects.toThrow(
      /was another account before/,
    );
    expect(await fateOf(alice, bob, 'Note')).toBe('delivered');
  }, 180_000);
});

describe('[R155] what people write', () => {
  it('is encrypted to the recipient whose key is known, and stands in clear in no database', async () => {
    const { card } = await bob.run('contact', 'card');
    const [bobs, note] = [join(two.folder, 'bob.card'), join(two.folder, 'note.json')];
    const words = 'nobody else is to read this';
    await writeFile(bobs, card);
    await writeFile(note, JSON.stringify({ Text: words }));
    await alice.run('contact', 'allow', bob.address, '--card', bobs);
    await bob.run('contact', 'allow', alice.address, '--types', '*');
    const { messages } = await alice.run('message', 'send', bob.address, '--type', 'Note', '--file', note);
    expect(messages).toMatchObject([{ encrypted: true }]);
    const arrived = async () => (await bob.run('message', 'list')).messages.map(({ id }: { id: string }) => id);
    await expect.poll(arrived, waiting).toContain(messages[0].id);
    expect((await bob.run('message', 'show', messages[0].id)).body).toMatchObject({ Text: words });
    for (const url of [...two.alpha.databases.shards, ...two.beta.databases.shards]) {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      const { rows } = await client.query('SELECT payload FROM frame WHERE position($1::bytea in payload) > 0', [
        Buffer.from(words),
      ]);
      await client.end();
      expect(rows).toEqual([]);
    }
  }, 180_000);
});

describe('[R187] an operator', () => {
  it('opens to a domain: its people write without being known', async () => {
    expect(await fateOf(bob, alice, 'Note')).toBe('delivered');
  }, 120_000);

  it('[R156] excludes a type, both ways', async () => {
    await bob.run('contact', 'allow', alice.address, '--types', '*');
    expect(await fateOf(alice, bob, 'Advertisement')).toBe('refused');
    await expect(bob.run('message', 'send', alice.address, '--type', 'Advertisement', '--clear')).rejects.toThrow();
  }, 120_000);
});
