import { requestsInFlightMax, transactionMsMax } from '@meshd/limits/limits';
import { abuseBarMs, pressedTransactionMsMin } from '@meshd/limits/requesters';
import { describe, expect, it } from 'vitest';
import { type RequesterLimitOptions, RequesterLimits, workMsOf } from './requester-limits.js';

/** Limits under a clock that stands where it is put, and what they did. */
function limits(options: RequesterLimitOptions) {
  const at = { ms: 1_000_000 };
  const done: string[] = [];
  const onLimited: RequesterLimitOptions['onLimited'] = (kind, action) => done.push(`${kind} ${action}`);
  return { at, done, limits: new RequesterLimits(() => at.ms, { ...options, onLimited }) };
}
const codeOf = (work: Promise<void>) =>
  work.then(
    () => 'taken',
    (error) => `${error.code} ${error.resource}`,
  );

describe('[R174] [R175] limits by who asks', () => {
  it('one source, one service, one account do not use up the share of another', async () => {
    const made = limits({
      requestsPerSourcePerSecond: 1,
      messagesPerDomainPerSecond: 0.1,
      messagesPerAccountPerHour: 3,
    });
    const { checkSource, checkService, checkAccount } = {
      checkSource: (name: string) => codeOf(made.limits.checkSource(name)),
      checkService: (name: string) => codeOf(made.limits.checkService(name, 6)),
      checkAccount: (name: string) => codeOf(made.limits.checkAccount(name, 3)),
    };
    expect(await checkSource('192.0.2.1')).toBe('taken');
    expect(await checkSource('192.0.2.1')).toBe('rate-limited source');
    expect(await checkSource('192.0.2.2')).toBe('taken');
    expect(await checkService('a.example')).toBe('taken');
    expect(await checkService('a.example')).toBe('rate-limited service');
    expect(await checkService('b.example')).toBe('taken');
    expect(await checkAccount('alice@example.com')).toBe('taken');
    expect(await checkAccount('alice@example.com')).toBe('rate-limited account');
    expect(await checkAccount('bob@example.com')).toBe('taken');
    expect(made.done).toEqual(['source refused', 'service refused', 'account refused']);
  });

  it('a refusal says when to come back, and then all is well', async () => {
    const { at, limits: made } = limits({ messagesPerAccountPerHour: 3600 });
    await made.checkAccount('alice@example.com', 3600);
    await expect(made.checkAccount('alice@example.com', 10)).rejects.toMatchObject({ retryAfterMs: 10_000 });
    at.ms += 10_000;
    expect(await codeOf(made.checkAccount('alice@example.com', 10))).toBe('taken');
  });

  it('who is a little early waits and is not refused', async () => {
    const done: string[] = [];
    const made = new RequesterLimits(Date.now, {
      requestsPerSourcePerSecond: 10,
      onLimited: (kind, action) => done.push(`${kind} ${action}`),
    });
    for (let count = 0; count < 11; count += 1) await made.checkSource('192.0.2.1');
    expect(done).toEqual(['source delayed']);
  });

  it('who goes on after many refusals is refused for a time, whatever it asks, and no other is', async () => {
    const { at, done, limits: made } = limits({ refusalsPerMinute: 5 });
    for (let count = 0; count < 5; count += 1) made.refused('192.0.2.1', 'signature-invalid');
    expect(await codeOf(made.checkSource('192.0.2.1'))).toBe('taken');
    made.refused('192.0.2.1', 'signature-invalid');
    expect(done).toEqual(['source barred']);
    at.ms += abuseBarMs - 1;
    expect(await codeOf(made.checkSource('192.0.2.1'))).toBe('rate-limited source');
    expect(await codeOf(made.checkSource('192.0.2.2'))).toBe('taken');
    at.ms += 1;
    expect(await codeOf(made.checkSource('192.0.2.1'))).toBe('taken');
  });

  it('refusals that happen to anybody bar nobody', async () => {
    const { limits: made } = limits({ refusalsPerMinute: 1 });
    for (const code of ['device-revoked', 'quota', 'overloaded', 'ticket'] as const) {
      for (let count = 0; count < 10; count += 1) made.refused('192.0.2.1', code);
    }
    expect(await codeOf(made.checkSource('192.0.2.1'))).toBe('taken');
  });

  it('a service that does not heed its limit is barred by its domain', async () => {
    const { done, limits: made } = limits({ messagesPerDomainPerSecond: 0.01, refusalsPerMinute: 2 });
    for (let count = 0; count < 4; count += 1) await codeOf(made.checkService('a.example', 5));
    expect(done).toEqual([
      'service refused',
      'service refused',
      'service barred',
      'service refused',
      'service refused',
    ]);
  });
});

describe('time for a request', () => {
  it('is whole up to half of the load, and shorter and shorter behind it', () => {
    expect(workMsOf(1)).toBe(transactionMsMax);
    expect(workMsOf(requestsInFlightMax / 2)).toBe(transactionMsMax);
    expect(workMsOf(requestsInFlightMax * 0.75)).toBe((transactionMsMax + pressedTransactionMsMin) / 2);
    expect(workMsOf(requestsInFlightMax)).toBe(pressedTransactionMsMin);
    expect(workMsOf(requestsInFlightMax * 2)).toBe(pressedTransactionMsMin);
  });
});
