/** Codes that are typed wrong at the administrator's device, also where the service hides what came of it (S53). */
import { acceptByCode } from '@meshd/client/operations/administer-devices';
import type { PendingDevice } from '@meshd/client/operations/pending-devices';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
let phone: NewDevice;
let code: string;
let revealed: PendingDevice;
beforeAll(async () => {
  middle = await startMiddle();
});
beforeEach(async () => {
  middle.service.beforeCall = async () => undefined;
  phone = await NewDevice.make(middle);
  await phone.ask();
  const { id } = await middle.open();
  code = await phone.code();
  revealed = (await middle.pending()).find((each) => each.id === id) as PendingDevice;
});

/** What the administrator sees of the request now. */
const stage = async () => (await middle.pending()).find(({ id }) => id === revealed.id)?.stage;

const type = (typed: string) => refusal(middle.admin((device) => acceptByCode(device, revealed, typed)));

describe('[S53] three wrong codes', () => {
  it('end the request, and the device is told', async () => {
    expect(await type('AAAA-AAAA')).toMatch(/look again/);
    expect(await type('AAAA-AAAB')).toMatch(/look again/);
    expect(await type('AAAA-AAAC')).toMatch(/the request is rejected/);
    expect(await stage()).toBe('rejected');
    expect(await refusal(phone.complete())).toMatch(/^refused: /);
  });

  it('end it at the administrator’s device, whatever the service shows: the right one comes too late', async () => {
    // The rejection does not arrive.
    middle.service.beforeCall = async (_, message) => {
      delete (message as { Self?: unknown }).Self;
    };
    for (const typed of ['AAAA-AAAA', 'AAAA-AAAB', 'AAAA-AAAC']) await type(typed);
    expect(await stage()).toBe('revealed');
    const before = middle.catalogFrames;
    expect(await type(code)).toMatch(/^connect: .*have the device ask anew/);
    expect(middle.catalogFrames).toBe(before);
  });

  it('are not needed where the device shows another secret than it has promised', async () => {
    middle.service.beforeCall = async (_, message) => {
      delete (message as { Self?: unknown }).Self;
    };
    const before = middle.catalogFrames;
    const honest = revealed;
    revealed = { ...honest, revealNonce: new Uint8Array(32) };
    expect(await type(code)).toMatch(/another secret than it promised/);
    revealed = honest;
    expect(await type(code)).toMatch(/^connect: .*have the device ask anew/);
    expect(middle.catalogFrames).toBe(before);
  });

  it('less than three do not keep the right one out', async () => {
    await type('AAAA-AAAA');
    await type('AAAA-AAAB');
    expect(await type(code.toLowerCase().replace('-', ' '))).toBe('done');
  });
});
