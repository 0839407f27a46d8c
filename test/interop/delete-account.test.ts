/** DeleteAccount: proof of administration, what holds afterwards, and the retry of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, createAccount, deviceEntry, item } from './kit/account.js';
import { newKey } from './kit/keys.js';
import { b64 } from './kit/octets.js';
import { codesOf, type Peer } from './kit/peer.js';
import { newDevice, newPerson, type Person } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest, type Signer } from './kit/request.js';

let running: Running;
let peer: Peer;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
});
afterAll(() => running?.stop());

const deletion = (account: Account, signers: readonly Signer[]) =>
  peer.call('DeleteAccount', { Account: account.person.address }, signers);
const answer = (status: number, extended?: number) => ({ status, extended, http: status, tag: 'DeleteResponse' });

describe('DeleteAccount', () => {
  it('[R296] [R298] by a device, with the signature of an administrator beside it: 201', async () => {
    for (const key of ['meshOnline', 'meshOffline'] as const) {
      const account = await Account.open(peer);
      expect(codesOf(await deletion(account, [account.signer, { key: account.person[key] }]))).toEqual(answer(201));
    }
  });

  it('[R312] is taken as DeleteRequest', async () => {
    const account = await Account.open(peer);
    const signers = [account.signer, account.admin];
    expect((await peer.call('DeleteRequest', { Account: account.person.address }, signers)).status).toBe(201);
  });

  it('[S25] without an administrator: 403/3, and the account stays', async () => {
    const account = await Account.open(peer);
    expect(codesOf(await deletion(account, [account.signer]))).toEqual(answer(403, 3));
    expect((await account.status()).status).toBe(201);
  });

  it('[S25] a permission in the connection is no proof: 403/3', async () => {
    const account = await Account.open(peer);
    const permissions = [{ Name: 'Administration' }];
    const device = newDevice(account.person, Date.now(), { permissions });
    await account.append('mmm_Device', [deviceEntry(account.person, device)]);
    const signer = { key: device.authentication, connection: device.connection };
    expect(codesOf(await deletion(account, [signer]))).toEqual(answer(403, 3));
  });

  it('[S25] keys that are not the Mesh’s are no administrators', async () => {
    const account = await Account.open(peer);
    const others = [account.person.accountOnline, account.person.accountOffline, account.device.signature, newKey()];
    for (const key of others) {
      const { status } = await deletion(account, [account.signer, { key }]);
      expect([401, 403]).toContain(status);
    }
    const forged = await deletion(account, [account.signer, { key: newKey(), kid: account.person.meshOnline.udf }]);
    expect([401, 403]).toContain(forged.status);
    expect((await account.status()).status).toBe(201);
  });

  it('[R075] by an administrator alone, without a device: 401', async () => {
    const account = await Account.open(peer);
    expect((await deletion(account, [account.admin])).status).toBe(401);
    expect((await account.status()).status).toBe(201);
  });

  it('[S24] by a device of another account: 401', async () => {
    const [mine, other] = [await Account.open(peer), await Account.open(peer)];
    expect((await deletion(mine, [other.signer, other.admin])).status).toBe(401);
    expect((await mine.status()).status).toBe(201);
  });

  describe('afterwards', () => {
    let gone: Account;
    let person: Person;
    beforeAll(async () => {
      gone = await Account.open(peer);
      person = gone.person;
      await gone.append('mmm_Credential', [item('a', '1')]);
    });

    it('[R115] [S27] all it asks is 401; a retry with the same ID has the stored answer', async () => {
      const message = { Account: person.address };
      const sent = makeRequest({ tag: 'DeleteAccount', message, signers: [gone.signer, gone.admin] });
      const first = await peer.send(sent);
      expect(first.status).toBe(201);
      for (const tag of ['Status', 'Download', 'Upload']) {
        expect(codesOf(await gone.call(tag, {}))).toMatchObject({ status: 401, extended: undefined });
      }
      expect(codesOf(await deletion(gone, [gone.signer, gone.admin]))).toEqual(answer(401));
      const retry = await peer.send(sent);
      expect(b64(retry.payload)).toBe(b64(first.payload));
    });

    it('the name is in quarantine: taken, 409/1, for its old Mesh too', async () => {
      for (const who of [newPerson(person.address), person]) {
        const again = codesOf(await createAccount(peer, who));
        expect(again).toEqual({ status: 409, extended: 1, http: 409, tag: 'CreateResponse' });
      }
    });
  });
});
