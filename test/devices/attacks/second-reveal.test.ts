/** A device that is to reveal its secret a second time, or to another challenge (S53). */
import { completeConnection, confirmConnection } from '@meshd/client/operations/connect-device';
import { systemRandom } from '@meshd/crypto/random';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Mallet, type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
let phone: NewDevice;
let id: string;
beforeAll(async () => {
  middle = await startMiddle();
});
beforeEach(async () => {
  middle.challengeShown = (honest) => honest;
  middle.reveals.length = 0;
  phone = await NewDevice.make(middle);
  id = middle.nameOf((await phone.ask()).deviceUdf);
});

describe('[S53] a device in code mode', () => {
  it('reveals nothing before it was challenged, and the same to the same challenge', async () => {
    expect(await phone.complete()).toMatchObject({ stage: 'waiting' });
    expect(middle.reveals).toEqual([]);
    await middle.open();
    const shown = await phone.complete();
    expect(await phone.complete()).toEqual(shown);
    expect(new Set(middle.reveals.map((secret) => Buffer.from(secret).toString('hex'))).size).toBe(1);
  });

  it('gives the request up at a second challenge, signed by the Mesh as it may be', async () => {
    await middle.open();
    await phone.complete();
    const revealed = middle.reveals.length;
    const second = await middle.admin(async ({ session }) =>
      new Mallet().challenge(id, systemRandom(32), session.keys.key('meshOnline')),
    );
    middle.challengeShown = () => second;
    expect(await refusal(phone.complete())).toMatch(/^connect: .*challenged twice/);
    expect(middle.reveals).toHaveLength(revealed);
    // Nothing is left of it: neither to be answered nor to be confirmed.
    expect(await refusal(phone.complete())).toMatch(/has not asked to be connected/);
    expect(await refusal(confirmConnection(phone.folder, 'AAAA-AAAA'))).toMatch(/has not asked to be connected/);
  });

  it('does not answer a challenge of somebody else, of another size, or for another request', async () => {
    const mesh = await middle.admin(async ({ session }) => session.keys.key('meshOnline'));
    const mallet = new Mallet();
    const strange = [
      [mallet.challenge(id, systemRandom(32)), /not one of the Mesh/],
      [mallet.challenge(id, systemRandom(31), mesh), /for another request/],
      [mallet.challenge('NAAA', systemRandom(32), mesh), /for another request/],
    ] as const;
    for (const [challenge, why] of strange) {
      middle.challengeShown = () => challenge;
      expect(await refusal(completeConnection(phone.folder, middle.environment(), undefined))).toMatch(why);
    }
    expect(middle.reveals).toEqual([]);
  });
});
