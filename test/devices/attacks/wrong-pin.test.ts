/** PINs that are wrong, guessed, used, out of date, or heard by somebody who has the service's help (S54). */

import { makePin } from '@meshd/client/connect/pin';
import { fakeNowMs } from '@meshd/client/fake-service.fixture';
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import { systemRandom } from '@meshd/crypto/random';
import { pinLifeMsMax } from '@meshd/limits/client';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
beforeAll(async () => {
  middle = await startMiddle();
});

const give = (lifeMs?: number) => middle.admin((device) => givePin(device, lifeMs));

/** A new device that asks with a PIN, and what the administrator makes of it, who looks at nobody else then. */
async function asking(pin: string, name: string, nowMs = fakeNowMs) {
  const device = await NewDevice.make(middle);
  const { deviceUdf } = await device.ask(pin, name);
  const judged = await middle.admin((admin) => acceptByPins(admin, {}, (udf) => udf === deviceUdf), nowMs);
  return { device, deviceUdf, outcome: judged.find(({ pending }) => pending.deviceUdf === deviceUdf)?.outcome };
}

/** Nothing comes of a request, whatever comes of others. @returns what the administrator is told */
async function changesNothing(work: () => ReturnType<typeof asking>) {
  const { outcome, device, deviceUdf } = await work();
  expect(middle.isListed(deviceUdf)).toBe(false);
  expect(await device.complete()).toMatchObject({ stage: 'waiting' });
  expect(await device.isConnected()).toBe(false);
  return outcome;
}

describe('[S54] a PIN', () => {
  it('that was guessed lets nobody in, nor does one that nearly is it', async () => {
    const { pin } = await give();
    expect(await changesNothing(() => asking(makePin(systemRandom), 'guesses'))).toBe('invalid');
    const near = pin.replace(/.$/, (letter) => (letter === 'A' ? 'E' : 'A'));
    expect(near).not.toBe(pin);
    expect(await changesNothing(() => asking(near, 'nearly'))).toBe('invalid');
    const device = await NewDevice.make(middle);
    expect(await refusal(device.ask('1234'))).toMatch(/not a PIN/);
  });

  it('lets one device in', async () => {
    const { pin } = await give();
    const first = await asking(pin, 'first');
    expect([first.outcome, (await first.device.complete()).stage]).toEqual(['accepted', 'connected']);
    expect(await changesNothing(() => asking(pin, 'second'))).toBe('used');
  });

  it('lets one device in, though the service hides that it was used', async () => {
    const { pin } = await give();
    middle.service.beforeCall = async (_, message) => {
      delete (message as { Self?: unknown }).Self;
    };
    expect((await asking(pin, 'first')).outcome).toBe('accepted');
    middle.service.beforeCall = async () => undefined;
    expect(await changesNothing(() => asking(pin, 'second'))).toBe('used');
  });

  it('speaks for the request that it was typed for: its proof on a request of other keys is none', async () => {
    const { pin } = await give();
    const [heard, thief] = [await NewDevice.make(middle), await NewDevice.make(middle)];
    let proof: Uint8Array | undefined;
    middle.requestShown = (message) => {
      proof = message.payload ?? undefined;
      return message;
    };
    await heard.ask(pin, 'heard');
    const { PinUDF: pinUdf } = JSON.parse(Buffer.from(proof ?? []).toString('utf8')).RequestConnection;
    middle.requestShown = (message) => message;
    await thief.ask(undefined, 'thief');
    const judged = await middle.admin(async (admin) => acceptByPins(admin));
    expect(judged.filter(({ outcome }) => outcome === 'accepted').map(({ pending }) => pending.description)).toEqual([
      'heard',
    ]);
    // Never in clear, and another one each time.
    expect(pinUdf).not.toContain(pin.slice(1));
    expect(await thief.complete()).toMatchObject({ stage: 'waiting' });
  });

  it('[R313] is nowhere at the service in clear, neither where it was given out nor where it was used', async () => {
    const { pin } = await give();
    await (await NewDevice.make(middle)).ask(pin);
    const stored = [...middle.service.containers.values()]
      .flat()
      .flatMap(({ header, payload, trailer }) => [
        Buffer.from(header).toString('latin1'),
        Buffer.from(payload ?? []).toString('latin1'),
        Buffer.from(trailer ?? []).toString('latin1'),
      ]);
    const texts = [pin, pin.replaceAll('-', ''), pin.toLowerCase()];
    for (const text of texts) expect(stored.some((part) => part.includes(text))).toBe(false);
  });

  it('is over after its time', async () => {
    const { pin } = await give(60_000);
    expect(await changesNothing(() => asking(pin, 'late', fakeNowMs + 60_000))).toBe('expired');
    expect(await refusal(give(pinLifeMsMax + 1))).toMatch(/24 hours/);
  });
});
