/**
 * What other services are pinned to (S26, S70), as a store for connections to them. The directory keeps the pins, by way of the
 * shards; looking a domain up there makes it wanted, so that the first Post to it need not wait for the pin and all that
 * come later are judged by it.
 *
 * Beside the directory's pins stand what this worker has seen itself: a service on first use, until its pin is in the
 * directory, and a successor that the pinned key signed, until the directory has it too. Where they differ otherwise, the
 * directory decides.
 */
import type { PinStore, ServicePin } from '@meshd/binding/pins';
import { Lru } from '@meshd/crypto/lru';
import { readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { linesKnownMax } from '@meshd/limits/outbound';
import { peerKnownMs, peerPendingMs } from '@meshd/limits/peers';
import type { Clock } from '@meshd/process/clock';
import type { Peer } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { envelopeOf, rpcEnvelope } from './rpc-envelopes.js';
import type { Shards } from './shards.js';

/** What the directory said, until when it is believed. */
interface Looked {
  readonly pin: ServicePin | undefined;
  readonly untilMs: number;
}

/** What this worker saw, and the key in the directory that it was judged by; undefined: none. */
interface Seen {
  readonly pin: ServicePin;
  readonly judgedBy: Uint8Array | undefined;
}

/** The pins of this worker. */
export class PeerPins implements PinStore {
  readonly #shards: Pick<Shards, 'askAny'>;
  readonly #clock: Clock;
  readonly #looked = new Lru<Looked>(linesKnownMax);
  readonly #seen = new Lru<Seen>(linesKnownMax);

  constructor(shards: Pick<Shards, 'askAny'>, clock: Clock) {
    this.#shards = shards;
    this.#clock = clock;
  }

  /** @throws RpcError, MeshError where no shard can say */
  async get(domain: string): Promise<ServicePin | undefined> {
    const kept = await this.#kept(domain);
    const seen = this.#seen.get(domain);
    if (kept === undefined || seen === undefined) return kept ?? seen?.pin;
    const isSame = equal(kept.serviceKey, seen.pin.serviceKey);
    const isSuccessor = seen.judgedBy !== undefined && equal(kept.serviceKey, seen.judgedBy);
    return isSame || isSuccessor ? seen.pin : kept;
  }

  async put(pin: ServicePin): Promise<void> {
    const kept = await this.#kept(pin.domain);
    const before = this.#seen.get(pin.domain);
    // A second successor is still judged by what the directory has.
    this.#seen.set(pin.domain, { pin, judgedBy: kept?.serviceKey ?? before?.judgedBy });
  }

  async #kept(domain: string): Promise<ServicePin | undefined> {
    const nowMs = this.#clock();
    const looked = this.#looked.get(domain);
    if (looked !== undefined && nowMs < looked.untilMs) return looked.pin;
    const { peer } = await this.#shards.askAny({ $case: 'lookupPeer', value: { domain } }, 'lookupPeer');
    const pin = peer && pinOf(peer);
    this.#looked.set(domain, { pin, untilMs: nowMs + (pin === undefined ? peerPendingMs : peerKnownMs) });
    return pin;
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** A pin of the directory; undefined where it has no profile. */
export function pinOf({ domain, serviceKey, profileService, features, verifiedMs }: Peer): ServicePin | undefined {
  if (profileService === undefined) return undefined;
  const profile = writeEnvelope(envelopeOf(profileService), 'json');
  return { domain, serviceKey, profileService: profile, features, pinnedMs: verifiedMs };
}

/** A pin for the directory. */
export function peerOf({ domain, serviceKey, profileService, features }: ServicePin, verifiedMs: number): Peer {
  const profile = rpcEnvelope(readEnvelope(profileService));
  return { domain, serviceKey: Buffer.from(serviceKey), profileService: profile, features: [...features], verifiedMs };
}
