/** A shard dies between commit and answer, wherever one is waited for: who asked asks again, and nothing happens twice. */
import { expect, it } from 'vitest';
import {
  expectDelivered,
  frameCount,
  killBeforeAnswer,
  sharedProviders,
  testMs,
  untilFiled,
  waiting,
} from './infrastructure-kit.js';

const made = sharedProviders();

it(
  '[R169] [S27] when a device posts: the message is taken once',
  async () => {
    const { alice, bob, alpha, beta } = made();
    const [outbound, inbound] = [await frameCount(alpha, 'mmm_Outbound'), await frameCount(beta, 'mmm_Inbound')];
    let sending: Promise<string> | undefined;
    alice.waitsFor = killBeforeAnswer(alpha, { table: 'outbox', container: 'mmm_Outbound' }, () => {
      sending = alice.send(bob);
      // Waited for below.
      sending.catch(() => undefined);
    });
    await alice.waitsFor;
    await expectDelivered(alice, bob, [(await sending) as string]);
    expect(await waiting(alpha)).toEqual([]);
    // The message and its mark.
    expect(await frameCount(alpha, 'mmm_Outbound')).toBe(outbound + 2);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(inbound + 1);
  },
  testMs,
);

it(
  '[R169] [S73] when another service posts: the message is filed once, and the repetition gets a receipt',
  async () => {
    const { alice, bob, alpha, beta } = made();
    const inbound = await frameCount(beta, 'mmm_Inbound');
    let sending: Promise<string> | undefined;
    await killBeforeAnswer(beta, { table: 'message_seen', container: 'mmm_Inbound' }, () => {
      sending = alice.send(bob);
    });
    await expectDelivered(alice, bob, [(await sending) as string]);
    expect(await waiting(alpha)).toEqual([]);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(inbound + 1);
  },
  testMs,
);

it(
  '[R169] [S81] when the worker settles: the sender is told once',
  async () => {
    const { alice, bob, alpha, beta } = made();
    const [outbound, inbound] = [await frameCount(alpha, 'mmm_Outbound'), await frameCount(beta, 'mmm_Inbound')];
    beta.door.mute();
    const ids: string[] = [];
    await untilFiled(beta, 'mmm_Inbound', async () => ids.push(await alice.send(bob)));
    await killBeforeAnswer(alpha, { table: 'outbox', container: 'mmm_Outbound' }, () => beta.door.open());
    await expectDelivered(alice, bob, ids);
    expect(await waiting(alpha)).toEqual([]);
    expect(await frameCount(alpha, 'mmm_Outbound')).toBe(outbound + 2);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(inbound + 1);
  },
  testMs,
);
