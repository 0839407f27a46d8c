/** Name servers that are slow, silent, lying or down. */
import { type DnsServer, startDnsServer } from '@meshd/dev/dns-server';
import type { ZoneFault } from '@meshd/dev/dns-zone';
import { dnsQueryMsMax } from '@meshd/limits/discovery';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anywhere, at, codeOf, domain, locatorAt, serviceNameOf, srv, within } from './discovery-kit.js';

const host = 'host.beta.test';
const [address] = anywhere;
const records = [srv(host, 443), at(host, address)];
const faulty = (fault: ZoneFault) => ({
  records,
  faults: { [host]: fault, [serviceNameOf(domain)]: fault, [serviceNameOf(host)]: fault },
});

let dns: DnsServer;
let honest: DnsServer;
beforeAll(async () => {
  [dns, honest] = await Promise.all([startDnsServer({ records }), startDnsServer({ records })]);
});
afterAll(() => Promise.all([dns.stop(), honest.stop()]));

const found = [{ host, addresses: [address] }];

describe('a name server', () => {
  it('that does not answer ends a discovery in time, and nothing is concluded', async () => {
    await dns.setZone(faulty('silent'));
    const began = performance.now();
    expect(await codeOf(locatorAt(dns).locate(domain, within()))).toBe('discovery-failed');
    expect(performance.now() - began).toBeLessThan(3 * dnsQueryMsMax);
  });

  it('that does not answer does not hold a discovery beyond its deadline, nor beyond the caller\u2019s patience', async () => {
    await dns.setZone(faulty('silent'));
    const began = performance.now();
    expect(await codeOf(locatorAt(dns).locate(domain, within(200)))).toBe('timeout');
    expect(await codeOf(locatorAt(dns).locate(domain, { ...within(), signal: AbortSignal.timeout(200) }))).toBe(
      'transport',
    );
    expect(await codeOf(locatorAt(dns).locate(domain, within(-1)))).toBe('timeout');
    expect(performance.now() - began).toBeLessThan(dnsQueryMsMax);
  });

  it('that says that it cannot tell is believed: no fallback is tried', async () => {
    await dns.setZone({ records: [at('mmm.beta.test', address)], faults: { [serviceNameOf(domain)]: 'servfail' } });
    expect(await codeOf(locatorAt(dns).locate(domain, within()))).toBe('discovery-failed');
    expect(await dns.asked('A mmm.beta.test')).toBe(0);
  });

  it.each(['silent', 'servfail', 'garbage'] as const)('that is %s is passed over for the next', async (fault) => {
    await dns.setZone(faulty(fault));
    const servers = [dns, honest].map(({ port }) => ({ host: '127.0.0.1', port }));
    expect(await locatorAt(dns, { servers }).locate(domain, within())).toMatchObject(found);
  });

  it('that is down is passed over for the next, and found missing where there is none', async () => {
    const gone = await startDnsServer({ records });
    await gone.stop();
    const servers = [gone, honest].map(({ port }) => ({ host: '127.0.0.1', port }));
    expect(await locatorAt(dns, { servers }).locate(domain, within())).toMatchObject(found);
    expect(await codeOf(locatorAt(gone).locate(domain, within()))).toBe('discovery-failed');
    expect(await codeOf(locatorAt(gone, { servers: [] }).locate(domain, within()))).toBe('discovery-failed');
  });

  it('whose answers somebody forges is heard all the same: another id, question or kind is no answer', async () => {
    await dns.setZone(faulty('forged'));
    expect(await locatorAt(dns).locate(domain, within())).toMatchObject(found);
  });

  it('whose answer does not fit into a datagram is asked over TCP', async () => {
    await dns.setZone(faulty('truncated'));
    expect(await locatorAt(dns).locate(domain, within())).toMatchObject(found);
  });
});
