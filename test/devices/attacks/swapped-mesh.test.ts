/** A service that tells a device that it asks another Mesh (S51, S53, S54). */
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Mallet, type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
let phone: NewDevice;
const mallet = new Mallet();
/** What the phone has asked. */
let asks: EnvelopeOctets;
beforeAll(async () => {
  middle = await startMiddle();
  middle.answering = () => mallet.identity;
  middle.requestShown = (message) => {
    asks = message;
    return message;
  };
});
beforeEach(async () => {
  phone = await NewDevice.make(middle);
});

describe('[S51] a Mesh in place of the one that was asked', () => {
  it('[S54] cannot prove the PIN, whoever makes the entry', async () => {
    const { pin } = await middle.admin((device) => givePin(device));
    await phone.ask(pin);
    const entry = await mallet.entry(asks);
    middle.entryShown = () => entry;
    expect(await refusal(phone.complete())).toMatch(/^connect: .*does not prove the PIN/);
    expect(await phone.isConnected()).toBe(false);
    middle.entryShown = (honest) => honest;
    // The proof of the PIN speaks of what the device asks, not of what the service told it; so the true administrator accepts.
    expect(await middle.admin((device) => acceptByPins(device))).toMatchObject([{ outcome: 'accepted' }]);
  });

  it('[S52] is not the one that the true administrator signs for', async () => {
    const { pin } = await middle.admin((device) => givePin(device));
    await phone.ask(pin);
    await middle.admin((device) => acceptByPins(device));
    expect(await refusal(phone.complete())).toMatch(/^connect: /);
    expect(await phone.isConnected()).toBe(false);
  });

  it('[S53] gives another code at the two ends', async () => {
    const { deviceUdf } = await phone.ask();
    const { id } = await middle.open(deviceUdf);
    // The true challenge is not one of the Mesh that the phone believes it asks.
    expect(await refusal(phone.complete())).toMatch(/^connect: .*challenge is not one of the Mesh/);
    const challenge = mallet.challenge(id, nonceOf(middle.challengeOf(id)));
    middle.challengeShown = () => challenge;
    expect(await refusal(middle.type(id, await phone.code()))).toMatch(/^connect: .*not the code/);
    expect(await phone.isConnected()).toBe(false);
  });
});

/** rA of a challenge: it travels in clear. */
function nonceOf(challenge: EnvelopeOctets | undefined): Uint8Array {
  const { ChallengeConnection: members } = JSON.parse(Buffer.from(challenge?.payload ?? []).toString('utf8'));
  return new Uint8Array(Buffer.from(members.AdminNonce, 'base64url'));
}
