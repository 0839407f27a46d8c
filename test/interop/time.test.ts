/** What time does to accounts, answers and names; the provider's clock is this test's (limits: semantics 10). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, creationOf, item } from './kit/account.js';
import { open, type Wire } from './kit/dare.js';
import { b64 } from './kit/octets.js';
import type { Answer, Peer } from './kit/peer.js';
import { newPerson, type Person } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest, newId, type Sent, type Signer } from './kit/request.js';
import { leafOf, logOf } from './kit/trees.js';
import { post } from './kit/wire.js';

const day = 86_400_000;
let aheadMs = 0;
const clock = (): number => Date.now() + aheadMs;
let running: Running;
let peer: Peer;
beforeAll(async () => {
  running = await startProvider({ clock });
  peer = running.peer;
});
afterAll(() => running?.stop());

/** Hosts are issued for days; what is of interest here is what the service says, so they are judged by today. */
const send = async (sent: Sent): Promise<Answer> => peer.verify(await post(running.provider, sent.body), sent);
const ask = (tag: string, message: object, signers: readonly Signer[]): Promise<Answer> =>
  send(makeRequest({ tag, id: newId(clock()), message, signers }));
const create = (person: Person): Promise<Answer> =>
  ask('CreateAccount', creationOf(person), [{ key: person.meshOffline }]);

describe('stored answers', () => {
  it('[S27] last as long as the request is fresh; later its time is over', async () => {
    const account = await Account.open(peer);
    const container = account.container('app_Time');
    const first = container.opening(account.device.signature);
    const frames = [first, ...container.batch([item('a', '1')], account.device.signature, {}, [first])];
    const message = { Account: account.person.address, Updates: [account.update(container, frames)] };
    const sent = makeRequest({ tag: 'Upload', id: newId(clock()), message, signers: [account.signer] });
    const answer = await send(sent);
    expect(answer.status).toBe(201);
    aheadMs += 290_000;
    expect(b64((await send(sent)).payload)).toBe(b64(answer.payload));
    aheadMs += 20_000;
    expect(await send(sent)).toMatchObject({ status: 401, extended: 21 });
    aheadMs += 400_000;
    expect(await send(sent)).toMatchObject({ status: 401, extended: 21 });
    const again = await ask('Upload', message, [account.signer]);
    expect(again.status).toBe(201);
    expect(again.message.Entries?.map(({ IndexContainer }) => IndexContainer)).toEqual([0, 1]);
  });

  it('[S27] of a client whose clock is ahead last until its request is late', async () => {
    const person = newPerson('ahead@example.com');
    const message = creationOf(person);
    const sent = makeRequest({
      tag: 'CreateAccount',
      id: newId(clock() + 290_000),
      message,
      signers: [{ key: person.meshOffline }],
    });
    const answer = await send(sent);
    expect(answer.status).toBe(201);
    const other = makeRequest({
      tag: 'CreateAccount',
      id: sent.id,
      message: { ...message, Unheard: 1 },
      signers: [{ key: person.meshOffline }],
    });
    aheadMs += 580_000;
    expect(b64((await send(sent)).payload)).toBe(b64(answer.payload));
    expect(await send(other)).toMatchObject({ status: 401, extended: 20 });
  });
});

describe('names', () => {
  const logOfInbound = async (account: Account): Promise<string> => {
    const message = { Account: account.person.address, Select: [{ Container: 'mmm_Inbound' }] };
    const { message: answer } = await ask('Download', message, [account.signer]);
    const frame = open(answer.Updates?.[0]?.Envelopes?.[0] as Wire);
    return b64(logOf(account.subject, 'mmm_Inbound', leafOf(0, frame)));
  };

  it('[S49] of a deleted account are free after 90 days; the same account made again has other spools', async () => {
    const person = newPerson('again@example.com');
    const account = new Account(peer, person);
    expect((await create(person)).status).toBe(201);
    const before = await logOfInbound(account);
    const signers = [account.signer, account.admin];
    expect((await ask('DeleteAccount', { Account: person.address }, signers)).status).toBe(201);
    aheadMs += 89 * day;
    expect(await create(person)).toMatchObject({ status: 409, extended: 1 });
    aheadMs += 2 * day;
    expect((await create(person)).status).toBe(201);
    const after = await logOfInbound(account);
    expect(after).not.toBe(before);
  });
});
