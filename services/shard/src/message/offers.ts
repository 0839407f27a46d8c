import {
  contactRequestsPerDomainPerDayMax,
  messageOfferMs,
  messageOffersPerDomainMax,
  sendingDomainsMax,
} from '@meshd/limits/limits';
import { LRUCache } from 'lru-cache';

const dayMs = 86_400_000;

interface DomainCount {
  day: number;
  requests: number;
  /** Offers that were accepted, by recipient and core, with the time until which they count. */
  readonly offers: Map<string, number>;
}

/**
 * What sending domains have used up of what strangers may (S80), and which messages they offered that were accepted (S82). In
 * memory alone: a shard that restarts is generous once.
 */
export class SendingDomains {
  readonly #domains = new LRUCache<string, DomainCount>({ max: sendingDomainsMax });
  readonly #requestsPerDayMax: number;

  constructor(requestsPerDayMax: number = contactRequestsPerDomainPerDayMax) {
    this.#requestsPerDayMax = requestsPerDayMax;
  }

  /** Requests for contact that a domain may still send today. */
  requestsLeft(domain: string, nowMs: number): number {
    return Math.max(0, this.#requestsPerDayMax - this.#of(domain, nowMs).requests);
  }

  countRequest(domain: string, nowMs: number): void {
    this.#of(domain, nowMs).requests += 1;
  }

  /** Notes that an offer was accepted: its body may be sent within some minutes, whatever the rates say by then. */
  accept(domain: string, offer: string, nowMs: number): void {
    const { offers } = this.#of(domain, nowMs);
    for (const [known, untilMs] of offers) {
      if (untilMs > nowMs && offers.size < messageOffersPerDomainMax) break;
      offers.delete(known);
    }
    offers.set(offer, nowMs + messageOfferMs);
  }

  /** Whether the offer was accepted lately. */
  wasAccepted(domain: string, offer: string, nowMs: number): boolean {
    return (this.#of(domain, nowMs).offers.get(offer) ?? 0) > nowMs;
  }

  #of(domain: string, nowMs: number): DomainCount {
    const day = Math.floor(nowMs / dayMs);
    const known = this.#domains.get(domain) ?? { day, requests: 0, offers: new Map() };
    if (known.day !== day) Object.assign(known, { day, requests: 0 });
    this.#domains.set(domain, known);
    return known;
  }
}

/** The name of an offer to one recipient. */
export function offerName(recipient: string, core: Uint8Array): string {
  return `${recipient} ${Buffer.from(core).toString('base64url')}`;
}
