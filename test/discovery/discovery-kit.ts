/** A DNS server of a test's own, and locators that ask it. */
import { addressRanges } from '@meshd/binding/discovery/address-range';
import { ServiceLocator, type ServiceLocatorOptions } from '@meshd/binding/discovery/service-locator';
import type { BindingError } from '@meshd/binding/errors';
import type { DnsServer } from '@meshd/dev/dns-server';
import type { ZoneRecord } from '@meshd/dev/dns-zone';

export const domain = 'beta.test';
/** The name at which its SRV and TXT records stand. */
export const serviceNameOf = (name: string): string => `_mmm._tcp.${name}`;

export const srv = (target: string, port: number, members: object = {}): ZoneRecord => ({
  name: serviceNameOf(domain),
  type: 'SRV',
  data: { priority: 0, weight: 0, port, target, ...members },
});
export const txt = (name: string, ...strings: string[]): ZoneRecord => ({
  name: serviceNameOf(name),
  type: 'TXT',
  data: strings,
});
export const at = (name: string, address: string): ZoneRecord => ({
  name,
  type: address.includes(':') ? 'AAAA' : 'A',
  data: address,
});

/** Addresses of the Internet, as far as discovery can see; nobody connects to them. */
export const anywhere = ['9.0.0.1', '9.0.0.2', '9.0.0.3', '9.0.0.4', '9.0.0.5', '9.0.0.6'] as const;

/** A locator that asks the server; loopback addresses are open to it, since that is where tests run. */
export function locatorAt(dns: Pick<DnsServer, 'port'>, options: Partial<ServiceLocatorOptions> = {}): ServiceLocator {
  return new ServiceLocator({
    servers: [{ host: '127.0.0.1', port: dns.port }],
    clock: () => Date.now(),
    allowed: addressRanges(['127.0.0.0/8']),
    ...options,
  });
}

/** In `ms` from now: long enough for a busy machine, unless a test is about the deadline. */
export const within = (ms = 15_000): { deadlineMs: number } => ({ deadlineMs: Date.now() + ms });

/** The code with which an action fails, or what it gave. */
export const codeOf = async (action: Promise<unknown>): Promise<unknown> =>
  action.then(
    (value) => value,
    (error: BindingError) => error.code ?? String(error),
  );
