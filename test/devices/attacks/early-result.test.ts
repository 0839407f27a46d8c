/** An entry that reaches the device before the administrator's half of the code was typed there (S53). */
import { readdir } from 'node:fs/promises';
import { confirmConnection } from '@meshd/client/operations/connect-device';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
let phone: NewDevice;
let code: string;
let confirm: string;
beforeAll(async () => {
  middle = await startMiddle();
});
beforeEach(async () => {
  phone = await NewDevice.make(middle);
  await phone.ask();
  const { id } = await middle.open();
  code = await phone.code();
  confirm = (await middle.type(id, code)) ?? '';
});

describe('[S53] the entry that connects a device', () => {
  it('is held, and nothing of it is used, until the second half was typed', async () => {
    const before = (await readdir(phone.folder)).sort();
    for (let times = 0; times < 2; times += 1) expect(await phone.complete()).toMatchObject({ stage: 'code', code });
    expect([(await readdir(phone.folder)).sort(), await phone.isConnected()]).toEqual([before, false]);
    expect(await confirmConnection(phone.folder, confirm)).toMatchObject({ stage: 'connected' });
    expect(await phone.isConnected()).toBe(true);
  });

  it('is not used after three wrong halves, nor can a fourth be typed', async () => {
    await phone.complete();
    for (const next of ['look again', 'look again', 'given up']) {
      expect(await refusal(confirmConnection(phone.folder, code))).toMatch(next);
    }
    expect(await refusal(confirmConnection(phone.folder, confirm))).toMatch(/has not asked to be connected/);
    expect(await refusal(phone.complete())).toMatch(/has not asked to be connected/);
    expect(await phone.isConnected()).toBe(false);
  });
});
