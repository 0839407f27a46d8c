import type { PinStore, ServicePin } from '@meshd/binding/pins';
import type { Home } from './home.js';

interface StoredPin {
  version: 1;
  domain: string;
  serviceKey: string;
  profileService: string;
  hostKey?: string;
  features: string[];
  encodings?: string[];
  helloMs?: number;
  pinnedMs: number;
}

const text = (octets: Uint8Array) => Buffer.from(octets).toString('base64url');
const octets = (encoded: string) => new Uint8Array(Buffer.from(encoded, 'base64url'));
// Canonical domains hold letters, digits, dots and dashes: safe as a file name.
const fileOf = (domain: string) => ['services', `${domain}.json`] as const;

function toPin(stored: StoredPin): ServicePin {
  return {
    domain: stored.domain,
    serviceKey: octets(stored.serviceKey),
    profileService: octets(stored.profileService),
    ...(stored.hostKey === undefined ? {} : { hostKey: octets(stored.hostKey) }),
    features: stored.features,
    ...(stored.encodings === undefined ? {} : { encodings: stored.encodings }),
    ...(stored.helloMs === undefined ? {} : { helloMs: stored.helloMs }),
    pinnedMs: stored.pinnedMs,
  };
}

/** The pins of a device (S26), one file a domain, durable before `put` resolves. */
export function homePins(home: Home): PinStore {
  return {
    async get(domain) {
      const stored = await home.readJson<StoredPin>(...fileOf(domain));
      return stored?.version === 1 ? toPin(stored) : undefined;
    },
    async put(pin) {
      const stored: StoredPin = {
        version: 1,
        domain: pin.domain,
        serviceKey: text(pin.serviceKey),
        profileService: text(pin.profileService),
        ...(pin.hostKey === undefined ? {} : { hostKey: text(pin.hostKey) }),
        features: [...pin.features],
        ...(pin.encodings === undefined ? {} : { encodings: [...pin.encodings] }),
        ...(pin.helloMs === undefined ? {} : { helloMs: pin.helloMs }),
        pinnedMs: pin.pinnedMs,
      };
      await home.writeJson(stored, ...fileOf(pin.domain));
    },
  };
}

/** Forgets a pin: the explicit command of the user that S26 asks for where a service has changed its key. */
export async function forgetPin(home: Home, domain: string): Promise<void> {
  await home.remove(...fileOf(domain));
}
