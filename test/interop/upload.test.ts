/** Upload: the first one, ordinary catalogs, event rules, order, atomicity, names and bounds. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, deviceEntry, item, uploadCodes } from './kit/account.js';
import { Container } from './kit/container.js';
import { open, type Wire } from './kit/dare.js';
import { newKey } from './kit/keys.js';
import { b64, sha512, utf8, zeros } from './kit/octets.js';
import { codesOf, type Peer } from './kit/peer.js';
import { newDevice } from './kit/people.js';
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

const refused = (status: number, extended: number | undefined, ...entries: [number, string, number | undefined][]) => ({
  status,
  extended,
  entries: entries.length === 0 ? undefined : entries,
});
let names = 0;
const newName = (): string => {
  names += 1;
  return `app_Store${names}`;
};

/** What a container of the account holds by the service's word. */
async function stateOf(
  of: Account,
  name: string,
): Promise<{ Index?: number | undefined; Digest?: string | undefined } | undefined> {
  const { message } = await of.status();
  return message.ContainerStatus?.find(({ Container: found }) => found === name);
}

describe('the first Upload of an account', () => {
  it('[R111] [S25] [S42] opens mmm_Device with the device that sends it', async () => {
    const fresh = await Account.open(peer, { bootstrap: false });
    const answer = await fresh.append('mmm_Device', [deviceEntry(fresh.person, fresh.device)]);
    expect(codesOf(answer)).toEqual({ status: 201, extended: undefined, http: 201, tag: 'UploadResponse' });
    expect(answer.message.Entries).toEqual([
      { IndexRequest: 0, IndexContainer: 0, Result: 'Accept' },
      { IndexRequest: 1, IndexContainer: 1, Result: 'Accept' },
    ]);
    const container = fresh.container('mmm_Device');
    expect(await stateOf(fresh, 'mmm_Device')).toEqual({
      Container: 'mmm_Device',
      Index: 2,
      Digest: b64(container.apex),
    });
  });

  it('[S25] [R264] needs a Mesh key’s manifest: another’s is 403/3', async () => {
    const fresh = await Account.open(peer, { bootstrap: false });
    const container = fresh.container('mmm_Device');
    for (const key of [fresh.device.signature, fresh.person.accountOnline, newKey()]) {
      const first = container.opening(key);
      const frames = [first, ...container.batch([deviceEntry(fresh.person, fresh.device)], key, {}, [first])];
      const answer = await fresh.upload([fresh.update(container, frames)]);
      expect(answer).toMatchObject({ status: 403, extended: 3 });
    }
    expect(await stateOf(fresh, 'mmm_Device')).toBeUndefined();
  });

  it('[S25] ends the bootstrap: a device that is not listed has no say any more', async () => {
    const stranger = new Account(peer, account.person, newDevice(account.person));
    expect(codesOf(await stranger.status())).toMatchObject({ status: 401, extended: undefined });
  });

  it('[R305] a CatalogedDevice whose parts do not fit: 400/10', async () => {
    const other = await Account.open(peer, { bootstrap: false });
    const device = newDevice(account.person);
    const foreign = newDevice(account.person, Date.now(), { connectionSigner: newKey() });
    const mixed = { ...device, profile: newDevice(account.person).profile };
    const entries = [
      deviceEntry(account.person, foreign),
      deviceEntry(account.person, mixed),
      deviceEntry(account.person, device, { UniqueID: newKey().udf }),
      deviceEntry(other.person, newDevice(other.person)),
    ];
    for (const entry of entries) {
      const answer = await account.append('mmm_Device', [entry]);
      expect([answer.status, answer.message.Entries?.[0]?.Result]).toEqual([400, 'Reject']);
      expect([10, 13]).toContain(answer.extended);
    }
  });
});

describe('ordinary containers', () => {
  it('[R112] [R133] [R134] [R229] take batches under one manifest, and the service’s apex is ours', async () => {
    const name = 'mmm_Credential';
    for (const size of [1, 3, 12]) {
      const key = `batch-${size}`;
      const entries = Array.from({ length: size }, (_, i) =>
        item(`${key}-${i}`, `{"CatalogedCredential":{"Service":"${i}"}}`),
      );
      const answer = await account.append(name, entries);
      expect(answer.status).toBe(201);
      const container = account.container(name);
      expect(await stateOf(account, name)).toMatchObject({
        Index: container.frames.length,
        Digest: b64(container.apex),
      });
    }
  });

  it('[R265] [R267] [R269] [R270] several containers in one request, numbered through', async () => {
    const [one, two] = [account.container(newName()), account.container(newName())];
    const updates = [one, two].map((container, i) => {
      const first = container.opening(account.device.signature);
      return account.update(container, [
        first,
        ...container.batch([item(`k${i}`, 'x')], account.device.signature, {}, [first]),
      ]);
    });
    const answer = await account.upload(updates);
    expect(answer.message.Entries).toEqual([
      { IndexRequest: 0, IndexContainer: 0, Result: 'Accept' },
      { IndexRequest: 1, IndexContainer: 1, Result: 'Accept' },
      { IndexRequest: 2, IndexContainer: 0, Result: 'Accept' },
      { IndexRequest: 3, IndexContainer: 1, Result: 'Accept' },
    ]);
  });

  it('[R307] New, Update, Delete and New again, with First and Previous', async () => {
    const name = 'mmm_Bookmark';
    const steps = [
      item('a/b', '1'),
      item('a/b', '2', { Event: 'Update', First: 1, Previous: 1 }),
      item('a/b', '3', { Event: 'Update', First: 1, Previous: 2 }),
      item('a/b', '', { Event: 'Delete', First: 1, Previous: 3 }),
      item('a/b', '4'),
    ];
    for (const step of steps) expect(codesOf(await account.append(name, [step]))).toMatchObject({ status: 201 });
  });

  it('[R307] the rules hold inside one batch too', async () => {
    const steps = [item('k', '1'), item('k', '2', { Event: 'Update', First: 1, Previous: 1 }), item('l', '3')];
    expect((await account.append(newName(), steps)).status).toBe(201);
    const name = newName();
    const answer = await account.append(name, [item('k', '1'), item('k', '2')]);
    expect(uploadCodes(answer)).toEqual(refused(409, 13, [2, 'Conflict', 13]));
    expect(await stateOf(account, name)).toBeUndefined();
  });

  it('[R307] [R273] events that do not fit what stands there: 409/13', async () => {
    const name = 'mmm_Network';
    expect((await account.append(name, [item('there', '1')])).status).toBe(201);
    const faults = [
      item('there', '2'),
      item('absent', '2', { Event: 'Update', First: 1, Previous: 1 }),
      item('absent', '', { Event: 'Delete', First: 1, Previous: 1 }),
      item('there', '2', { Event: 'Update', First: 1, Previous: 0 }),
      item('there', '2', { Event: 'Update', First: 0, Previous: 1 }),
    ];
    for (const fault of faults) {
      expect(uploadCodes(await account.append(name, [fault]))).toEqual(refused(409, 13, [0, 'Conflict', 13]));
    }
  });

  it('[R307] events that nobody knows, and entries without key or event: 400/13', async () => {
    const name = 'mmm_Network';
    const faults = [
      { payload: utf8('x'), meta: { UniqueID: 'n', Event: 'Replace' } },
      { payload: utf8('x'), meta: { UniqueID: 'n', Event: 'new' } },
      { payload: utf8('x'), meta: { UniqueID: 'n' } },
      { payload: utf8('x'), meta: { Event: 'New' } },
      { payload: utf8('x'), meta: {} },
    ];
    for (const fault of faults) {
      expect(uploadCodes(await account.append(name, [fault]))).toEqual(refused(400, 13, [0, 'Reject', 13]));
    }
  });

  it('an entry without key and event is free of rules in an application’s own store', async () => {
    const name = newName();
    expect((await account.append(name, [{ payload: utf8('x'), meta: {} }])).status).toBe(201);
    const half = await account.append(name, [{ payload: utf8('x'), meta: { UniqueID: 'n' } }]);
    expect(uploadCodes(half)).toEqual(refused(400, 13, [0, 'Reject', 13]));
  });
});

describe('order', () => {
  it('[R273] a stale or future index: 409/12, and nothing is stored', async () => {
    const name = newName();
    await account.append(name, [item('a', '1'), item('b', '2')]);
    const container = account.container(name);
    for (const keep of [1, 2]) {
      const stale = new Container(name, account.subject, container.frames.slice(0, keep));
      const frames = stale.batch([item('c', '3')], account.device.signature);
      const answer = await account.upload([account.update(stale, frames)]);
      expect([answer.status, answer.extended]).toEqual([409, 12]);
      expect(answer.message.Entries?.[0]).toMatchObject({ Result: 'Conflict', StatusExtended: 12 });
    }
    const ahead = new Container(name, account.subject, [...container.frames, container.frames[1] as Wire]);
    const frames = ahead.batch([item('c', '3')], account.device.signature);
    expect((await account.upload([account.update(ahead, frames)])).extended).toBe(12);
    expect(await stateOf(account, name)).toMatchObject({ Index: container.frames.length });
  });

  it('[R273] frames whose own index is not consecutive, or differs from the update’s: 409/12', async () => {
    const name = newName();
    await account.append(name, [item('a', '1')]);
    const container = account.container(name);
    const shifted = container.batch([item('b', '2'), item('c', '3')], account.device.signature, {
      change: ([header, payload, trailer], index) =>
        index === 3
          ? [{ ...(header as object), ContainerInfo: { Index: 9 } }, payload, trailer]
          : [header, payload, trailer],
    });
    expect(await account.upload([account.update(container, shifted)])).toMatchObject({ status: 409, extended: 12 });
    const fine = container.batch([item('b', '2')], account.device.signature);
    const stated = { ...account.update(container, fine), Index: 1 };
    expect(await account.upload([stated])).toMatchObject({ status: 409, extended: 12 });
  });

  it('the update’s index may be absent: the first frame’s counts', async () => {
    const name = newName();
    await account.append(name, [item('a', '1')]);
    const container = account.container(name);
    const frames = container.batch([item('b', '2')], account.device.signature);
    expect((await account.upload([{ Container: name, Envelopes: frames }])).status).toBe(201);
    container.frames.push(...frames);
  });

  it('an index beyond the end of a container that does not exist: 409/12', async () => {
    const container = new Container(newName(), account.subject);
    const first = container.opening(account.device.signature);
    const frames = container.batch([item('a', '1')], account.device.signature, {}, [first]);
    expect(await account.upload([{ Container: container.name, Index: 1, Envelopes: frames }])).toMatchObject({
      status: 409,
      extended: 12,
    });
  });

  it('frame 0 for a container that is there with another frame 0: 409/12', async () => {
    const name = newName();
    await account.append(name, [item('a', '1')]);
    const other = new Container(name, account.subject);
    const answer = await account.upload([account.update(other, [other.opening(account.device.signature)])]);
    expect(answer).toMatchObject({ status: 409, extended: 12 });
  });

  it('[R229] Digest before or after the batch is right, any other 409/11', async () => {
    const name = newName();
    await account.append(name, [item('a', '1')]);
    const container = account.container(name);
    for (const form of ['before', 'after', 'other'] as const) {
      const before = b64(container.apex);
      const frames = container.batch([item(form, '2')], account.device.signature);
      const after = b64(new Container(name, account.subject, [...container.frames, ...frames]).apex);
      const Digest = { before, after, other: b64(sha512(utf8('other'))) }[form];
      const answer = await account.upload([{ ...account.update(container, frames), Digest }]);
      if (form === 'other') expect(answer).toMatchObject({ status: 409, extended: 11 });
      else {
        expect(answer.status).toBe(201);
        container.frames.push(...frames);
      }
    }
  });

  it('[R192] the same frames again are taken as before, and written once', async () => {
    const name = newName();
    await account.append(name, [item('a', '1'), item('b', '2')]);
    const container = account.container(name);
    for (const from of [0, 1, 2]) {
      const answer = await account.upload([{ Container: name, Index: from, Envelopes: container.frames.slice(from) }]);
      expect(answer.status).toBe(201);
      expect(answer.message.Entries?.map(({ IndexContainer }) => IndexContainer)).toEqual([0, 1, 2].slice(from));
    }
    expect(await stateOf(account, name)).toMatchObject({ Index: 3 });
  });

  it('the same entries under another manifest are no repetition: 409/12', async () => {
    const name = newName();
    await account.append(name, [item('a', '1')]);
    const container = account.container(name);
    const stale = new Container(name, account.subject, container.frames.slice(0, 1));
    const again = stale.batch([item('a', '1')], account.device.signature, { manifest: { createdMs: 1 } });
    expect(await account.upload([account.update(stale, again)])).toMatchObject({ status: 409, extended: 12 });
  });
});

describe('digests of frames', () => {
  it('[S05] a wrong PayloadDigest: 400/11', async () => {
    const container = account.container(newName());
    const wrong = ([header, payload, trailer]: Wire): Wire => [
      header,
      payload,
      { ...(trailer as object), PayloadDigest: b64(sha512(utf8('other'))) },
    ];
    const first = container.opening(account.device.signature);
    const frames = [first, ...container.batch([item('a', '1')], account.device.signature, { change: wrong }, [first])];
    expect(uploadCodes(await account.upload([account.update(container, frames)]))).toEqual(
      refused(400, 11, [1, 'Reject', 11]),
    );
  });

  it('a PayloadDigest may be missing; TreeDigest and ChainDigest are never judged', async () => {
    const container = account.container(newName());
    const change = ([header, payload]: Wire): Wire => [
      header,
      payload,
      { TreeDigest: b64(zeros(64)), ChainDigest: b64(zeros(64)) },
    ];
    const first = container.opening(account.device.signature);
    const frames = [first, ...container.batch([item('a', '1')], account.device.signature, { change }, [first])];
    expect((await account.upload([account.update(container, frames)])).status).toBe(201);
  });
});

describe('the words of a request', () => {
  it('[R276] entries say StatusExtended only to those who know it', async () => {
    const name = newName();
    await account.append(name, [item('a', '1')]);
    const container = account.container(name);
    const Updates = [account.update(container, container.batch([item('a', '2')], account.device.signature))];
    for (const [Features, entry] of [
      [['entry'], { IndexRequest: 0, Result: 'Conflict', StatusExtended: 13 }],
      [undefined, { IndexRequest: 0, Result: 'Conflict' }],
    ]) {
      const answer = await account.call('Upload', { Features, Updates });
      expect([answer.status, answer.extended]).toEqual([409, 13]);
      expect(answer.message.Entries).toEqual([entry]);
    }
  });
});

describe('all or nothing', () => {
  it('[R135] one bad entry in the last container keeps the others out', async () => {
    const [good, bad] = [account.container(newName()), account.container(newName())];
    const updates = [good, bad].map((container) => {
      const first = container.opening(account.device.signature);
      const meta = container === bad ? { Event: 'Update', First: 1, Previous: 1 } : {};
      const batch = container.batch([item('k', '1', meta)], account.device.signature, {}, [first]);
      return account.update(container, [first, ...batch]);
    });
    expect(uploadCodes(await account.upload(updates))).toEqual(refused(409, 13, [3, 'Conflict', 13]));
    expect(await stateOf(account, good.name)).toBeUndefined();
  });
});

describe('probes and own entries', () => {
  it('[R137] [R274] redacted entries ask: 300, with constraints, and nothing is stored', async () => {
    const name = newName();
    await account.append(name, [item('a', '1')]);
    const container = account.container(name);
    const [frame] = container.batch([item('b', '2')], account.device.signature) as [Wire];
    const opened = open(frame);
    const redacted = [{ ...opened.header, ...opened.trailer }];
    const answer = await account.upload([account.update(container, [redacted])]);
    expect(codesOf(answer)).toMatchObject({ status: 300, tag: 'UploadResponse' });
    expect(answer.message).toMatchObject({ ConstraintsData: { MaxEntries: expect.any(Number) } });
    expect(await stateOf(account, name)).toMatchObject({ Index: 2 });
  });

  it('[R266] a Self entry that nobody signed is refused', async () => {
    const answer = await account.call('Upload', { Self: [[{}, b64(utf8('{"MessageComplete":{}}')), {}]] });
    expect(codesOf(answer)).toMatchObject({ status: 400, tag: 'UploadResponse' });
  });

  it('an Upload of nothing harms nothing', async () => {
    const answer = await account.upload([]);
    expect([201, 400]).toContain(answer.status);
  });
});
