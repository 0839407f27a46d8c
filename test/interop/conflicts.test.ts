/** Faults side by side, repetitions in part, and forms at the edge of what is an entry (semantics 5.1, 6.5, 6.6). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, createAccount, creationOf, item, newAddress, uploadCodes } from './kit/account.js';
import { Container } from './kit/container.js';
import { open, type Wire } from './kit/dare.js';
import { newKey } from './kit/keys.js';
import { b64, sha512, utf8, zeros } from './kit/octets.js';
import { codesOf, type Peer } from './kit/peer.js';
import { newPerson } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';

let running: Running;
let peer: Peer;
let account: Account;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
  account = await Account.open(peer);
});
afterAll(() => running?.stop());

let names = 0;
const newName = (): string => {
  names += 1;
  return `app_Edge${names}`;
};
async function opened(...keys: string[]): Promise<Container> {
  const name = newName();
  expect(
    (
      await account.append(
        name,
        keys.map((key) => item(key, '1')),
      )
    ).status,
  ).toBe(201);
  return account.container(name);
}
const key = () => account.device.signature;
const sizeOf = async (name: string): Promise<number | undefined> =>
  (await account.status({ Catalogs: [name] })).message.ContainerStatus?.[0]?.Index;

describe('repetitions', () => {
  it('[R192] in part are none: frames that are there and one that is not: 409/12', async () => {
    const container = await opened('a', 'b');
    const more = container.batch([item('c', '2')], key());
    const Envelopes = [...container.frames.slice(1), ...more];
    expect(await account.upload([{ Container: container.name, Index: 1, Envelopes }])).toMatchObject({
      status: 409,
      extended: 12,
    });
    expect(await sizeOf(container.name)).toBe(3);
  });

  it('[R192] beside something new are both taken', async () => {
    const [old, young] = [await opened('a'), await opened('a')];
    const frames = young.batch([item('b', '2')], key());
    const updates = [{ Container: old.name, Index: 0, Envelopes: old.frames }, account.update(young, frames)];
    const answer = await account.upload(updates);
    expect(answer.status).toBe(201);
    expect(answer.message.Entries?.map(({ IndexContainer }) => IndexContainer)).toEqual([0, 1, 2]);
    expect([await sizeOf(old.name), await sizeOf(young.name)]).toEqual([2, 3]);
  });

  it('[R192] of frames with other metadata are none', async () => {
    const container = await opened('a');
    const [zero, first] = container.frames as [Wire, Wire];
    const [header, payload, trailer] = first;
    const meta = { ContentMetaData: b64(utf8('{"UniqueID":"z","Event":"New"}')) };
    const changed: Wire = [{ ...(header as object), ...meta }, payload, trailer];
    const answer = await account.upload([{ Container: container.name, Index: 0, Envelopes: [zero, changed] }]);
    expect(answer).toMatchObject({ status: 409, extended: 12 });
  });
});

describe('faults side by side', () => {
  it('[R135] a conflict anywhere makes it 409; every entry at fault is named, and no other', async () => {
    const [one, two, three] = [await opened('a'), await opened('a'), await opened('a')];
    const updates = [
      account.update(one, one.batch([item('b', '2')], newKey())),
      account.update(two, two.batch([item('b', '2')], key())),
      account.update(three, three.batch([item('a', '2')], key())),
    ];
    const { status, message } = await account.upload(updates);
    expect(status).toBe(409);
    const entries = message.Entries?.map(({ IndexRequest, Result, StatusExtended }) => [
      IndexRequest,
      Result,
      StatusExtended,
    ]);
    expect(entries).toContainEqual([2, 'Conflict', 13]);
    for (const entry of entries ?? []) expect(entry).not.toEqual([1, expect.anything(), expect.anything()]);
    expect([await sizeOf(one.name), await sizeOf(two.name), await sizeOf(three.name)]).toEqual([2, 2, 2]);
  });

  it('[R236] entries and octets count over all updates: 413', async () => {
    const updates = Array.from({ length: 2 }, () => {
      const container = new Container(newName(), account.subject);
      const first = container.opening(key());
      const entries = Array.from({ length: 500 }, (_, i) => item(`k${i}`, 'x'));
      return account.update(container, [first, ...container.batch(entries, key(), { bare: true }, [first])]);
    });
    expect((await account.upload(updates)).status).toBe(413);
  });
});

describe('forms', () => {
  it('a frame without an index of its own: refused', async () => {
    const container = await opened('a');
    const change = ([header, payload, trailer]: Wire): Wire => [
      { ...(header as object), ContainerInfo: undefined },
      payload,
      trailer,
    ];
    const frames = container.batch([item('b', '2')], key(), { change });
    expect([400, 409]).toContain((await account.upload([account.update(container, frames)])).status);
    expect(await sizeOf(container.name)).toBe(2);
  });

  it('[R137] an empty payload under another digest is a redacted one: it asks, or is refused', async () => {
    const container = await opened('a');
    const change = ([header, , trailer]: Wire): Wire => [
      header,
      '',
      { ...(trailer as object), PayloadDigest: b64(sha512(utf8('2'))) },
    ];
    const frames = container.batch([item('b', '2')], key(), { change, bare: true });
    const answer = await account.upload([account.update(container, frames)]);
    expect([`${answer.status}/${answer.extended ?? ''}`]).toEqual([expect.stringMatching(/^(300\/|400\/11)$/)]);
  });

  it('redacted profiles: 400', async () => {
    const person = newPerson(newAddress());
    const { header, trailer } = open(person.profileAccount);
    const answer = await createAccount(peer, { ...person, profileAccount: [{ ...header, ...trailer }] });
    expect(answer.status).toBe(400);
  });

  it('[R027] MovedTo is told to devices afterwards, or answered with 501', async () => {
    const mine = await Account.open(peer);
    const message = { Account: mine.person.address, MovedTo: 'x@b.example' };
    const left = await peer.call('DeleteAccount', message, [mine.signer, mine.admin]);
    expect([201, 501]).toContain(left.status);
    const asked = await peer.call('Status', { Account: mine.person.address }, [mine.signer]);
    expect([asked.status, asked.extended ?? null]).toEqual(left.status === 201 ? [303, 25] : [201, null]);
  });

  it('[S20] Service is written in lower case', async () => {
    const message = { Account: account.person.address };
    const answer = await peer.call('Status', message, [account.signer], { service: 'Example.COM' });
    expect([201, 400, 401]).toContain(answer.status);
  });

  it('[R290] a domain of other letters is its A-label or nothing', async () => {
    const person = newPerson(`alice@bücher.example`);
    const answer = await peer.call('CreateAccount', creationOf(person), [{ key: person.meshOffline }]);
    expect([400, 403, 404]).toContain(answer.status);
  });
});

describe('large downloads', () => {
  it('[R215] [R261] 1,000 entries are the most, however many are asked for', async () => {
    const name = newName();
    await account.append(
      name,
      Array.from({ length: 999 }, (_, i) => item(`k${i}`, 'x')),
    );
    await account.append(
      name,
      Array.from({ length: 50 }, (_, i) => item(`l${i}`, 'x')),
    );
    const { message } = await account.download([{ Container: name }], { ConstraintsPost: { MaxEntries: 5000 } });
    expect(message.Updates?.[0]?.Envelopes).toHaveLength(1000);
    expect(message.Updates?.[0]).toMatchObject({ Index: 1050, Digest: b64(account.container(name).apex) });
  }, 60_000);

  it('[R217] [R122] 100 messages of 64 KiB come in one answer, signed as a whole', async () => {
    const name = newName();
    await account.append(
      name,
      Array.from({ length: 100 }, (_, i) => item(`k${i}`, zeros(65_000))),
    );
    const answer = await account.download([{ Container: name }], {
      ConstraintsPost: { MaxEntries: 200, BytesMax: 8 * 1024 * 1024 },
    });
    expect(answer.message.Updates?.[0]?.Envelopes).toHaveLength(101);
    expect(codesOf(answer)).toMatchObject({ status: 201 });
  }, 60_000);

  it('[R257] selections beyond all measure: refused, not served', async () => {
    const select = Array.from({ length: 3000 }, () => ({ Container: 'mmm_Device' }));
    expect([400, 413]).toContain((await account.download(select)).status);
    expect(uploadCodes(await account.upload([])).status).toBeLessThan(500);
  });
});
