import type { DeliveryStatus, MessageStatus } from '@meshd/client/operations/message-status';
import { describe, expect, it } from 'vitest';
import { statusText } from './message-status.js';

const nowMs = 1_800_000_000_000;
const account = 'bob@beta.test';

/** What is said of one recipient, a line each. */
function saidOf(members: Partial<DeliveryStatus>): string[] {
  const delivery = { account, result: 'queued', statusExtended: undefined, receiptMs: undefined, queued: undefined };
  const deliveries = [{ ...delivery, ...members }];
  const message = {
    box: 'outbound',
    type: 'Note',
    recipients: [account],
    createdMs: nowMs,
    isEncrypted: true,
    deliveries,
  };
  return statusText({ where: 'service', message, deliveries } as unknown as MessageStatus, nowMs)
    .split('\n')
    .slice(1);
}

const waiting = (reason: string) => ({ attempts: 3, nextAttemptMs: nowMs + 5000, expiresMs: nowMs + 60_000, reason });

describe('what is said of a message', () => {
  it.each([
    ['feature-missing', 'it no longer offers what it must'],
    ['service-unverified', 'sending service not verified yet'],
    ['discovery-none', 'the domain has no Mesh service'],
  ])('that waits, with the reason: %s', (reason, text) => {
    expect(saidOf({ queued: waiting(reason) })).toEqual([
      ...[
        `${account}: queued`,
        `  3 attempts, the last one failed: ${text}`,
        '  next attempt in 5 s',
        '  given up in 1 min',
      ],
    ]);
  });

  it('[S75] that came back, with the reason', () => {
    expect(saidOf({ result: 'refused', statusExtended: 26 })).toEqual([
      ...[`${account}: refused`, '  the service of the recipient cannot prove its answers (26)'],
    ]);
  });

  it('[S75] that expired while it waited for that', () => {
    expect(saidOf({ result: 'expired', statusExtended: 26 }).at(-1)).toBe(
      '  when it was tried last: the service of the recipient cannot prove its answers (26)',
    );
    expect(saidOf({ result: 'expired' })).toHaveLength(2);
  });
});
