/** Other services, as this worker knows them: a connection to each, what it takes, and which hosts speak for it. */
import {
  chainDigest,
  type VerifiedHost,
  type VerifiedService,
  verifyHost,
  verifyService,
} from '@meshd/binding/host-chain';
import type { HostIdentity } from '@meshd/binding/host-files';
import { PeerConnection, type PeerConnectionOptions } from '@meshd/binding/peer-connection';
import type { PinStore } from '@meshd/binding/pins';
import { readEnvelope } from '@meshd/dare/envelope';
import { helloCacheMs, messageBytesMax, postMessagesMax } from '@meshd/limits/limits';
import { peersConnectedMax } from '@meshd/limits/outbound';
import { peerHostsMax } from '@meshd/limits/peers';
import type { Clock } from '@meshd/process/clock';
import { LRUCache } from 'lru-cache';
import type { PostConstraints } from './arrange.js';

import type { JudgeHost } from './receipt.js';

/** What {@link Peers} needs. */
export interface PeersOptions {
  readonly locator: PeerConnectionOptions['locator'];
  readonly host: () => HostIdentity;
  readonly pins: PinStore;
  /** Certificates (PEM) trusted instead of the usual ones. */
  readonly ca: string | undefined;
  readonly clock: Clock;
}

/** What a service said of what it takes, and when. */
interface Told {
  readonly constraints: PostConstraints;
  readonly atMs: number;
}

/** Other services. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #connections = new LRUCache<string, PeerConnection>({
    max: peersConnectedMax,
    dispose: (connection) => connection.stop(),
  });
  readonly #told = new LRUCache<string, Told>({ max: peersConnectedMax });
  readonly #asking = new Map<string, Promise<PostConstraints>>();
  readonly #services = new LRUCache<string, { readonly key: Uint8Array; readonly service: VerifiedService }>({
    max: peersConnectedMax,
  });
  readonly #hosts = new LRUCache<string, VerifiedHost>({ max: peerHostsMax });

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** The way to a service. */
  connection(domain: string): PeerConnection {
    const known = this.#connections.get(domain);
    if (known !== undefined) return known;
    const { locator, host, pins, ca, clock } = this.#options;
    const opened = new PeerConnection({ domain, locator, host, pins, ca, clock });
    this.#connections.set(domain, opened);
    return opened;
  }

  /**
   * What a service takes; it is asked once a day, by one Hello however many lanes want to know.
   *
   * @param deadlineMs Unix time
   * @throws BindingError; RpcError, MeshError where no shard says what it is pinned to
   */
  async constraints(domain: string, deadlineMs: number): Promise<PostConstraints> {
    const told = this.#told.get(domain);
    if (told !== undefined && this.#options.clock() < told.atMs + helloCacheMs) return told.constraints;
    const asking = this.#asking.get(domain) ?? this.#ask(domain, deadlineMs);
    this.#asking.set(domain, asking);
    return asking;
  }

  /** The service refused what it had said it takes: it is asked again before the next Post. */
  forgetConstraints(domain: string): void {
    this.#told.delete(domain);
  }

  /** Whether anything was ever proved by this service: one that cannot prove anything is no service for us (S75). */
  async isPinned(domain: string): Promise<boolean> {
    return (await this.#options.pins.get(domain)) !== undefined;
  }

  /** Judges hosts of a domain by its pin; each chain once while it is in force. */
  judgeHost(domain: string): JudgeHost {
    return async (profileHost, connectionHost) => {
      const nowMs = this.#options.clock();
      const service = await this.#service(domain);
      const name = `${domain} ${service.udf} ${chainDigest(profileHost, connectionHost)}`;
      const known = this.#hosts.get(name);
      if (known !== undefined && nowMs >= known.notBeforeMs && nowMs < known.notAfterMs) return known;
      const host = await verifyHost(service, profileHost, connectionHost, domain, nowMs);
      this.#hosts.set(name, host);
      return host;
    };
  }

  async #service(domain: string): Promise<VerifiedService> {
    const pin = await this.#options.pins.get(domain);
    if (pin === undefined) throw new TypeError(`${domain} has answered, and is not pinned`);
    const known = this.#services.get(domain);
    if (known !== undefined && Buffer.compare(known.key, pin.profileService) === 0) return known.service;
    const service = await verifyService(readEnvelope(pin.profileService));
    this.#services.set(domain, { key: pin.profileService, service });
    return service;
  }

  async #ask(domain: string, deadlineMs: number): Promise<PostConstraints> {
    try {
      const { message } = await this.connection(domain).hello({ deadlineMs });
      const { BytesMax: bytesMax = messageBytesMax, MaxEntries: entriesMax = postMessagesMax } =
        message.ConstraintsPost ?? {};
      const constraints = { messageBytesMax: bytesMax, messagesMax: entriesMax };
      this.#told.set(domain, { constraints, atMs: this.#options.clock() });
      return constraints;
    } finally {
      this.#asking.delete(domain);
    }
  }

  /** Closes all connections. */
  stop(): void {
    this.#connections.clear();
  }
}
