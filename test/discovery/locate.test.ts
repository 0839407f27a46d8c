/** Where a service is, as the DNS says it (semantics 2.1), asked of a real DNS server. */
import { Resolver } from 'node:dns/promises';
import { readDiscoverySettings } from '@meshd/binding/discovery/settings';
import { type DnsServer, startDnsServer } from '@meshd/dev/dns-server';
import type { ZoneRecord } from '@meshd/dev/dns-zone';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anywhere, at, codeOf, domain, locatorAt, serviceNameOf, srv, txt, within } from './discovery-kit.js';

let dns: DnsServer;
beforeAll(async () => {
  dns = await startDnsServer({ records: [] });
});
afterAll(() => dns.stop());

const wellKnown = '/.well-known/mmm';
const [first, second] = anywhere;

async function locate(records: readonly ZoneRecord[], name = domain) {
  await dns.setZone({ records });
  return codeOf(locatorAt(dns).locate(name, within()));
}

describe('the DNS server of these tests', () => {
  it('is one for another implementation too', async () => {
    await dns.setZone({
      records: [srv('host.beta.test', 8443), txt(domain, 'path=/a', 'x=1'), at('host.beta.test', first)],
    });
    const other = new Resolver();
    other.setServers([dns.address]);
    expect(await other.resolveSrv(serviceNameOf(domain))).toMatchObject([
      { name: 'host.beta.test', port: 8443, priority: 0, weight: 0 },
    ]);
    expect(await other.resolveTxt(serviceNameOf(domain))).toEqual([['path=/a', 'x=1']]);
    expect(await other.resolve4('host.beta.test')).toEqual([first]);
    await expect(other.resolve4('absent.beta.test')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(other.resolve6('host.beta.test')).rejects.toMatchObject({ code: 'ENODATA' });
  });
});

describe('[R038] [R039] [R040] a service', () => {
  it('is where the SRV record of _mmm._tcp says', async () => {
    const records = [srv('host.beta.test', 8443), at('host.beta.test', first), at('host.beta.test', '2a00::1')];
    expect(await locate(records)).toEqual([
      { host: 'host.beta.test', port: 8443, path: wellKnown, addresses: [first, '2a00::1'] },
    ]);
  });

  it('has its places in the order of their priorities, four at most', async () => {
    const hosts = anywhere.map((address, index) => ({ name: `h${index}.beta.test`, address, index }));
    const records = hosts.flatMap(({ name, address, index }) => [
      srv(name, 443, { priority: index }),
      at(name, address),
    ]);
    const places = (await locate(records.reverse())) as { host: string }[];
    expect(places.map(({ host }) => host)).toEqual(['h0.beta.test', 'h1.beta.test', 'h2.beta.test', 'h3.beta.test']);
  });

  it('is found through aliases', async () => {
    const records: ZoneRecord[] = [
      srv('alias.beta.test', 443),
      { name: 'alias.beta.test', type: 'CNAME', data: 'real.beta.test' },
      at('real.beta.test', first),
    ];
    expect(await locate(records)).toMatchObject([{ host: 'alias.beta.test', addresses: [first] }]);
  });

  it('is not looked for in a circle of aliases for ever', async () => {
    const records: ZoneRecord[] = [
      srv('a.beta.test', 443),
      { name: 'a.beta.test', type: 'CNAME', data: 'b.beta.test' },
      { name: 'b.beta.test', type: 'CNAME', data: 'a.beta.test' },
    ];
    expect(await locate(records)).toBe('discovery-none');
  });

  it('is none where the target of its SRV record is the root', async () => {
    expect(await locate([srv('.', 0), at(domain, first)])).toBe('discovery-refused');
  });

  it('is none where there is neither record nor address', async () => {
    expect(await locate([])).toBe('discovery-none');
    expect(await locate([srv('host.beta.test', 443)])).toBe('discovery-none');
  });

  it('is at no address that stands in the place of a name, and at no port 0', async () => {
    expect(await locate([srv('127.0.0.1', 443), at('127.0.0.1', first)])).toBe('discovery-unfit');
    expect(await locate([srv('host.beta.test', 0), at('host.beta.test', first)])).toBe('discovery-unfit');
  });
});

describe('[R056] TXT records', () => {
  const host = 'host.beta.test';
  const place = [srv(host, 443), at(host, first)];

  it.each([
    ['of the service', [txt(domain, 'path=/service')], '/service'],
    ['of the host, which count first', [txt(domain, 'path=/service'), txt(host, 'x=1 path=/host')], '/host'],
    ['of the host that say nothing of it', [txt(domain, 'path=/service'), txt(host, 'x=1')], '/service'],
  ])('%s say at which path it is', async (_name, texts, path) => {
    expect(await locate([...place, ...texts])).toMatchObject([{ path }]);
  });

  it('take out hosts that speak another version or encoding, before any is chosen', async () => {
    const others = ['old.beta.test', 'odd.beta.test'].map((name) => srv(name, 443, { priority: 0, weight: 60_000 }));
    const records = [
      ...[...others, srv(host, 443, { priority: 1 })],
      ...[txt('old.beta.test', 'version=1.0-2.0'), txt('odd.beta.test', 'encoding=xml')],
      ...[at('old.beta.test', second), at('odd.beta.test', second), at(host, first)],
    ];
    expect(await locate(records)).toMatchObject([{ host }]);
    expect(await locate([...place, txt(host, 'version=4.0-5.0')])).toBe('discovery-unfit');
  });

  it('of the service that fit nobody are overruled by those of a host', async () => {
    const old = txt(domain, 'version=1.0-2.0');
    expect(await locate([...place, old])).toBe('discovery-unfit');
    expect(await locate([...place, old, txt(host, 'version=3.0-3.0')])).toMatchObject([{ host }]);
  });

  it('[S74] lead nowhere where their path is none', async () => {
    expect(await locate([...place, txt(host, 'path=https://evil.test/')])).toBe('discovery-unfit');
    expect(await locate([...place, txt(domain, 'path=/../secret')])).toBe('discovery-unfit');
  });
});

describe('without SRV records', () => {
  it('a service is at mmm.<domain>, at the well-known path', async () => {
    const records = [at('mmm.beta.test', first), at(domain, second), txt(domain, 'path=/other')];
    expect(await locate(records)).toEqual([{ host: 'mmm.beta.test', port: 443, path: wellKnown, addresses: [first] }]);
  });

  it('and without that name at the domain itself', async () => {
    expect(await locate([at(domain, second)])).toEqual([
      { host: domain, port: 443, path: wellKnown, addresses: [second] },
    ]);
  });
});

describe('overrides', () => {
  it('take the place of the DNS, and may name what it may not', async () => {
    await dns.setZone({
      records: [srv('host.beta.test', 443), at('host.beta.test', first), at('inside.test', '10.0.0.1')],
    });
    const { overrides } = readDiscoverySettings({
      overrides: 'beta.test=127.0.0.1:8443/x,gamma.test=inside.test:444,delta.test=absent.test:445',
    });
    const before = await dns.asked(`SRV ${serviceNameOf(domain)}`);
    const locator = locatorAt(dns, { overrides });
    expect(await locator.locate(domain, within())).toEqual([
      { host: '127.0.0.1', port: 8443, path: '/x', addresses: ['127.0.0.1'] },
    ]);
    expect(await locator.locate('gamma.test', within())).toMatchObject([{ port: 444, addresses: ['10.0.0.1'] }]);
    expect(await codeOf(locator.locate('delta.test', within()))).toBe('discovery-none');
    expect(await dns.asked(`SRV ${serviceNameOf(domain)}`)).toBe(before);
  });
});
