/** What a client remembers of a service between runs (S23, S26). */

/** The pin of one domain. */
export interface ServicePin {
  /** Canonical domain. */
  readonly domain: string;
  /** Raw offline key of the ProfileService: the identity of the service (S04: the key, not its name). */
  readonly serviceKey: Uint8Array;
  /** The ProfileService envelope as last verified, in JSON: its online keys may sign a host's connection. */
  readonly profileService: Uint8Array;
  /** Raw `KeyAuthentication` of the host, where the service does not bind hosts (no `host-1`). */
  readonly hostKey?: Uint8Array;
  /** Feature words seen in an authenticated answer; none of them may vanish. */
  readonly features: readonly string[];
  /** Media types of encodings that the service took when last asked; JSON alone where this was not kept. */
  readonly encodings?: readonly string[];
  /** When the service was last asked what it can do, milliseconds; long ago where this was not kept. */
  readonly helloMs?: number;
  /** When the domain was pinned, milliseconds. */
  readonly pinnedMs: number;
}

/** Where pins are kept. Writing must be durable before it resolves: a lost pin is a second first use. */
export interface PinStore {
  get(domain: string): ServicePin | undefined | Promise<ServicePin | undefined>;
  put(pin: ServicePin): void | Promise<void>;
}

/** Pins for the life of the process only: tests, and tools that ask once. */
export function memoryPinStore(pins: readonly ServicePin[] = []): PinStore {
  const known = new Map(pins.map((pin) => [pin.domain, pin]));
  return {
    get: (domain) => known.get(domain),
    put: (pin) => {
      known.set(pin.domain, pin);
    },
  };
}
