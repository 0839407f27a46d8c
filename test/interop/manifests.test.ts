/** Manifests on the wire (S40–S42, S49): what the service refuses, and how it says so. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, deviceEntry, item, uploadCodes } from './kit/account.js';
import { type BatchChoices, Container } from './kit/container.js';
import { open, type SignatureEntry, type Wire } from './kit/dare.js';
import { type Key, newKey } from './kit/keys.js';
import { b64, sha256, unb64, utf8, zeros } from './kit/octets.js';
import { newDevice } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';

let running: Running;
let account: Account;
let key: Key;
beforeAll(async () => {
  running = await startProvider();
  account = await Account.open(running.peer);
  key = account.device.signature;
});
afterAll(() => running?.stop());

let names = 0;
async function opened(): Promise<Container> {
  names += 1;
  const name = `app_Signed${names}`;
  expect((await account.append(name, [item('first', '1')])).status).toBe(201);
  return account.container(name);
}

async function tryBatch(container: Container, choices: BatchChoices, signer: Key = key) {
  const frames = container.batch([item('a', '1'), item('b', '2')], signer, choices);
  return uploadCodes(await account.upload([account.update(container, frames)]));
}
const refused = (status: number, extended: number, result: string) => ({
  status,
  extended,
  entries: [[1, result, extended]],
});

describe('a batch', () => {
  const faults: [string, BatchChoices][] = [
    ['without a manifest', { bare: true }],
    ['with octets behind the manifest', { after: Uint8Array.of(0) }],
    ['with a version that nobody knows', { manifest: { version: 2 } }],
    ['with the manifest of a message', { manifest: { kind: 2 } }],
    ['with a kind that nobody knows', { manifest: { kind: 9 } }],
    ['with the manifest of another account', { manifest: { subject: newKey().udf } }],
    ['with the manifest of another container', { manifest: { object: 'mmm_Credential' } }],
  ];
  for (const [what, choices] of faults) {
    it(`[S41] [S42] ${what}: 400/23 at its last entry`, async () => {
      expect(await tryBatch(await opened(), choices)).toEqual(refused(400, 23, 'Reject'));
    });
  }

  it('[S42] whose manifest is not of its core: 400/23', async () => {
    const container = await opened();
    const frames = container.batch([item('a', '1')], key);
    const other = container.batch([item('a', '2')], key);
    const moved: Wire = [frames[0]?.[0], frames[0]?.[1], other[0]?.[2]];
    const [header, payload, trailer] = moved;
    const { PayloadDigest: _, ...rest } = trailer as { PayloadDigest?: string };
    const answer = await account.upload([account.update(container, [[header, payload, rest]])]);
    expect(uploadCodes(answer)).toEqual({ status: 400, extended: 23, entries: [[0, 'Reject', 23]] });
  });

  it('[S40] whose content metadata was changed after signing: 400/23', async () => {
    const container = await opened();
    const [frame] = container.batch([item('a', '1')], key) as [Wire];
    const [header] = container.batch([item('b', '1')], key)[0] as Wire;
    const answer = await account.upload([account.update(container, [[header, frame[1], frame[2]]])]);
    expect(uploadCodes(answer)).toEqual({ status: 400, extended: 23, entries: [[0, 'Reject', 23]] });
  });

  it('[S42] whose From is too low or too high: 409/12', async () => {
    for (const from of [1, 3]) {
      const container = await opened();
      expect(await tryBatch(container, { manifest: { from } })).toEqual(refused(409, 12, 'Conflict'));
    }
  });

  it('[S42] whose manifest states another index: 409/12', async () => {
    expect(await tryBatch(await opened(), { manifest: { index: 9 } })).toEqual(refused(409, 12, 'Conflict'));
  });

  it('[S42] whose Root is another: 409/12', async () => {
    const root = sha256(utf8('another'));
    expect(await tryBatch(await opened(), { manifest: { root } })).toEqual(refused(409, 12, 'Conflict'));
    expect(await tryBatch(await opened(), { manifest: { root: zeros(32) } })).toEqual(refused(409, 12, 'Conflict'));
  });

  it('[S42] of somebody who is not entitled: 403/2', async () => {
    expect(await tryBatch(await opened(), {}, newKey())).toEqual(refused(403, 2, 'Reject'));
    expect(await tryBatch(await opened(), {}, account.device.authentication)).toEqual(refused(403, 2, 'Reject'));
    expect(await tryBatch(await opened(), {}, account.person.meshOnline)).toEqual(refused(403, 2, 'Reject'));
  });

  it('[S04] signed by another key under the device’s name: 400/23', async () => {
    expect(await tryBatch(await opened(), { kid: key.udf }, newKey())).toEqual(refused(400, 23, 'Reject'));
  });

  it('[S43] signed by an online key of the account is taken', async () => {
    expect((await tryBatch(await opened(), {}, account.person.accountOnline)).status).toBe(201);
  });

  it('[S42] for the device catalog, signed by a device: 403/3', async () => {
    const container = account.container('mmm_Device');
    const frames = container.batch([deviceEntry(account.person, newDevice(account.person))], key);
    const answer = await account.upload([account.update(container, frames)]);
    expect(uploadCodes(answer)).toEqual({ status: 403, extended: 3, entries: [[0, 'Reject', 3]] });
  });

  it('[S42] carried from one container to another: refused, though its place would fit', async () => {
    const [one, two] = [await opened(), await opened()];
    const frames = one.batch([item('a', '1')], key);
    const answer = await account.upload([{ Container: two.name, Index: 2, Envelopes: frames }]);
    expect(uploadCodes(answer)).toEqual({ status: 400, extended: 23, entries: [[0, 'Reject', 23]] });
  });

  it('[S42] ends in its one manifest: with another in between it is 400/23', async () => {
    const container = await opened();
    const first = container.batch([item('a', '1'), item('b', '2')], key);
    const later = new Container(container.name, account.subject, [...container.frames, ...first]);
    const frames = [...first, ...later.batch([item('c', '3')], key)];
    const answer = await account.upload([account.update(container, frames)]);
    expect(uploadCodes(answer)).toEqual({ status: 400, extended: 23, entries: [[2, 'Reject', 23]] });
  });

  it('[S47] may follow another of the same container in one request: a history is healed as it was written', async () => {
    const container = await opened();
    const first = container.batch([item('a', '1'), item('b', '2')], key);
    const later = new Container(container.name, account.subject, [...container.frames, ...first]);
    const updates = [account.update(container, first), account.update(later, later.batch([item('c', '3')], key))];
    expect(uploadCodes(await account.upload(updates))).toMatchObject({ status: 201 });
  });

  it('[S03] [S42] a deletion is proved by its manifest; an S512 signature over nothing proves nothing', async () => {
    const container = await opened();
    const meta = { Event: 'Delete', First: 1, Previous: 1 };
    const [frame] = container.batch([item('first', '', meta)], key, { bare: true }) as [Wire];
    const empty = open(frame).trailer.PayloadDigest as string;
    const proof: SignatureEntry = { alg: 'S512', kid: key.udf, signature: b64(key.sign(unb64(empty))) };
    const forged: Wire = [frame[0], frame[1], { signatures: [proof], PayloadDigest: empty }];
    expect(uploadCodes(await account.upload([account.update(container, [forged])]))).toMatchObject({
      status: 400,
      extended: 23,
    });
    expect((await account.append(container.name, [item('first', '', meta)])).status).toBe(201);
  });
});

describe('frame 0', () => {
  it('[S42] without a manifest of its own, before a batch whose manifest leaves it out: 400/23', async () => {
    names += 1;
    const container = new Container(`app_Signed${names}`, account.subject);
    const first = container.opening(key, 'application/mmm-catalog', { bare: true });
    const frames = [first, ...container.batch([item('a', '1')], key, {}, [first])];
    const codes = uploadCodes(await account.upload([account.update(container, frames)]));
    expect(codes).toEqual(refused(400, 23, 'Reject'));
  });

  it('[S42] whose manifest states another place or root: 409/12', async () => {
    for (const manifest of [{ index: 1 }, { from: 1 }, { root: zeros(32) }]) {
      names += 1;
      const container = new Container(`app_Signed${names}`, account.subject);
      const first = container.opening(key, 'application/mmm-catalog', { manifest });
      const answer = await account.upload([account.update(container, [first])]);
      expect(uploadCodes(answer)).toEqual({ status: 409, extended: 12, entries: [[0, 'Conflict', 12]] });
    }
  });
});

describe('containers without manifests', () => {
  it('[S49] are stored as the draft says: legacy', async () => {
    names += 1;
    const container = account.container(`app_Legacy${names}`);
    const first = container.opening(key, 'application/mmm-catalog', { bare: true });
    const frames = [first, ...container.batch([item('a', '1')], key, { bare: true }, [first])];
    expect((await account.upload([account.update(container, frames)])).status).toBe(201);
    container.frames.push(...frames);
    const more = container.batch([item('a', '2', { Event: 'Update', First: 1, Previous: 1 })], key, { bare: true });
    expect((await account.upload([account.update(container, more)])).status).toBe(201);
    container.frames.push(...more);
    const { message } = await account.status();
    expect(message.ContainerStatus).toContainEqual({
      Container: container.name,
      Index: 3,
      Digest: b64(container.apex),
    });
    const again = await account.upload([{ Container: container.name, Index: 1, Envelopes: container.frames.slice(1) }]);
    expect(again.status).toBe(201);
  });

  it('[S49] [S25] the device catalog is never legacy: 403/3', async () => {
    const fresh = await Account.open(running.peer, { bootstrap: false });
    const container = fresh.container('mmm_Device');
    const first = container.opening(key, 'application/mmm-catalog', { bare: true });
    const entry = deviceEntry(fresh.person, fresh.device);
    const frames = [first, ...container.batch([entry], key, { bare: true }, [first])];
    const answer = await fresh.upload([fresh.update(container, frames)]);
    expect(uploadCodes(answer)).toEqual(refused(403, 3, 'Reject'));
  });
});
