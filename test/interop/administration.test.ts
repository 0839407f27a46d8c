/** Administration over time (S25): revoked administrators, new and old profiles, hosts that ask for more than is theirs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, createAccount, creationOf, deviceEntry, item, newAddress } from './kit/account.js';
import { signObject, tagged } from './kit/dare.js';
import { type Key, newKey, publicKey } from './kit/keys.js';
import { codesOf, type Peer } from './kit/peer.js';
import { type Device, newDevice, newPerson, type Person, profileAccount, profileMesh } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import type { Signer } from './kit/request.js';

let running: Running;
let peer: Peer;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
});
afterAll(() => running?.stop());

/** An account whose Mesh has several administrators. */
async function openWith(administrators: readonly Key[]): Promise<Account> {
  const meshOffline = newKey();
  const mesh = {
    meshOffline,
    meshOnline: administrators[0] as Key,
    profileMesh: profileMesh(meshOffline, administrators, Date.now()),
  };
  const account = new Account(peer, newPerson(newAddress(), Date.now(), { mesh }));
  expect((await createAccount(peer, account.person)).status).toBe(201);
  return account;
}

/** A device whose Mesh signature key is this administration key. */
function administrator(person: Person, key: Key): Device {
  const device = newDevice(person);
  const keys = { KeySignature: publicKey(key), KeyAuthentication: publicKey(device.authentication) };
  return { ...device, connectionDevice: signObject(tagged('ConnectionDevice', keys), [person.meshOnline]) };
}

const writeDevices = async (account: Account, by: Account, key: Key, entry: ReturnType<typeof deviceEntry>) => {
  const container = account.container('mmm_Device');
  const first = container.frames.length === 0 ? [container.opening(key)] : [];
  const frames = [...first, ...container.batch([entry], key, {}, first)];
  const answer = await by.upload([account.update(container, frames)]);
  if (answer.status === 201) container.frames.push(...frames);
  return answer;
};
const deletion = (account: Account, ...signers: Signer[]) =>
  peer.call('DeleteAccount', { Account: account.person.address }, signers);

describe('a revoked administrator', () => {
  let account: Account;
  let remaining: Account;
  let gone: Account;
  const [staying, leaving] = [newKey(), newKey()];

  beforeAll(async () => {
    account = await openWith([staying, leaving]);
    remaining = new Account(peer, account.person, administrator(account.person, staying));
    gone = new Account(peer, account.person, administrator(account.person, leaving));
    expect(
      (await writeDevices(account, remaining, staying, deviceEntry(account.person, remaining.device))).status,
    ).toBe(201);
    expect((await writeDevices(account, remaining, staying, deviceEntry(account.person, gone.device))).status).toBe(
      201,
    );
  });

  it('[S25] administers as long as its device is there', async () => {
    const third = newDevice(account.person);
    expect((await writeDevices(account, gone, leaving, deviceEntry(account.person, third))).status).toBe(201);
  });

  it('[S25] cannot bring itself back, with anybody’s help', async () => {
    const removal = item(gone.device.offline.udf, '', { Event: 'Delete', First: 2, Previous: 2 });
    expect((await writeDevices(account, remaining, staying, removal)).status).toBe(201);
    const back = deviceEntry(account.person, gone.device);
    expect(codesOf(await writeDevices(account, gone, leaving, back))).toMatchObject({ status: 401, extended: 4 });
    expect(codesOf(await writeDevices(account, remaining, leaving, back))).toMatchObject({ status: 403, extended: 3 });
  });

  it('[S25] cannot delete the account', async () => {
    const answer = await deletion(account, remaining.signer, { key: leaving });
    expect(codesOf(answer)).toMatchObject({ status: 403, extended: 3 });
    expect((await remaining.status()).status).toBe(201);
  });

  it('[S25] cannot bind the address to profiles of its own making', async () => {
    const { person } = account;
    const later = Date.now() + 10_000;
    const mine = { ...person, meshOnline: leaving, profileMesh: profileMesh(person.meshOffline, [leaving], later) };
    const newer = { ...mine, profileAccount: profileAccount(person.address, mine, later) };
    const answer = await peer.call('CreateAccount', creationOf(newer), [{ key: leaving }]);
    expect([401, 403]).toContain(answer.status);
    expect((await remaining.status()).status).toBe(201);
  });

  it('[S25] stays revoked when newer profiles still name it', async () => {
    const { person } = account;
    const later = Date.now() + 5000;
    const mesh = profileMesh(person.meshOffline, [staying, leaving], later);
    const newer = { ...person, profileMesh: mesh, profileAccount: profileAccount(person.address, person, later) };
    const answer = await peer.call('CreateAccount', creationOf(newer), [{ key: staying }]);
    expect(answer.status).toBe(202);
    const back = deviceEntry(account.person, gone.device);
    expect(codesOf(await writeDevices(account, remaining, leaving, back))).toMatchObject({ status: 403, extended: 3 });
  });
});

describe('profiles over time', () => {
  it('[S25] an administrator that the newest ProfileMesh leaves out is none any more; a new one is', async () => {
    const [old, young] = [newKey(), newKey()];
    const account = await openWith([old]);
    const device = new Account(peer, account.person);
    expect((await writeDevices(account, device, old, deviceEntry(account.person, device.device))).status).toBe(201);
    const { person } = account;
    const later = Date.now() + 5000;
    const changed = { ...person, meshOnline: young, profileMesh: profileMesh(person.meshOffline, [young], later) };
    const newer = { ...changed, profileAccount: profileAccount(person.address, changed, later) };
    expect((await createAccount(peer, newer)).status).toBe(202);
    const entry = () => deviceEntry(newer, newDevice(newer));
    expect(codesOf(await writeDevices(account, device, old, entry()))).toMatchObject({ status: 403, extended: 3 });
    expect((await writeDevices(account, device, young, entry())).status).toBe(201);
  });

  it('[S25] [R291] an older ProfileMesh is no update: 409/12', async () => {
    const account = await Account.open(peer);
    const { person } = account;
    const older = { ...person, profileMesh: profileMesh(person.meshOffline, [person.meshOnline], Date.now() - 60_000) };
    const newer = { ...older, profileAccount: profileAccount(person.address, person, Date.now() + 5000) };
    expect(codesOf(await createAccount(peer, newer))).toMatchObject({ status: 409, extended: 12 });
  });

  it('[S24] an account key that the newest ProfileAccount leaves out signs no connections any more', async () => {
    const account = await Account.open(peer);
    const { person } = account;
    const changed = { ...person, accountOnline: newKey() };
    const newer = { ...changed, profileAccount: profileAccount(person.address, changed, Date.now() + 5000) };
    expect((await createAccount(peer, newer)).status).toBe(202);
    expect(codesOf(await account.status())).toMatchObject({ status: 401 });
    const stale = deviceEntry(newer, newDevice(newer, Date.now(), { connectionSigner: person.accountOnline }));
    expect((await account.append('mmm_Device', [stale])).status).not.toBe(201);
  });

  it('[S25] the offline key of the Mesh administers too, where no other is left', async () => {
    const account = await Account.open(peer);
    const entry = deviceEntry(account.person, newDevice(account.person));
    expect((await writeDevices(account, account, account.person.meshOffline, entry)).status).toBe(201);
  });
});

describe('devices that come back', () => {
  it('[S24] [S25] a revoked device is welcome again once an administrator says so, with a new connection', async () => {
    const account = await Account.open(peer);
    const { person } = account;
    const first = new Account(peer, person);
    const add = (device: Device) => account.append('mmm_Device', [deviceEntry(person, device)]);
    expect((await add(first.device)).status).toBe(201);
    const removal = item(first.device.offline.udf, '', { Event: 'Delete', First: 2, Previous: 2 });
    expect((await account.append('mmm_Device', [removal])).status).toBe(201);
    expect(codesOf(await first.status())).toMatchObject({ status: 401, extended: 4 });
    const keys = newDevice(person);
    const again = { ...keys, offline: first.device.offline, profile: first.device.profile };
    expect((await add(again)).status).toBe(201);
    expect((await new Account(peer, person, again).status()).status).toBe(201);
    expect(codesOf(await first.status()).status).toBe(401);
  });

  it('[S24] entries written before the revocation stay, those after it are refused', async () => {
    const account = await Account.open(peer);
    const { person } = account;
    const other = new Account(peer, person);
    expect((await account.append('mmm_Device', [deviceEntry(person, other.device)])).status).toBe(201);
    expect((await other.append('mmm_Credential', [item('a', '1')])).status).toBe(201);
    const removal = item(other.device.offline.udf, '', { Event: 'Delete', First: 2, Previous: 2 });
    expect((await account.append('mmm_Device', [removal])).status).toBe(201);
    const container = other.container('mmm_Credential');
    const frames = container.batch([item('b', '2')], other.device.signature);
    // a batch of the revoked device in the hands of one that is not: its key may not write any more
    expect(await account.upload([account.update(container, frames)])).toMatchObject({ status: 409, extended: 24 });
    const mine = container.batch([item('b', '2')], account.device.signature);
    expect((await account.upload([account.update(container, mine)])).status).toBe(201);
    const { message } = await account.download([{ Container: 'mmm_Credential' }]);
    expect(message.Updates?.[0]?.Envelopes).toHaveLength(3);
  });

  it('[S43] a device may upload what another one of the account has signed', async () => {
    const account = await Account.open(peer);
    const other = new Account(peer, account.person);
    expect((await account.append('mmm_Device', [deviceEntry(account.person, other.device)])).status).toBe(201);
    const container = account.container('mmm_Credential');
    const first = container.opening(other.device.signature);
    const frames = [first, ...container.batch([item('a', '1')], other.device.signature, {}, [first])];
    expect((await account.upload([account.update(container, frames)])).status).toBe(201);
  });
});
