/** A service that gives a device what was an answer to another request (S51, S52, S53). */
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
let phone: NewDevice;
/** An entry that connects the phone as it asked first. */
let first: EnvelopeOctets;
let pin: string;

beforeAll(async () => {
  middle = await startMiddle();
  phone = await NewDevice.make(middle);
  ({ pin } = await middle.admin((device) => givePin(device)));
  await phone.ask(pin);
  await middle.admin((device) => acceptByPins(device));
  first = middle.service.containers.get('mmm_Device')?.at(-1) as EnvelopeOctets;
});
beforeEach(() => {
  middle.entryShown = (honest) => honest;
  middle.challengeShown = (honest) => honest;
});

describe('an answer to another request', () => {
  it('[S52] [S54] is worth nothing to the device that asks again, with the same PIN', async () => {
    await phone.ask(pin);
    middle.entryShown = () => first;
    expect(await refusal(phone.complete())).toMatch(/^connect: .*not encrypted to this key/);
    expect(await phone.isConnected()).toBe(false);
  });

  it('[S51] is worth nothing to another device', async () => {
    const bulb = await NewDevice.make(middle);
    await bulb.ask(pin, 'bulb');
    middle.entryShown = () => first;
    expect(await refusal(bulb.complete())).toMatch(/^connect: .*that of another device/);
    expect(await bulb.isConnected()).toBe(false);
  });

  it('[S53] is no challenge of the next request, nor is the code of before its code', async () => {
    const tablet = await NewDevice.make(middle);
    const { deviceUdf } = await tablet.ask();
    const before = await middle.open(deviceUdf);
    const challenge = middle.challengeOf(before.id);
    const code = await tablet.code();
    await tablet.ask();
    middle.challengeShown = () => challenge;
    expect(await refusal(tablet.complete())).toMatch(/^connect: .*challenge is for another request/);
    middle.challengeShown = (honest) => honest;
    const { id } = await middle.open(deviceUdf);
    expect([id, await tablet.code()]).not.toEqual([before.id, code]);
    expect(await refusal(middle.type(id, code))).toMatch(/^connect: .*not the code/);
  });
});
