/** A challenge that does not reach the service, or whose answer does not come back (S53): it is posted again, and no other. */
import { BindingError } from '@meshd/binding/errors';
import { openEnvelope } from '@meshd/dare/envelope';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
let phone: NewDevice;
let id: string;
beforeAll(async () => {
  middle = await startMiddle();
});
beforeEach(async () => {
  middle.service.beforeCall = async () => undefined;
  middle.service.afterCall = async () => undefined;
  phone = await NewDevice.make(middle);
  id = middle.nameOf((await phone.ask()).deviceUdf);
});

const cut = async (transaction: string) => {
  if (transaction === 'Upload') throw new BindingError('transport', 'the connection was cut');
};
const stageOf = async () => (await middle.pending()).find((each) => each.id === id)?.stage;

/** Payloads of the challenges of the request that lie in the spool. */
const challenges = () =>
  (middle.service.containers.get('mmm_Inbound') ?? []).flatMap((octets) => {
    const { payload, contentMetaData } = openEnvelope(octets);
    const text = Buffer.from(payload ?? []).toString();
    return contentMetaData?.MessageType === 'ChallengeConnection' && text.includes(id) ? [text] : [];
  });

describe('[S53] an administrator opens a request', () => {
  it('again where the challenge was not posted: until then nobody is said to be challenged', async () => {
    middle.service.beforeCall = cut;
    expect(await refusal(middle.open())).toMatch(/^unavailable: the connection was cut/);
    expect([challenges(), await stageOf()]).toEqual([[], 'asked']);
    middle.service.beforeCall = async () => undefined;
    await middle.open();
    expect([challenges().length, await stageOf()]).toEqual([1, 'challenged']);
    expect(await middle.type(id, await phone.code())).toMatch(/^[A-Z2-7]{4}-[A-Z2-7]{4}$/);
  });

  it('with one secret, whatever answers are lost: the device is not challenged twice', async () => {
    middle.service.afterCall = cut;
    expect(await refusal(middle.open())).toMatch(/^unavailable/);
    const code = await phone.code();
    expect(await refusal(middle.open())).toMatch(/^unavailable/);
    middle.service.afterCall = async () => undefined;
    await middle.open();
    // Another one would be refused by the service, and would lie here.
    expect(challenges()).toHaveLength(1);
    expect(await phone.code()).toBe(code);
    expect(await middle.type(id, code)).toMatch(/^[A-Z2-7]{4}-[A-Z2-7]{4}$/);
  });
});
