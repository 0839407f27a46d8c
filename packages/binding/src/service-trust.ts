/**
 * What a client believes about one service: the pin, the hosts verified under it, and how a Hello changes either
 * (S23, S26).
 */
import { importPublicKey, type PublicKeyEd448 } from '@meshd/crypto/ed448';
import {
  type DareEnvelope,
  type EnvelopeOctets,
  openEnvelope,
  readEnvelope,
  writeEnvelope,
} from '@meshd/dare/envelope';
import { hostChainsMax } from '@meshd/limits/client';
import type { MeshHelloResponse } from '@meshd/schema/protocol';
import { LRUCache } from 'lru-cache';
import { BindingError } from './errors.js';
import { chainDigest, type VerifiedService, verifyHost, verifyProfileHost, verifyService } from './host-chain.js';
import type { PinStore, ServicePin } from './pins.js';
import type { SentRequest } from './request-sign.js';
import { checkResponse, type OpenedResponse, type ResponseEntry } from './response-open.js';
import { whyNotSuccessor } from './service-succession.js';

/** Without it nothing is exchanged (S21, S75). */
const featureRequired = 'auth-1';
/** The service binds its hosts with a ConnectionHost (S26). */
const featureHostBound = 'host-1';

/** A key that may sign responses now. */
export interface TrustedHost {
  readonly key: PublicKeyEd448;
  readonly udf: string;
  /** After this a connection must be shown anew, milliseconds. */
  readonly notAfterMs: number;
}

/** A Hello that was verified and agrees with the pin. */
export interface VerifiedHello {
  readonly message: MeshHelloResponse;
  readonly features: readonly string[];
  /** Media types of the encodings that it takes. */
  readonly encodings: readonly string[];
  readonly profileService: DareEnvelope;
  readonly profileHost: DareEnvelope;
  readonly connectionHost: DareEnvelope | undefined;
  readonly pin: ServicePin;
  /** The domain had no pin before: trust rests on TLS alone. */
  readonly firstUse: boolean;
  readonly httpStatus: number;
}

/** Trust in the service of one domain. */
export class ServiceTrust {
  readonly #domain: string;
  readonly #pins: PinStore;
  readonly #clock: () => number;
  /** Verified chains by the octets of their credentials. */
  readonly #chains = new LRUCache<string, TrustedHost>({ max: hostChainsMax });
  /** The service as pinned, parsed once. */
  #service: { pin: ServicePin; verified: VerifiedService } | undefined;
  /** The host of the pinned service that answered last; for answers that carry no credentials. */
  #latest: TrustedHost | undefined;

  constructor(domain: string, pins: PinStore, clock: () => number) {
    this.#domain = domain;
    this.#pins = pins;
    this.#clock = clock;
  }

  /** What the last verified Hello said, which may have been that of another run; undefined for a domain without pin. */
  async pin(): Promise<ServicePin | undefined> {
    return this.#service?.pin ?? (await this.#pins.get(this.#domain));
  }

  /** Feature words that the service gave; none before its first Hello. */
  async features(): Promise<readonly string[]> {
    return (await this.#pins.get(this.#domain))?.features ?? [];
  }

  /**
   * The key that must have signed a response, from the credentials it carries or else from what was seen before.
   *
   * @param greet says Hello, where neither is enough
   * @throws BindingError `host-refused`
   */
  async hostOf(entry: ResponseEntry, greet: () => Promise<unknown>): Promise<TrustedHost> {
    const pin = await this.#pins.get(this.#domain);
    if (pin?.hostKey !== undefined) {
      const key = importPublicKey(pin.hostKey);
      return { key, udf: key.udf, notAfterMs: Number.POSITIVE_INFINITY };
    }
    if (pin !== undefined && entry.profile !== undefined && entry.connection !== undefined) {
      this.#latest = await this.#chain(await this.#serviceOf(pin), entry.profile, entry.connection);
      return this.#latest;
    }
    const known = () => this.#latest !== undefined && this.#clock() < this.#latest.notAfterMs;
    if (!known()) await greet();
    if (!known()) throw new BindingError('host-refused', 'the answer names no host, and none is known');
    return this.#latest as TrustedHost;
  }

  /**
   * Judges a Hello: signature, chain, pin, features; and writes down what is new.
   *
   * The answer brings the very keys that prove it, so the signature shows consistency alone; what makes it the service
   * is TLS at first use, and the pin from then on.
   *
   * @throws BindingError `response-refused`, `host-refused`, `pin-mismatch` or `feature-missing`
   */
  async judgeHello(response: OpenedResponse<'Hello'>, sent: SentRequest, httpStatus: number): Promise<VerifiedHello> {
    const { message } = response;
    const { EnvelopedProfileService: serviceOctets, EnvelopedProfileHost: hostOctets } = message;
    if (serviceOctets === undefined || hostOctets === undefined) {
      throw new BindingError('response-refused', `the answer to Hello brings no profiles (Status ${message.Status})`);
    }
    const service = await verifyService(serviceOctets);
    const connectionOctets = message.EnvelopedConnectionHost;
    const host = connectionOctets
      ? await this.#chain(service, hostOctets, connectionOctets)
      : { ...(await verifyProfileHost(hostOctets)), notAfterMs: Number.POSITIVE_INFINITY };
    await checkResponse(response, sent, host.key);
    const before = await this.#pins.get(this.#domain);
    const features = message.Version?.Features ?? [];
    this.#requireFeatures(features, before);
    if (!connectionOctets && features.includes(featureHostBound)) {
      throw new BindingError('host-refused', `${featureHostBound} is announced, and no ConnectionHost is given`);
    }
    const encodings = (message.Version?.Encodings ?? []).flatMap(({ ID: types = [] }) => types);
    const hostKey = connectionOctets ? undefined : host.key;
    const learnt = { encodings, helloMs: this.#clock() };
    const pin = { ...(await this.#pinOf(service, serviceOctets, hostKey, features, before)), ...learnt };
    await this.#pins.put(pin);
    this.#service = { pin, verified: service };
    this.#latest = host;
    return {
      message,
      features,
      encodings,
      profileService: service.envelope,
      profileHost: openEnvelope(hostOctets),
      connectionHost: connectionOctets && openEnvelope(connectionOctets),
      pin,
      firstUse: before === undefined,
      httpStatus,
    };
  }

  /** What was offered once must stay, or somebody in between takes it away (S23). */
  #requireFeatures(features: readonly string[], before: ServicePin | undefined): void {
    const missing = [featureRequired, ...(before?.features ?? [])].find((word) => !features.includes(word));
    if (missing === undefined) return;
    const since = before?.features.includes(missing) ? ' and did before' : '';
    throw new BindingError('feature-missing', `${this.#domain} does not offer ${missing}${since}`);
  }

  async #pinOf(
    service: VerifiedService,
    octets: EnvelopeOctets,
    hostKey: PublicKeyEd448 | undefined,
    features: readonly string[],
    before: ServicePin | undefined,
  ): Promise<ServicePin> {
    if (before !== undefined) await this.#requireSuccession(service, hostKey, before);
    return {
      domain: this.#domain,
      serviceKey: service.offlineKey.raw,
      profileService: writeEnvelope(octets, 'json'),
      ...(hostKey === undefined ? {} : { hostKey: hostKey.raw }),
      features: [...features],
      pinnedMs: before?.pinnedMs ?? this.#clock(),
    };
  }

  /** The pinned service again, newer or the same, or one that the pinned key signed as its successor (S26). */
  async #requireSuccession(
    service: VerifiedService,
    hostKey: PublicKeyEd448 | undefined,
    before: ServicePin,
  ): Promise<void> {
    const mismatch = (why: string): never => {
      throw new BindingError('pin-mismatch', `${this.#domain} is not the service that was pinned: ${why}`);
    };
    if (hostKey !== undefined) {
      if (before.hostKey === undefined) mismatch('its host is no longer bound to it');
      else if (Buffer.compare(before.hostKey, hostKey.raw) !== 0) mismatch('another host key');
    }
    const pinned = importPublicKey(before.serviceKey);
    const why = await whyNotSuccessor(service, pinned, (await this.#serviceOf(before)).updatedMs);
    if (why !== undefined) mismatch(why);
  }

  async #serviceOf(pin: ServicePin): Promise<VerifiedService> {
    const known = this.#service;
    if (known !== undefined && Buffer.compare(known.pin.serviceKey, pin.serviceKey) === 0) return known.verified;
    const verified = await verifyService(readEnvelope(pin.profileService, 'json'));
    if (Buffer.compare(verified.offlineKey.raw, pin.serviceKey) !== 0) {
      throw new BindingError('pin-mismatch', 'the pinned profile is not that of the pinned key');
    }
    this.#service = { pin, verified };
    return verified;
  }

  async #chain(
    service: VerifiedService,
    profileHost: EnvelopeOctets,
    connectionHost: EnvelopeOctets,
  ): Promise<TrustedHost> {
    const name = service.udf + chainDigest(profileHost, connectionHost);
    const known = this.#chains.get(name);
    if (known !== undefined && this.#clock() < known.notAfterMs) return known;
    const host = await verifyHost(service, profileHost, connectionHost, this.#domain, this.#clock());
    this.#chains.set(name, host);
    return host;
  }
}
