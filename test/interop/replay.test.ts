/** Time and repetition: clocks, the same ID again, stored answers (S27, encoding 6.6). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, creationOf, item, newAddress, uploadCodes } from './kit/account.js';
import { Container } from './kit/container.js';
import { b64 } from './kit/octets.js';
import { codesOf, type Peer } from './kit/peer.js';
import { newPerson } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest, newId, type Sent } from './kit/request.js';

let running: Running;
let peer: Peer;
let account: Account;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
  account = await Account.open(peer);
});
afterAll(() => running?.stop());

const requestOf = (tag: string, message: object, id = newId(), more: { admin?: boolean } = {}): Sent =>
  makeRequest({
    tag,
    id,
    message: { Account: account.person.address, ...message },
    signers: more.admin ? [account.signer, account.admin] : [account.signer],
  });

describe('clocks', () => {
  for (const [what, offsetMs, expected] of [
    ['290 s behind', -290_000, [201, undefined]],
    ['290 s ahead', 290_000, [201, undefined]],
    ['310 s behind', -310_000, [401, 21]],
    ['310 s ahead', 310_000, [401, 21]],
  ] as const) {
    it(`[S27] a request ${what}: ${expected[0]}, signed`, async () => {
      const { status, extended } = await account.status({}, { id: newId(Date.now() + offsetMs) });
      expect([status, extended]).toEqual(expected);
    });
  }

  it('[S27] the end of time and its beginning are not now: 401/21', async () => {
    for (const id of [new Uint8Array(24), new Uint8Array(24).fill(0xff)]) {
      expect(codesOf(await account.status({}, { id }))).toMatchObject({ status: 401, extended: 21 });
    }
  });

  it('[S27] Hello too: the answer brings the right time in a form that can be believed', async () => {
    const answer = await peer.call('Hello', {}, [], { id: newId(Date.now() - 3_600_000) });
    expect(codesOf(answer)).toEqual({ status: 401, extended: 21, http: 401, tag: 'MeshHelloResponse' });
  });
});

describe('requests that read', () => {
  it('[R192] the same again is answered anew', async () => {
    const sent = requestOf('Status', {});
    const before = await peer.send(sent);
    await account.append('mmm_Calendar', [item('a', '1')]);
    const after = await peer.send(sent);
    expect([before.status, after.status]).toEqual([201, 201]);
    expect(after.message.ContainerStatus).toHaveLength((before.message.ContainerStatus?.length ?? 0) + 1);
  });

  it('[S27] the same ID for another request: 401/20', async () => {
    const id = newId();
    expect((await peer.send(requestOf('Status', {}, id))).status).toBe(201);
    const other = await peer.send(requestOf('Status', { Catalogs: ['mmm_Device'] }, id));
    expect(codesOf(other)).toEqual({ status: 401, extended: 20, http: 401, tag: 'StatusResponse' });
    const download = await peer.send(requestOf('Download', { Select: [{ Container: 'mmm_Device' }] }, id));
    expect(codesOf(download)).toMatchObject({ status: 401, extended: 20 });
  });

  it('[S27] an ID is somebody’s: another account may use the same', async () => {
    const other = await Account.open(peer);
    const id = newId();
    expect((await account.status({}, { id })).status).toBe(201);
    expect((await other.status({}, { id })).status).toBe(201);
  });
});

describe('requests that write', () => {
  const uploadOf = (container: Container, key: string, id?: Uint8Array, more: { admin?: boolean } = {}): Sent => {
    const frames = container.batch([item(key, '1')], account.device.signature);
    return requestOf('Upload', { Updates: [account.update(container, frames)] }, id, more);
  };
  let names = 0;
  const opened = async (): Promise<Container> => {
    names += 1;
    await account.append(`app_Again${names}`, [item('first', '1')]);
    return account.container(`app_Again${names}`);
  };

  it('[R192] [S27] the same again: the stored payload, octet for octet, and one effect', async () => {
    const container = await opened();
    const sent = uploadOf(container, 'a');
    const [first, second] = [await peer.send(sent), await peer.send(sent)];
    expect(first.status).toBe(201);
    expect(b64(second.payload)).toBe(b64(first.payload));
    const { message } = await account.status({ Catalogs: [container.name] });
    expect(message.ContainerStatus?.[0]?.Index).toBe(container.frames.length + 1);
  });

  it('[S27] signed in another way: the same payload under a fresh signature', async () => {
    const container = await opened();
    const id = newId();
    const frames = container.batch([item('a', '1')], account.device.signature);
    const message = { Updates: [account.update(container, frames)] };
    const first = await peer.send(requestOf('Upload', message, id));
    const second = await peer.send(requestOf('Upload', message, id, { admin: true }));
    expect(b64(second.payload)).toBe(b64(first.payload));
    expect(second.entry?.signature).not.toBe(first.entry?.signature);
  });

  it('[S27] at the same time: one effect, one answer', async () => {
    const container = await opened();
    const sent = uploadOf(container, 'a');
    const answers = await Promise.all(Array.from({ length: 5 }, () => peer.send(sent)));
    expect(new Set(answers.map(({ payload }) => b64(payload))).size).toBe(1);
    expect(answers[0]?.status).toBe(201);
  });

  it('[S27] the same ID for another write: 401/20, and nothing is written', async () => {
    const container = await opened();
    const sent = uploadOf(container, 'a');
    expect((await peer.send(sent)).status).toBe(201);
    const other = uploadOf(container, 'b', sent.id);
    expect(codesOf(await peer.send(other))).toEqual({ status: 401, extended: 20, http: 401, tag: 'UploadResponse' });
  });

  it('a refusal is not kept: what was refused is executed when its time has come', async () => {
    const container = await opened();
    const first = container.batch([item('a', '1')], account.device.signature);
    const later = new Container(container.name, account.subject, [...container.frames, ...first]);
    const early = uploadOf(later, 'b');
    expect(uploadCodes(await peer.send(early))).toMatchObject({ status: 409, extended: 12 });
    expect((await account.upload([account.update(container, first)])).status).toBe(201);
    expect((await peer.send(early)).status).toBe(201);
  });

  it('[R192] CreateAccount: the same again gives the stored answer; other content under its ID 401/20', async () => {
    const person = newPerson(newAddress());
    const id = newId();
    const make = (extra: object) =>
      makeRequest({
        tag: 'CreateAccount',
        id,
        message: { ...creationOf(person), ...extra },
        signers: [{ key: person.meshOffline }],
      });
    const [first, second] = [await peer.send(make({})), await peer.send(make({}))];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(b64(second.payload)).toBe(b64(first.payload));
    expect(codesOf(await peer.send(make({ Unheard: 1 })))).toMatchObject({ status: 401, extended: 20 });
  });
});
