/** An account at two addresses: it is at one and stands by at the other, where it can be carried (R008 to R011, R027). */
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, mark, opening, Person, selfEntry, type TestDevice, TestWriter } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { completeConnected } from './complete.js';
import { createAccount } from './create-account.js';
import { deleteAccount } from './delete-account.js';
import { status } from './status.js';

const [here, there] = ['alice@example.com', 'alice@second.example'];
const at = (address: string, services: readonly string[], updated: string) =>
  new Person('alice', { address, services, updated: new Date(updated) });
/** The account before, as it is at both, and once the other address is the first. */
const before = at(here, [here], '2026-01-01T00:00:00Z');
const both = (address: string) => at(address, [here, there], '2026-02-01T00:00:00Z');
const turned = (address: string) => at(address, [there, here], '2026-03-01T00:00:00Z');
const back = (address: string) => at(address, [here, there], '2026-04-01T00:00:00Z');

let shard: TestShard;
/** Names both addresses. */
let device: TestDevice;
let catalog: TestWriter;

const outcome = (work: Promise<object>): Promise<string | number> =>
  work.then(
    (result) => ('status' in result ? (result.status as number) : 'told'),
    (error) => error.code,
  );
const bind = async (person: Person) =>
  outcome(createAccount(shard.context, person.address, await person.createRequest(shard.nowMs)));
const asking = (address: string, moves: boolean, one = device) => ({ ...one.principal, account: address, moves });
const ask = (address: string, moves = false, one = device) =>
  status(shard.context, {
    ...{ principal: asking(address, moves, one), deviceUdf: '', profileMasterDigest: new Uint8Array(0) },
    ...{ containers: [], known: [], waitMs: undefined, heads: false },
  });
const put = (address: string, container: string, envelopes: readonly EnvelopeOctets[], index?: number, moves = true) =>
  shard.upload({ principal: asking(address, moves) }, [{ container, envelopes, index }]);
const framesAt = (address: string, container: string): EnvelopeOctets[] =>
  shard.store.framesOf(address, container).map(({ header, payload, trailer }) => ({ header, payload, trailer }));
const storesOf = (address: string) => [...(shard.store.stateOf(address)?.containers.keys() ?? [])].sort();

/** Everything that is missing there, as a device brings it. */
async function copy(from: string, to: string, only = storesOf(from)): Promise<void> {
  for (const container of only) {
    const count = framesAt(to, container).length;
    const rest = framesAt(from, container).slice(count);
    if (rest.length > 0) expect(await put(to, container, rest, count)).toMatchObject({ status: 201 });
  }
}

async function leaveFor(from: string, to: string): Promise<string | number> {
  const signers = [{ key: device.authentication, connection: device.connection }, { key: before.admin }];
  const message = { Account: from, MovedTo: to };
  const service = from.slice(from.indexOf('@') + 1);
  const request = await before.request('DeleteAccount', message, signers, shard.nowMs, undefined, service);
  return outcome(deleteAccount(shard.context, from, request));
}

beforeEach(async () => {
  shard = await new TestShard().start();
  shard.domains.add('second.example');
  catalog = await shard.join(before, before.device());
  device = both(here).device();
  const { envelopes } = catalog.write([
    entry({ UniqueID: device.udf, Event: 'Update', First: 1, Previous: 1 }, device.entry),
  ]);
  expect(await shard.upload(before.device(), [{ container: 'mmm_Device', envelopes }])).toMatchObject({ status: 201 });
  expect([await bind(both(here)), await bind(both(there))]).toEqual([202, 201]);
  const notes = new TestWriter('my_Notes', before.accountUdf, device.signature);
  for (const name of ['one', 'two']) {
    const drafts = [...(name === 'one' ? [opening()] : []), entry({ UniqueID: name, Event: 'New' })];
    expect(await put(here, 'my_Notes', notes.write(drafts).envelopes, undefined, false)).toMatchObject({ status: 201 });
  }
  const self = [selfEntry(before.accountUdf, device.signature, mark('MARK', 'Read', 'NAME'))];
  expect(await shard.upload(device, [], undefined, { self })).toMatchObject({ status: 201 });
});

describe('[R007] [R008] [R009] an account that stands by', () => {
  test('has no stores of its own, and tells its devices where it is; those that carry it may look', async () => {
    expect(storesOf(there)).toEqual([]);
    await expect(ask(there)).rejects.toMatchObject({ code: 'account-moved', detail: here });
    expect((await ask(there, true)).containers).toEqual([]);
    await expect(ask(there, true, before.device())).rejects.toMatchObject({ code: 'not-authenticated' });
    expect((await ask(here)).containers).toHaveLength(5);
  });

  test('takes stores frame by frame as they are, those that a service writes too', async () => {
    await copy(here, there);
    expect(storesOf(there)).toEqual(storesOf(here));
    const statedAt = async (address: string) =>
      (await ask(address, true)).containers.toSorted((a, b) => (a.container < b.container ? -1 : 1));
    expect(await statedAt(there)).toEqual(await statedAt(here));
    for (const container of storesOf(here)) expect(framesAt(there, container)).toEqual(framesAt(here, container));
  });

  test('takes nothing else: no gap, no other digest, no message, nothing from a device of some stores', async () => {
    const frames = framesAt(here, 'my_Notes');
    const told = async (work: Promise<object>) => JSON.stringify(await work);
    expect(await told(put(there, 'my_Notes', frames.slice(1), 1))).toContain('index-mismatch');
    const other = { ...(frames[1] as EnvelopeOctets), payload: new Uint8Array(48) };
    expect(await told(put(there, 'my_Notes', [frames[0] as EnvelopeOctets, other], 0))).toContain('payload-digest');
    await expect(put(there, 'my_Notes', frames, 0, false)).rejects.toMatchObject({ code: 'account-moved' });
    const self = [selfEntry(before.accountUdf, device.signature, mark('MORE', 'Read', 'NAME'))];
    const written = shard.upload({ principal: asking(there, true) }, [], undefined, { self });
    await expect(written).rejects.toMatchObject({ code: 'account-moved' });
    const some = both(there).device('some', [{ Name: 'my_Notes' }]);
    const brought = shard.upload({ principal: asking(there, true, some) }, [
      { container: 'my_Notes', envelopes: frames },
    ]);
    expect(await told(brought)).toContain('not-authorised');
    expect(storesOf(there)).toEqual([]);
  });
});

describe('[R011] the other address becomes the authoritative one', () => {
  test('not before all is there, and whole', async () => {
    expect(await bind(turned(there))).toBe('copy-incomplete');
    await copy(here, there, ['mmm_Archive', 'mmm_Device', 'mmm_Inbound', 'mmm_Outbound']);
    // A batch of two entries under one manifest, cut between them.
    const writer = new TestWriter('my_Pair', before.accountUdf, device.signature);
    const pair = writer.write([
      opening(),
      entry({ UniqueID: 'a', Event: 'New' }),
      entry({ UniqueID: 'b', Event: 'New' }),
    ]);
    expect(await put(there, 'my_Pair', pair.envelopes.slice(0, 2), 0)).toMatchObject({ status: 201 });
    expect(await bind(turned(there))).toBe('copy-incomplete');
    expect(await put(there, 'my_Pair', pair.envelopes.slice(2), 2)).toMatchObject({ status: 201 });
    expect(await bind(turned(there))).toBe(202);
    expect(shard.store.stateOf(there)).toMatchObject({ away: null, deviceCatalogBegun: true });
  });

  test('then its catalog decides, the old one stands by, and the way back is the same', async () => {
    await copy(here, there);
    expect(await bind(turned(here))).toBe(202);
    await expect(ask(here)).rejects.toMatchObject({ code: 'account-moved', detail: there });
    expect(await bind(turned(there))).toBe(202);
    expect((await ask(there)).containers).toHaveLength(5);
    await expect(ask(there, false, before.device())).rejects.toMatchObject({ code: 'not-authenticated' });
    const notes = framesAt(there, 'my_Notes').length;
    const writer = new TestWriter('my_More', before.accountUdf, device.signature);
    const { envelopes } = writer.write([opening(), entry({ UniqueID: 'new', Event: 'New' })]);
    expect(await put(there, 'my_More', envelopes, undefined, false)).toMatchObject({ status: 201 });
    expect(await bind(back(there))).toBe(202);
    await copy(there, here);
    expect(await bind(back(here))).toBe(202);
    expect([framesAt(here, 'my_Notes').length, framesAt(here, 'my_More').length]).toEqual([notes, 2]);
  });
});

describe('[S25] an administrator who was shut out', () => {
  test('does not make the account come to where it stood by, once its catalog is there', async () => {
    const [home, copyAt] = ['carol@example.com', 'carol@second.example'];
    const carol = (address: string, month: string, administrators = ['first', 'second'], services = [home, copyAt]) =>
      new Person('carol', { address, services, administrators, updated: new Date(`2026-${month}-01T00:00:00Z`) });
    const [first, second] = [carol(home, '01').device('first'), carol(home, '01').device('second')];
    const devices = await shard.join(carol(home, '01'), first);
    const { envelopes } = devices.write([
      entry({ UniqueID: second.udf, Event: 'New' }, second.entry),
      entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 }),
    ]);
    expect(await shard.upload(first, [{ container: 'mmm_Device', envelopes }])).toMatchObject({ status: 201 });
    expect(await bind(carol(copyAt, '01'))).toBe(201);
    const principal = { ...first.principal, account: copyAt, moves: true };
    for (const container of storesOf(home)) {
      const copied = await shard.upload({ principal }, [{ container, envelopes: framesAt(home, container), index: 0 }]);
      expect(copied).toMatchObject({ status: 201 });
    }
    const turnedBy = (administrators: string[]) => bind(carol(copyAt, '02', administrators, [copyAt, home]));
    expect(await turnedBy(['second', 'first'])).toBe('administrator-required');
    expect(await turnedBy(['first', 'second'])).toBe(202);
  });
});

describe('[R027] a notice', () => {
  test('tells the account’s devices where it is, and nobody else that there was one', async () => {
    expect(await leaveFor(here, there)).toBe(201);
    await expect(ask(here)).rejects.toMatchObject({ code: 'account-moved', detail: there });
    await expect(ask(here, true)).rejects.toMatchObject({ code: 'account-moved' });
    const mallory = new Person('mallory', { address: here }).device();
    await expect(ask(here, false, mallory)).rejects.toMatchObject({ code: 'not-authenticated' });
    const { entry: told } = await completeConnected(shard.context, asking(here, false), device.udf);
    expect(told?.payload).toEqual(device.entry);
    expect(await bind(new Person('mallory', { address: here }))).toBe('name-taken');
  });

  test('is refused for the account itself; the Mesh may bring the account back', async () => {
    expect(await leaveFor(here, here)).toBe('malformed');
    expect(await leaveFor(here, there)).toBe(201);
    expect(await bind(back(here))).toBe(202);
    expect(shard.store.stateOf(here)).toMatchObject({ status: 'connected', away: null });
    expect((await ask(here)).containers).toHaveLength(5);
  });
});

describe('[R246] [S24] a connection that a newer one has superseded', () => {
  test('brings its device the newer one by Status and Complete, but not where the account stands by', async () => {
    const old = before.device();
    for (const moves of [false, true]) {
      expect((await ask(here, moves, old)).deviceEntry?.payload).toEqual(device.entry);
      await expect(ask(there, moves, old)).rejects.toMatchObject({ code: 'not-authenticated' });
    }
    const { entry: told } = await completeConnected(shard.context, old.principal, device.udf);
    expect(told?.payload).toEqual(device.entry);
    const { envelopes } = catalog.write([entry({ UniqueID: device.udf, Event: 'Delete', First: 1, Previous: 2 })]);
    expect(await put(here, 'mmm_Device', envelopes, undefined, false)).toMatchObject({ status: 201 });
    await expect(completeConnected(shard.context, old.principal, device.udf)).rejects.toMatchObject({
      code: 'device-revoked',
    });
  });

  test('is none where the account stands by: there the catalog may be older than the device that carries it', async () => {
    await copy(here, there);
    expect(await bind(turned(here))).toBe(202);
    expect(await ask(here, true, turned(here).device())).toMatchObject({ deviceEntry: undefined });
  });
});
