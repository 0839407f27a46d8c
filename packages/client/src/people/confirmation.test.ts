import type { JsonObject } from '@meshd/encoding/json-value';
import type { Permission } from '@meshd/schema/connections';
import { beforeAll, describe, expect, it } from 'vitest';
import { fakeNowMs } from '../fake-service.fixture.js';
import type { MessageFrame } from '../message-read.js';
import { type Asked, judgeResponses, mayConfirm } from './confirmation.js';
import { Someone } from './people.fixture.js';

const minuteMs = 60_000;
const alice = new Someone('alice@alpha.test');
const bob = new Someone('bob@beta.test');
let asked: Asked;

const ask = (text: string) => {
  const Expires = new Date(fakeNowMs + minuteMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return alice.read(alice.say(bob, 'RequestConfirmation', { Text: text, Expires }));
};
const answer = (by: Someone, members: object, nowMs = fakeNowMs): Promise<MessageFrame> =>
  alice.read(by.say(alice, 'ResponseConfirmation', members, nowMs));
const asSent = () => asked.request.body as JsonObject;

/** What one response comes to. */
const verdict = (response: MessageFrame, accountUdf = asked.accountUdf) => {
  const { answer: found, refused } = judgeResponses({ ...asked, accountUdf }, [response]);
  return found === undefined ? refused[0]?.reason : found.accept;
};

beforeAll(async () => {
  asked = { request: await ask('Open the gate?'), accountUdf: bob.identity.accountUdf };
});

describe('[R161] a response to a request for confirmation', () => {
  it('counts as it says', async () => {
    expect(verdict(await answer(bob, { Request: asSent(), Accept: true }))).toBe(true);
    expect(verdict(await answer(bob, { Request: asSent(), Accept: false }))).toBe(false);
    expect(verdict(await answer(bob, { Request: asSent() }))).toMatch(/neither yes nor no/);
  });

  it('to another request, or to one that was changed, does not count', async () => {
    const other = (await ask('Open the gate?')).body as JsonObject;
    const changes: JsonObject[] = [
      { ...asSent(), Text: 'Open the safe?' },
      { ...asSent(), Expires: '2099-01-01T00:00:00Z' },
      { ...asSent(), Recipient: 'carol@beta.test' },
      { ...asSent(), Note: 'and more' },
      other,
    ];
    for (const Request of changes) {
      expect(verdict(await answer(bob, { Request, Accept: true }))).toMatch(/another request than was sent/);
    }
    expect(verdict(await answer(bob, { Accept: true }))).toMatch(/another request than was sent/);
  });

  it('that is brought again, or contradicts the first one, does not count', async () => {
    const yes = await answer(bob, { Request: asSent(), Accept: true });
    const no = await answer(bob, { Request: asSent(), Accept: false });
    const { answer: found, refused } = judgeResponses(asked, [yes, yes, no]);
    expect(found).toMatchObject({ accept: true, id: yes.id });
    expect(refused.map(({ reason }) => reason)).toEqual(Array(2).fill('the request has been answered before'));
  });

  it('of a device without the right to confirm does not count', async () => {
    const verdictOf = async (permissions: readonly Permission[]) => {
      const device = new Someone('bob@beta.test', permissions);
      const response = await answer(device, { Request: asSent(), Accept: true });
      return verdict(response, device.identity.accountUdf);
    };
    expect(await verdictOf([{ Name: 'Messaging' }, { Name: 'Confirmation', Role: 'read' }])).toMatch(/may not confirm/);
    expect(await verdictOf([{ Name: 'Confirmation' }])).toBe(true);
  });

  it('of somebody else, of another account under that name, or of nobody known, does not count', async () => {
    const members = () => ({ Request: asSent(), Accept: true });
    expect(verdict(await answer(new Someone('carol@beta.test'), members()))).toMatch(/carol@beta.test was not asked/);
    expect(verdict(await answer(new Someone('bob@beta.test'), members()))).toMatch(/another account answers/);
    const { refused } = judgeResponses({ ...asked, accountUdf: undefined }, [await answer(bob, members())]);
    expect(refused[0]?.reason).toMatch(/no contact any more/);
  });

  it('that was given after the request had expired does not count', async () => {
    const members = { Request: asSent(), Accept: true };
    expect(verdict(await answer(bob, members, fakeNowMs + minuteMs))).toBe(true);
    expect(verdict(await answer(bob, members, fakeNowMs + minuteMs + 1000))).toMatch(/expired/);
  });
});

describe('the right to confirm', () => {
  it('comes with its name, or with everything', () => {
    expect(mayConfirm([])).toBe(true);
    expect(mayConfirm([{ Name: 'Confirmation' }])).toBe(true);
    expect(mayConfirm([{ Name: 'Confirmation', Role: 'write' }])).toBe(true);
    expect(mayConfirm([{ Name: 'Confirmation', Role: 'read' }])).toBe(false);
    expect(mayConfirm([{ Name: 'mmm_Inbound' }, { Name: 'Messaging' }])).toBe(false);
  });
});
