/** Answers of the DNS are kept for as long as they say, and that there are none is kept too. */
import { type DnsServer, startDnsServer } from '@meshd/dev/dns-server';
import { dnsNegativeMs, dnsTtlMsMax, dnsTtlMsMin } from '@meshd/limits/discovery';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anywhere, at, codeOf, domain, locatorAt, serviceNameOf, srv, within } from './discovery-kit.js';

const host = 'host.beta.test';
const [first, second] = anywhere;
const question = `A ${host}`;
let dns: DnsServer;
let nowMs: number;

beforeEach(async () => {
  nowMs = 1e12;
  dns = await startDnsServer({ records: [] });
});
afterEach(() => dns.stop());

/** The deadline by the test's own clock. */
const soon = (anew = false) => ({ deadlineMs: nowMs + 15_000, anew });

async function addressesAfter(locator: ReturnType<typeof locatorAt>, ms: number): Promise<unknown> {
  nowMs += ms;
  const places = await codeOf(locator.locate(domain, soon()));
  return Array.isArray(places) ? places.flatMap(({ addresses }) => addresses) : places;
}

const zoneAt = (address: string, ttl: number) => ({
  records: [
    { ...srv(host, 443), ttl: 3600 },
    { ...at(host, address), ttl },
  ],
  negativeTtl: 3600,
});

describe('an answer', () => {
  it('is kept for its time to live, record by record', async () => {
    await dns.setZone(zoneAt(first, 60));
    const locator = locatorAt(dns, { clock: () => nowMs });
    expect(await addressesAfter(locator, 0)).toEqual([first]);
    await dns.setZone(zoneAt(second, 60));
    expect(await addressesAfter(locator, 59_999)).toEqual([first]);
    expect(await addressesAfter(locator, 1)).toEqual([second]);
    expect(await dns.asked(question)).toBe(2);
    expect(await dns.asked(`SRV ${serviceNameOf(domain)}`)).toBe(1);
  });

  it('is kept no shorter and no longer than our own bounds say', async () => {
    await dns.setZone(zoneAt(first, 0));
    const locator = locatorAt(dns, { clock: () => nowMs });
    await addressesAfter(locator, 0);
    await addressesAfter(locator, dnsTtlMsMin - 1);
    expect(await dns.asked(question)).toBe(1);
    await dns.setZone(zoneAt(second, 2 ** 31 - 1));
    expect(await addressesAfter(locator, 1)).toEqual([second]);
    await dns.setZone(zoneAt(first, 60));
    expect(await addressesAfter(locator, dnsTtlMsMax)).toEqual([first]);
  });

  it('is asked for anew where the caller wants it', async () => {
    await dns.setZone(zoneAt(first, 3600));
    const locator = locatorAt(dns, { clock: () => nowMs });
    await addressesAfter(locator, 0);
    await dns.setZone(zoneAt(second, 3600));
    expect(await locator.locate(domain, soon(true))).toMatchObject([{ addresses: [second] }]);
    expect(await addressesAfter(locator, 0)).toEqual([second]);
  });

  it('is asked for once by many who ask at the same time', async () => {
    await dns.setZone(zoneAt(first, 60));
    const locator = locatorAt(dns);
    await Promise.all(Array.from({ length: 50 }, () => locator.locate(domain, within())));
    expect(await dns.asked(question)).toBe(1);
  });

  it('that there is nothing is kept for as long as the zone says, or a minute', async () => {
    for (const [negativeTtl, keptMs] of [
      [30, 30_000],
      [undefined, dnsNegativeMs],
    ] as const) {
      const empty = { records: [], ...(negativeTtl === undefined ? {} : { negativeTtl }) };
      await dns.setZone(empty);
      const locator = locatorAt(dns, { clock: () => nowMs });
      const before = await dns.asked(`SRV ${serviceNameOf(domain)}`);
      expect(await addressesAfter(locator, 0)).toBe('discovery-none');
      await dns.setZone(zoneAt(first, 60));
      expect(await addressesAfter(locator, keptMs - 1)).toBe('discovery-none');
      expect(await dns.asked(`SRV ${serviceNameOf(domain)}`)).toBe(before + 1);
      expect(await addressesAfter(locator, 1)).toEqual([first]);
    }
  });

  it('that never came is not kept', async () => {
    await dns.setZone({ ...zoneAt(first, 60), faults: { [host]: 'servfail' } });
    const locator = locatorAt(dns, { clock: () => nowMs });
    expect(await addressesAfter(locator, 0)).toBe('discovery-failed');
    await dns.setZone(zoneAt(first, 60));
    expect(await addressesAfter(locator, 0)).toEqual([first]);
  });
});
