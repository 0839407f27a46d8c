/** A stranger's DNS that points to what only we can reach (design 6, S70). */
import { addressRanges } from '@meshd/binding/discovery/address-range';
import { type DnsServer, startDnsServer } from '@meshd/dev/dns-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, codeOf, domain, locatorAt, srv, within } from './discovery-kit.js';

let dns: DnsServer;
beforeAll(async () => {
  dns = await startDnsServer({ records: [] });
});
afterAll(() => dns.stop());

const host = 'host.beta.test';
const locator = (options = {}) => locatorAt(dns, { allowed: addressRanges([]), ...options });

describe('[S70] a private address', () => {
  it.each(['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', 'fd00::1', '::ffff:127.0.0.1'])(
    'is not given: %s',
    async (address) => {
      for (const records of [
        [srv(host, 443), at(host, address)],
        [at('mmm.beta.test', address)],
        [at(domain, address)],
      ]) {
        await dns.setZone({ records });
        expect(await codeOf(locator().locate(domain, within()))).toBe('discovery-private');
      }
    },
  );

  it('does not keep those of the Internet beside it from being given', async () => {
    await dns.setZone({ records: [srv(host, 443), at(host, '10.0.0.1'), at(host, '9.0.0.1'), at(host, '::1')] });
    expect(await locator().locate(domain, within())).toMatchObject([{ addresses: ['9.0.0.1'] }]);
  });

  it('does not send us on to the next name either: the domain has said where it is', async () => {
    await dns.setZone({ records: [at('mmm.beta.test', '10.0.0.1'), at(domain, '9.0.0.1')] });
    expect(await codeOf(locator().locate(domain, within()))).toBe('discovery-private');
  });

  it('is given where its range was opened, and on a user\u2019s own device', async () => {
    await dns.setZone({ records: [srv(host, 443), at(host, '10.0.0.1')] });
    const opened = locator({ allowed: addressRanges(['10.0.0.0/8']) });
    expect(await opened.locate(domain, within())).toMatchObject([{ addresses: ['10.0.0.1'] }]);
    expect(await locator({ reach: 'any' }).locate(domain, within())).toMatchObject([{ addresses: ['10.0.0.1'] }]);
  });
});
