/** A service that shows the administrator another device than the one that asks (S51, S53, S54). */
import { shortCodes } from '@meshd/client/connect/transcript';
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import { systemRandom } from '@meshd/crypto/random';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Mallet, type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
let phone: NewDevice;
beforeAll(async () => {
  middle = await startMiddle();
});
beforeEach(async () => {
  phone = await NewDevice.make(middle);
});

describe('[S51] a device of somebody else in place of the one that asks', () => {
  it('[S54] does not prove the PIN: nobody is connected', async () => {
    const { pin } = await middle.admin((device) => givePin(device));
    const other = new Mallet().request();
    middle.requestShown = () => other.message;
    await phone.ask(pin);
    const before = middle.catalogFrames;
    expect(await middle.admin((device) => acceptByPins(device))).toEqual([]);
    const asked = (await middle.pending()).at(-1);
    expect([asked?.deviceUdf, asked?.stage, middle.catalogFrames]).toEqual([other.deviceUdf, 'asked', before]);
    expect(await phone.complete()).toMatchObject({ stage: 'waiting' });
  });

  it('[S53] has another code than the device shows, by its own secret', async () => {
    const other = new Mallet().request();
    middle.requestShown = () => other.message;
    middle.passesReveals = false;
    const { deviceUdf } = await phone.ask();
    const { id } = await middle.open(other.deviceUdf);
    expect(id).toBe(middle.nameOf(deviceUdf));
    const code = await phone.code();
    middle.reveal(id, other.commitment?.revealNonce as Uint8Array);
    const before = middle.catalogFrames;
    expect(await refusal(middle.type(id, code))).toMatch(/^connect: .*not the code/);
    expect([middle.catalogFrames, await phone.isConnected()]).toEqual([before, false]);
  });

  it('[S53] has none by the secret of the device, which it has not promised: the request is over at once', async () => {
    const other = new Mallet().request();
    middle.requestShown = () => other.message;
    middle.passesReveals = true;
    await phone.ask();
    const { id } = await middle.open(other.deviceUdf);
    expect(await refusal(middle.type(id, await phone.code()))).toMatch(/^connect: .*another secret than it promised/);
    expect(await refusal(phone.complete())).toMatch(/^refused: /);
    expect(await phone.isConnected()).toBe(false);
  });

  it('[S53] agrees with it by chance once in 2^40: both halves hang on everything that goes in', () => {
    const parts = [systemRandom(64), systemRandom(32), systemRandom(32)] as const;
    const codes = [parts, ...parts.map((_, at) => parts.map((part, index) => flipped(part, index === at)))].map(
      ([transcript, revealNonce, adminNonce]) =>
        shortCodes(transcript as Uint8Array, revealNonce as Uint8Array, adminNonce as Uint8Array),
    );
    // Eight characters of five bits; of four transcripts no two halves are alike.
    const halves = codes.flatMap(({ code, confirm }) => [code, confirm]);
    for (const half of halves) expect(half).toMatch(/^[A-Z2-7]{4}-[A-Z2-7]{4}$/);
    expect(new Set(halves).size).toBe(8);
  });
});

/** One bit of the last octet changed, or none. */
function flipped(octets: Uint8Array, isChanged: boolean): Uint8Array {
  return octets.map((octet, at) => (isChanged && at === octets.length - 1 ? octet ^ 1 : octet));
}
