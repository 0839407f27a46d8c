/**
 * Who speaks for another service (S70): a host's chain is followed up to the pin of the domain for which it speaks. The pin
 * comes from the directory, by way of a shard, and is believed for a minute; a domain without one is asked to come back
 * while the pin is fetched. What a host says of itself is compared before anything is looked up or verified.
 */
import { BindingError } from '@meshd/binding/errors';
import {
  chainDigest,
  type VerifiedHost,
  type VerifiedService,
  verifyHost,
  verifyService,
} from '@meshd/binding/host-chain';
import type { Authentication } from '@meshd/binding/request-authenticate';
import { openEnvelope } from '@meshd/dare/envelope';
import { decodeTagged } from '@meshd/encoding/codec';
import {
  peerHostsMax,
  peerKnownMs,
  peerPendingMs,
  peerSpokeMs,
  peersKnownMax,
  peerTicketDomainsMax,
} from '@meshd/limits/peers';
import type { Clock } from '@meshd/process/clock';
import { connectionRegistry } from '@meshd/schema/connections';
import { type Feature, understands } from '@meshd/schema/features';
import { MeshError } from '@meshd/schema/status';
import { LRUCache } from 'lru-cache';
import { refusalOf, type ShardCall, type ShardRouter } from './shard-router.js';
import type { Described } from './ticket-desk.js';
import { envelopeOfRpc } from './transactions/shared.js';

/** A service whose pin is known. */
interface KnownService {
  readonly service: VerifiedService;
  readonly features: readonly string[];
}

/** Known, or when to ask again; each until a time. */
type Remembered = (KnownService | { readonly retryAtMs: number }) & { readonly untilMs: number };

/** A host that speaks for other services. */
export interface PeerHost {
  /** UDF of its ProfileHost. */
  readonly hostUdf: string;
  /** Domains for which it speaks, all judged by their pins. */
  readonly domains: readonly string[];
  /** For the ticket that a host may ask for. */
  readonly described: Described;
}

/** What {@link Peers} needs. */
export interface PeersOptions {
  readonly shards: Pick<ShardRouter, 'transact' | 'transactAll'>;
  readonly clock: Clock;
}

/** The pins as this router knows them. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #services = new LRUCache<string, Remembered>({ max: peersKnownMax });
  readonly #hosts = new LRUCache<string, VerifiedHost>({ max: peerHostsMax });
  readonly #spoken = new LRUCache<string, number>({ max: peersKnownMax });

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /**
   * Judges that a host speaks for all of these domains.
   *
   * @param domains of the senders, canonical
   * @throws MeshError `policy` for a host of another domain and for a service that cannot prove itself (S75),
   * `signature-invalid` for one that the pin does not vouch for, `service-unverified` while there is no pin, `ticket` where
   * a ticket is for another domain, `manifest` for a service that signs no manifests
   */
  async hostOf(
    authentication: Authentication,
    domains: readonly string[],
    call: Omit<ShardCall, 'account'>,
  ): Promise<PeerHost> {
    const named = domainsNamed(authentication);
    const foreign = domains.find((domain) => !named.includes(domain));
    if (foreign !== undefined) {
      // A signature may show what the ticket does not: it holds only so many domains.
      if (authentication.form === 'ticket') throw new MeshError('ticket', 'not for this domain');
      throw new MeshError('policy', `the host does not speak for ${foreign}`);
    }
    let host: PeerHost | undefined;
    for (const domain of domains) host = await this.#judge(authentication, domain, named, call);
    if (host === undefined) throw new TypeError('a host speaks for some domain');
    return { ...host, domains };
  }

  /**
   * Whom a ticket for a host is to name (S31); undefined while no pin of its domains is known, which are thereby wanted.
   *
   * @throws MeshError as {@link hostOf}
   */
  async describe(authentication: Authentication, call: Omit<ShardCall, 'account'>): Promise<Described | undefined> {
    const [domain] = domainsNamed(authentication);
    if (domain === undefined) return undefined;
    try {
      return (await this.hostOf(authentication, [domain], call)).described;
    } catch (error) {
      if (error instanceof MeshError && error.code === 'service-unverified') return undefined;
      throw error;
    }
  }

  /** Tells the shards that a service spoke: what waits for it is worth a try (semantics 8.1). Nobody waits for this. */
  spoke(domain: string, call: Omit<ShardCall, 'account'>): void {
    const nowMs = this.#options.clock();
    if (nowMs < (this.#spoken.get(domain) ?? 0) + peerSpokeMs) return;
    this.#spoken.set(domain, nowMs);
    this.#options.shards.transactAll(call, { $case: 'peerSpoke', value: { domain } });
  }

  async #judge(
    authentication: Authentication,
    domain: string,
    named: readonly string[],
    call: Omit<ShardCall, 'account'>,
  ): Promise<PeerHost> {
    const known = await this.#serviceOf(domain, call);
    requireFeature(known, 'auth-1', () => new MeshError('policy', 'the service does not offer auth-1'));
    requireFeature(known, 'manifest-1', () => new MeshError('manifest', 'the service does not offer manifest-1'));
    const { service } = known;
    if (authentication.form === 'ticket') {
      const { account, accountUdf, deviceUdf } = authentication.ticket.content;
      // The pin may have changed since.
      if (accountUdf !== service.udf) throw new MeshError('ticket', 'the service has another key now');
      const described = { account, principal: { accountUdf, deviceUdf } };
      return { hostUdf: deviceUdf, domains: [domain], described };
    }
    if (authentication.form !== 'host') throw new TypeError('only hosts are judged by pins');
    const host = await this.#chain(authentication, domain, service);
    const account = named.slice(0, peerTicketDomainsMax).join(' ');
    const described = { account, principal: { accountUdf: service.udf, deviceUdf: host.udf } };
    return { hostUdf: host.udf, domains: [domain], described };
  }

  async #chain(
    { key, profileHost, connectionHost }: Extract<Authentication, { form: 'host' }>,
    domain: string,
    service: VerifiedService,
  ): Promise<VerifiedHost> {
    const nowMs = this.#options.clock();
    const name = `${domain} ${service.udf} ${chainDigest(profileHost, connectionHost)}`;
    const found = this.#hosts.get(name);
    const isInForce = found !== undefined && nowMs >= found.notBeforeMs && nowMs < found.notAfterMs;
    const host = isInForce
      ? found
      : await refusing(() => verifyHost(service, profileHost, connectionHost, domain, nowMs));
    if (!host.key.equals(key)) throw new MeshError('signature-invalid', 'signed by another key than that of the host');
    this.#hosts.set(name, host);
    return host;
  }

  async #serviceOf(domain: string, call: Omit<ShardCall, 'account'>): Promise<KnownService> {
    const nowMs = this.#options.clock();
    const remembered = this.#services.get(domain);
    const known =
      remembered !== undefined && nowMs < remembered.untilMs ? remembered : await this.#lookUp(domain, call);
    if ('service' in known) return known;
    throw new MeshError('service-unverified', '', { retryAfterMs: Math.max(known.retryAtMs - nowMs, peerPendingMs) });
  }

  async #lookUp(domain: string, call: Omit<ShardCall, 'account'>): Promise<Remembered> {
    // Any shard can say; this spreads the domains over all of them.
    const asked = { ...call, describePrincipal: false, account: `peer@${domain}` };
    const { outcome, result } = await this.#options.shards.transact(asked, { $case: 'lookupPeer', value: { domain } });
    const refused = refusalOf(outcome);
    if (refused !== undefined) throw refused;
    if (result?.$case !== 'lookupPeer') throw new Error('the shard answered another request');
    const { peer, retryAfterMs = peerPendingMs } = result.value;
    const nowMs = this.#options.clock();
    let found: Remembered = { retryAtMs: nowMs + retryAfterMs, untilMs: nowMs + peerPendingMs };
    if (peer?.profileService !== undefined) {
      const service = await verifyService(envelopeOfRpc(peer.profileService));
      if (Buffer.compare(service.offlineKey.raw, peer.serviceKey) !== 0)
        throw new Error('a pin that is not its profile’s');
      found = { service, features: peer.features, untilMs: nowMs + peerKnownMs };
    }
    this.#services.set(domain, found);
    return found;
  }
}

function requireFeature({ features }: KnownService, word: Feature, refusal: () => MeshError): void {
  if (!understands(features, word)) throw refusal();
}

/** Domains for which a host says that it speaks; nothing of it is verified. */
function domainsNamed(authentication: Authentication): readonly string[] {
  if (authentication.form === 'ticket') return authentication.ticket.content.account.split(' ').filter(Boolean);
  if (authentication.form !== 'host') return [];
  const { payload } = openEnvelope(authentication.connectionHost);
  const { value } = decodeTagged(connectionRegistry, payload ?? new Uint8Array(0), { form: 'json' });
  return 'ServiceID' in value ? (value.ServiceID ?? []) : [];
}

async function refusing<T>(judge: () => Promise<T>): Promise<T> {
  try {
    return await judge();
  } catch (error) {
    if (error instanceof BindingError) throw new MeshError('signature-invalid', error.message, { cause: error });
    throw error;
  }
}
