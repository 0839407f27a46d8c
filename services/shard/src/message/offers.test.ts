/** What an accepted offer is worth, and for how long (S82). */
import { contactRequestsPerDomainPerDayMax, messageOfferMs, messageOffersPerDomainMax } from '@meshd/limits/limits';
import { describe, expect, test } from 'vitest';
import { offerName, SendingDomains } from './offers.js';

const nowMs = 1_767_225_600_000;
const offer = (number: number) => offerName('bob@example.com', Buffer.from(`core ${number}`));

describe('[S82] an offer that was accepted', () => {
  test('counts for its domain, recipient and core, and ends by itself', () => {
    const domains = new SendingDomains();
    domains.accept('alpha.test', offer(1), nowMs);
    expect(domains.wasAccepted('alpha.test', offer(1), nowMs + messageOfferMs - 1)).toBe(true);
    expect(domains.wasAccepted('alpha.test', offer(1), nowMs + messageOfferMs)).toBe(false);
    expect(domains.wasAccepted('gamma.test', offer(1), nowMs)).toBe(false);
    expect(domains.wasAccepted('alpha.test', offer(2), nowMs)).toBe(false);
    expect(domains.wasAccepted('alpha.test', offerName('carol@example.com', Buffer.from('core 1')), nowMs)).toBe(false);
  });

  test('gives way to newer ones of its domain, of which only so many are remembered', () => {
    const domains = new SendingDomains();
    domains.accept('gamma.test', offer(0), nowMs);
    for (let number = 0; number <= messageOffersPerDomainMax; number += 1) {
      domains.accept('alpha.test', offer(number), nowMs + number);
    }
    expect(domains.wasAccepted('alpha.test', offer(0), nowMs)).toBe(false);
    expect(domains.wasAccepted('alpha.test', offer(1), nowMs)).toBe(true);
    expect(domains.wasAccepted('alpha.test', offer(messageOffersPerDomainMax), nowMs)).toBe(true);
    expect(domains.wasAccepted('gamma.test', offer(0), nowMs)).toBe(true);
  });
});

test('[S80] what strangers of a domain may still ask for today begins anew at midnight', () => {
  const domains = new SendingDomains();
  for (let used = 0; used < contactRequestsPerDomainPerDayMax; used += 1) domains.countRequest('alpha.test', nowMs);
  expect(domains.requestsLeft('alpha.test', nowMs)).toBe(0);
  expect(domains.requestsLeft('gamma.test', nowMs)).toBe(contactRequestsPerDomainPerDayMax);
  expect(domains.requestsLeft('alpha.test', nowMs + 86_400_000)).toBe(contactRequestsPerDomainPerDayMax);
});
