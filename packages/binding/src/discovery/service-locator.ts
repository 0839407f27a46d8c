/** Where the service of a domain is: overrides, SRV and TXT, and the fallbacks of semantics 2.1. */
import { isIP, isIPv6 } from 'node:net';
import { type Random, systemRandom } from '@meshd/crypto/random';
import { discoveryConnectsMax, discoveryHostsMax } from '@meshd/limits/discovery';
import { canonicalDomain } from '@meshd/schema/address';
import { serviceName, wellKnownPath } from '@meshd/schema/features';
import { BindingError, type BindingErrorCode } from '../errors.js';
import { addressRanges, isReachable } from './address-range.js';
import { DnsFailure } from './dns-question.js';
import { type LookUpOptions, Resolver } from './resolver.js';
import type { DiscoverySettings } from './settings.js';
import { orderBySrv } from './srv-order.js';
import { readServiceText } from './text-record.js';

/** One place at which a service answers. */
export interface ServiceLocation {
  /** Name of the host, for people: it takes no part in trust (S74). */
  readonly host: string;
  /** At least one, in the order in which they are to be tried. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly path: string;
}

/** Bounds of one discovery. */
export interface LocateOptions {
  /** When it must be over, milliseconds since 1970. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Asks the DNS anew: what it said last led to nobody (semantics 8.1). */
  readonly anew?: boolean | undefined;
}

/** What {@link ServiceLocator} needs. */
export interface ServiceLocatorOptions extends Partial<DiscoverySettings> {
  /** `any` for a user's own device, whose reach is the user's own business. */
  readonly reach?: 'public' | 'any' | undefined;
  /** Milliseconds since 1970, UTC. */
  readonly clock: () => number;
  readonly random?: Random | undefined;
}

const httpsPort = 443;
const anywhere = addressRanges(['0.0.0.0/0', '::/0']);

/** A host that may have the service, before it is known whether it can be used. */
interface Candidate {
  readonly host: string;
  readonly port: number;
  /** Where it has a TXT record of its own; fallbacks have none. */
  readonly hasText: boolean;
}

/** A place, or why a candidate is none. */
type Judged = ServiceLocation | Extract<BindingErrorCode, `discovery-${string}`>;

/** Which reason is told where there are several: what may pass first, so that nobody gives up too early. */
const reasonOrder = ['discovery-failed', 'discovery-private', 'discovery-unfit', 'discovery-none'] as const;

const sentences: Readonly<Record<Extract<BindingErrorCode, `discovery-${string}`>, string>> = {
  'discovery-failed': 'the name servers did not say where it is',
  'discovery-private': 'its DNS points to addresses that are not of the Internet',
  'discovery-unfit': 'its hosts speak another version or encoding, or their DNS records cannot be used',
  'discovery-none': 'the DNS knows no such service',
  'discovery-refused': 'its DNS says that it has no such service',
};

/** Finds the places of services. One for a process: it remembers what the DNS said. */
export class ServiceLocator {
  readonly #options: ServiceLocatorOptions;
  readonly #resolver: Resolver;
  readonly #random: Random;
  readonly #allowed: DiscoverySettings['allowed'];

  constructor(options: ServiceLocatorOptions) {
    const { servers, clock, random = systemRandom, reach = 'public', allowed = addressRanges([]) } = options;
    this.#options = options;
    this.#random = random;
    this.#resolver = new Resolver({ servers, clock, random });
    this.#allowed = reach === 'any' ? anywhere : allowed;
  }

  /**
   * The places of a domain's service, at most `discoveryConnectsMax`, in the order in which they are to be tried. The
   * order is drawn anew each time, so that load is spread as the domain wants it.
   *
   * @param domain canonical
   * @throws BindingError `discovery-none`, `discovery-refused`, `discovery-failed`, `discovery-private`,
   * `discovery-unfit`; `timeout`
   */
  async locate(domain: string, options: LocateOptions): Promise<readonly ServiceLocation[]> {
    const leftMs = options.deadlineMs - this.#options.clock();
    const late = () => new BindingError('timeout', `where ${domain} is was not found in time`);
    if (leftMs <= 0) throw late();
    const expired = AbortSignal.timeout(leftMs);
    const signal = options.signal === undefined ? expired : AbortSignal.any([expired, options.signal]);
    try {
      return await this.#locate(domain, { signal, anew: options.anew });
    } catch (error) {
      if (expired.aborted) throw late();
      if (options.signal?.aborted) throw new BindingError('transport', 'given up', { cause: error });
      if (error instanceof DnsFailure) throw failure(domain, 'discovery-failed', error);
      throw error;
    }
  }

  async #locate(domain: string, options: LookUpOptions): Promise<readonly ServiceLocation[]> {
    const place = this.#options.overrides?.get(domain);
    if (place !== undefined) {
      // An operator's word opens any range.
      const addresses = isIP(place.host) ? [place.host] : await this.#addressesOf(place.host, options);
      if (addresses.length === 0) throw failure(domain, 'discovery-none');
      return [{ ...place, addresses }];
    }
    const name = `_${serviceName}._tcp.${domain}`;
    const [records, texts] = await Promise.all([
      this.#resolver.lookUp('SRV', name, options),
      this.#resolver.lookUp('TXT', name, options),
    ]);
    if (records.length === 0) return this.#fallBack(domain, options);
    const targets = records.filter(({ target }) => target !== '');
    if (targets.length === 0) throw failure(domain, 'discovery-refused');
    const text = readServiceText(texts);
    if (text === undefined) throw failure(domain, 'discovery-unfit');
    const candidates = orderBySrv(targets, this.#random)
      .slice(0, discoveryHostsMax)
      .map(({ target, port }) => ({ host: target, port, hasText: true }));
    return this.#firstFit(domain, candidates, { path: text.path ?? wellKnownPath, isFit: text.isFit }, options);
  }

  /** Without SRV: `mmm.<domain>`, and the domain itself only where that name has no address at all. */
  async #fallBack(domain: string, options: LookUpOptions): Promise<readonly ServiceLocation[]> {
    const service = { path: wellKnownPath, isFit: true };
    for (const host of [`${serviceName}.${domain}`, domain]) {
      const judged = await this.#judge({ host, port: httpsPort, hasText: false }, service, options);
      if (typeof judged !== 'string') return [judged];
      if (judged !== 'discovery-none') throw failure(domain, judged);
    }
    throw failure(domain, 'discovery-none');
  }

  /** The first places of the candidates that can be used, asking for as many at a time as are wanted. */
  async #firstFit(
    domain: string,
    candidates: readonly Candidate[],
    service: { path: string; isFit: boolean },
    options: LookUpOptions,
  ): Promise<readonly ServiceLocation[]> {
    const places: ServiceLocation[] = [];
    const reasons = new Set<string>();
    for (let at = 0; at < candidates.length && places.length < discoveryConnectsMax; ) {
      const next = candidates.slice(at, at + discoveryConnectsMax - places.length);
      at += next.length;
      for (const judged of await Promise.all(next.map((one) => this.#judge(one, service, options)))) {
        if (typeof judged === 'string') reasons.add(judged);
        else places.push(judged);
      }
    }
    if (places.length > 0) return places;
    throw failure(domain, reasonOrder.find((reason) => reasons.has(reason)) ?? 'discovery-none');
  }

  async #judge(
    { host, port, hasText }: Candidate,
    service: { path: string; isFit: boolean },
    options: LookUpOptions,
  ): Promise<Judged> {
    if (port === 0 || !isHostName(host)) return 'discovery-unfit';
    try {
      const [texts, addresses] = await Promise.all([
        hasText ? this.#resolver.lookUp('TXT', `_${serviceName}._tcp.${host}`, options) : [],
        this.#addressesOf(host, options),
      ]);
      const own = readServiceText(texts);
      // What the host says of itself counts; where it says nothing, what its service says does.
      const isFit = texts.length === 0 ? service.isFit : own?.isFit === true;
      if (own === undefined || !isFit) return 'discovery-unfit';
      if (addresses.length === 0) return 'discovery-none';
      const reachable = addresses.filter((address) => isReachable(address, this.#allowed));
      if (reachable.length === 0) return 'discovery-private';
      return { host, addresses: reachable, port, path: own.path ?? service.path };
    } catch (error) {
      if (error instanceof DnsFailure) return 'discovery-failed';
      throw error;
    }
  }

  /** Addresses of a host, both families in turn; those that one family has while the other cannot be found out will do. */
  async #addressesOf(host: string, options: LookUpOptions): Promise<string[]> {
    const found = await Promise.allSettled([
      this.#resolver.lookUp('A', host, options),
      this.#resolver.lookUp('AAAA', host, options),
    ]);
    const addresses = found.map((one) => (one.status === 'fulfilled' ? one.value : []));
    const failed = found.find((one) => one.status === 'rejected');
    if (failed !== undefined && addresses.every(({ length }) => length === 0)) throw failed.reason;
    const longest = Math.max(...addresses.map(({ length }) => length));
    return Array.from({ length: longest }, (_, index) => addresses.flatMap((list) => list[index] ?? [])).flat();
  }
}

/** A name of a host, and no address in its place: those are judged as what the DNS says of names. */
function isHostName(text: string): boolean {
  try {
    return canonicalDomain(text) === text.toLowerCase().replace(/\.$/, '');
  } catch {
    return false;
  }
}

function failure(domain: string, code: keyof typeof sentences, cause?: Error): BindingError {
  const why = cause === undefined ? '' : ` (${cause.message})`;
  return new BindingError(code, `${domain}: ${sentences[code]}${why}`, { cause });
}

/** An address as it stands in a URL. */
export function addressInUrl(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}
