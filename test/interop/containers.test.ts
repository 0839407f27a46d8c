/** What may be opened, by which frame 0 and under which name, and how much fits into it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, item } from './kit/account.js';
import { Container } from './kit/container.js';
import type { Wire } from './kit/dare.js';
import { nonceUdf } from './kit/keys.js';
import { b64, utf8, zeros } from './kit/octets.js';
import type { Peer } from './kit/peer.js';
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
  return `app_Opened${names}`;
};

/** What a container of the account holds by the service's word. */
async function stateOf(
  of: Account,
  name: string,
): Promise<{ Index?: number | undefined; Digest?: string | undefined } | undefined> {
  const { message } = await of.status();
  return message.ContainerStatus?.find(({ Container: found }) => found === name);
}

describe('frame 0', () => {
  it('of another kind than Merkle: 400/13', async () => {
    const container = account.container(newName());
    const change = ([header, payload, trailer]: Wire): Wire => [
      { ...(header as object), ContainerInfo: { DataEncoding: 'JSON', Index: 0, ContainerType: 'Chain' } },
      payload,
      trailer,
    ];
    const frame = container.opening(account.device.signature, 'application/mmm-catalog', { change });
    expect(await account.upload([account.update(container, [frame])])).toMatchObject({ status: 400, extended: 13 });
  });

  it('alone opens a container', async () => {
    const container = account.container(newName());
    const frame = container.opening(account.device.signature);
    expect((await account.upload([account.update(container, [frame])])).status).toBe(201);
    container.frames.push(frame);
    expect((await account.append(container.name, [item('a', '1')])).status).toBe(201);
  });

  it('says that a store is a spool: UniqueID is needed and must be new', async () => {
    const name = newName();
    const container = account.container(name);
    const first = container.opening(account.device.signature, 'application/mmm-spool');
    const message = { payload: utf8('{}'), meta: { UniqueID: nonceUdf(), MessageType: 'X', cty: 'application/mmm' } };
    const frames = [first, ...container.batch([message], account.device.signature, {}, [first])];
    expect((await account.upload([account.update(container, frames)])).status).toBe(201);
    container.frames.push(...frames);
    const other = await account.append(name, [{ ...message, payload: utf8('{"other":1}') }]);
    expect([other.status, other.message.Entries?.[0]?.Result, other.extended]).toEqual([400, 'Reject', 13]);
    const none = await account.append(name, [{ payload: utf8('{}'), meta: { cty: 'application/mmm' } }]);
    expect([none.status, none.extended]).toEqual([400, 13]);
  });
});

describe('names of containers', () => {
  const wrong = [
    '../escape',
    'mmm_../x',
    'nounderscore',
    '_x',
    'mmm_',
    '1mm_X',
    'mmm_a/b',
    'a b_c',
    `x_${'y'.repeat(64)}`,
    'mmm_é',
    '',
  ];
  for (const name of [...wrong, 'mmm_Account', 'mmm_Incident', 'mmm_Unheard']) {
    it(`[R308] ${JSON.stringify(name).slice(0, 20)} is refused`, async () => {
      const container = new Container(name, account.subject);
      const answer = await account.upload([account.update(container, [container.opening(account.device.signature)])]);
      expect([400, 403]).toContain(answer.status);
      expect(await stateOf(account, name)).toBeUndefined();
    });
  }

  it('[R308] names differ in case', async () => {
    const name = newName();
    await account.append(name, [item('a', '1')]);
    expect((await account.append(name.toUpperCase(), [item('a', '1')])).status).toBe(201);
  });

  it('[R266] the service’s own spools are not for Updates: 403', async () => {
    for (const name of ['mmm_Inbound', 'mmm_Outbound']) {
      const download = await account.download([{ Container: name }]);
      const container = new Container(name, account.subject, download.message.Updates?.[0]?.Envelopes ?? []);
      const message = { payload: utf8('{}'), meta: { UniqueID: nonceUdf(), MessageType: 'X', cty: 'application/mmm' } };
      const frames = container.batch([message], account.device.signature);
      expect(await account.upload([account.update(container, frames)])).toMatchObject({ status: 403, extended: 2 });
    }
  });

  it('[S49] mmm_Archive is written by devices, under manifests, behind the frame 0 of the service', async () => {
    const download = await account.download([{ Container: 'mmm_Archive' }]);
    const container = new Container('mmm_Archive', account.subject, download.message.Updates?.[0]?.Envelopes ?? []);
    const message = { payload: utf8('{}'), meta: { UniqueID: nonceUdf(), MessageType: 'X', cty: 'application/mmm' } };
    const frames = container.batch([message], account.device.signature);
    expect((await account.upload([account.update(container, frames)])).status).toBe(201);
  });
});

describe('bounds', () => {
  it('[R236] more than 1,000 entries: 413', async () => {
    const container = account.container(newName());
    const first = container.opening(account.device.signature);
    const entries = Array.from({ length: 1000 }, (_, i) => item(`k${i}`, 'x'));
    const frames = [first, ...container.batch(entries, account.device.signature, { bare: true }, [first])];
    expect((await account.upload([account.update(container, frames)])).status).toBe(413);
  });

  it('[R134] 1,000 entries under one manifest are taken', async () => {
    const name = newName();
    const entries = Array.from({ length: 999 }, (_, i) => item(`k${i}`, 'x'));
    expect((await account.append(name, entries)).status).toBe(201);
    expect(await stateOf(account, name)).toMatchObject({ Index: 1000, Digest: b64(account.container(name).apex) });
  }, 60_000);

  it('[R236] 8 MiB of payload are taken, one octet more is 413', async () => {
    const bytesMax = peer.hello.ConstraintsUpdate?.BytesMax as number;
    expect((await account.append(newName(), [item('big', zeros(bytesMax))])).status).toBe(201);
    expect((await account.append(newName(), [item('bigger', zeros(bytesMax + 1))])).status).toBe(413);
  }, 60_000);

  it('more than 256 containers: 403/19', async () => {
    const rich = await Account.open(peer);
    const opened = async (from: number, to: number) => {
      const updates = Array.from({ length: to - from }, (_, i) => {
        const container = new Container(`app_Many${from + i}`, rich.subject);
        return rich.update(container, [container.opening(rich.device.signature)]);
      });
      return rich.upload(updates);
    };
    expect((await opened(0, 200)).status).toBe(201);
    const answer = await opened(200, 260);
    expect([answer.status, answer.extended]).toEqual([403, 19]);
    expect(answer.message.Entries?.[0]?.StatusExtended).toBe(19);
    expect((await opened(200, 252)).status).toBe(201);
    expect((await opened(252, 253)).extended).toBe(19);
  }, 60_000);
});
