import { BindingError } from '@meshd/binding/errors';
import { messageCreatedPastMsMax } from '@meshd/limits/limits';
import { beforeEach, describe, expect, it } from 'vitest';
import { withDevice } from '../device.js';
import { accountAt, FakeService, fakeNowMs } from '../fake-service.fixture.js';
import { Home } from '../home.js';
import { isWaiting, loadOutgoing } from '../outgoing.js';
import { postMessages } from './post-messages.js';
import { sendMessage } from './send-message.js';

const hourMs = 3_600_000;
const bob = 'bob@example.org';
const carol = 'carol@example.org';

let service: FakeService;
let home: string;

const send = (recipients: readonly string[], isOffline = false) =>
  withDevice(home, service.environment(), (device) =>
    sendMessage(device, {
      ...{ recipients, type: 'Note', mayBeClear: true, isOffline },
      body: (own) => new TextEncoder().encode(JSON.stringify({ Note: own })),
    }),
  );
const post = (nowMs = fakeNowMs) => withDevice(home, service.environment(nowMs), postMessages);
const queue = () => loadOutgoing(new Home(home));
const rejected = { status: 201, message: { Entries: [{ Result: 'Reject', StatusExtended: 5 }] } };
const lineBreaks = async (transaction: string) => {
  if (transaction === 'Post') throw new BindingError('transport', 'the line broke');
};

beforeEach(async () => {
  service = new FakeService();
  home = await accountAt(service);
});

describe('messages on their way to the own service', () => {
  it('are on disk before they are sent, and gone from there when the service has them', async () => {
    service.beforeCall = async (transaction) => {
      if (transaction !== 'Post') return;
      expect((await queue()).map(({ recipient, attempt }) => [recipient, attempt?.sentMs])).toContainEqual([
        bob,
        fakeNowMs,
      ]);
    };
    expect(await send([bob])).toMatchObject({ messages: [{ recipient: bob, state: 'sent', frameIndex: 1 }] });
    expect(await queue()).toEqual([]);
    expect(await new Home(home).list('outgoing')).toEqual([]);
  });

  it('are not sent offline, and go out later in the order in which they were written', async () => {
    await send([bob], true);
    await send([carol], true);
    expect(service.posts).toEqual([]);
    expect((await post()).posted.map(({ recipient }) => recipient)).toEqual([bob, carol]);
  });

  it('go out again as they were, under the same ID, where nothing was heard of an attempt', async () => {
    service.beforeCall = lineBreaks;
    const { messages, interrupted } = await send([bob, carol]);
    expect([messages.map(({ state }) => state), interrupted?.code]).toEqual([['waiting', 'waiting'], 'unavailable']);
    service.beforeCall = async () => undefined;
    const [lost] = service.posts.splice(0);
    const { posted } = await post();
    expect(posted.map(({ id }) => id)).toEqual(messages.map(({ id }) => id));
    const [again] = service.posts;
    expect(again?.message).toEqual(lost?.message);
    expect(Buffer.from(again?.id ?? [])).toEqual(Buffer.from(lost?.id ?? [1]));
  });

  it('go out under another ID an hour later, when the spool shows that they never arrived', async () => {
    service.beforeCall = lineBreaks;
    await send([bob]);
    service.beforeCall = async () => undefined;
    const [lost] = service.posts.splice(0);
    await post(fakeNowMs + hourMs);
    expect(service.posts[0]?.message).toEqual(lost?.message);
    expect(service.posts[0]?.id).not.toEqual(lost?.id);
  });

  it('go out under another ID at once, where the service knows the first one for other words', async () => {
    let isFirst = true;
    const answer = service.postAnswer;
    service.postAnswer = (message) => {
      if (!isFirst) return answer(message);
      isFirst = false;
      return { status: 401, extended: 20 };
    };
    expect(await send([bob])).toMatchObject({ messages: [{ state: 'sent' }] });
    expect(new Set(service.posts.map(({ id }) => id)).size).toBe(2);
  });

  it('that the service refuses are over: kept for a week to say why, and not sent again', async () => {
    service.postAnswer = ({ Accounts: [account] = [] }) => (account === bob ? rejected : { status: 413 });
    const { messages, interrupted } = await send([bob, carol]);
    expect(messages).toMatchObject([
      { state: 'refused', reason: 'refused by policy (5)' },
      { state: 'refused', reason: expect.stringContaining('413') },
    ]);
    expect(interrupted).toBeUndefined();
    service.posts.length = 0;
    await post();
    expect(service.posts).toEqual([]);
    const left = await queue();
    expect([left.length, left.some(isWaiting)]).toEqual([2, false]);
    await post(fakeNowMs + messageCreatedPastMsMax);
    expect(await queue()).toEqual([]);
  });

  it('wait where the service says later', async () => {
    service.postAnswer = () => ({ status: 429 });
    const { messages, interrupted } = await send([bob]);
    expect([messages[0]?.state, interrupted?.code]).toEqual(['waiting', 'refused']);
    expect((await queue()).every(isWaiting)).toBe(true);
  });
});
