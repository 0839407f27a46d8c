import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { hailingFile } from '../account-state.js';
import { ClientError } from '../errors.js';
import type { Home } from '../home.js';
import { octetsToText, textToOctets } from '../octet-text.js';
import type { BaseSeeds } from './acceptance.js';

/*
 * What a device without display or keys was made with, and remembers over everything that happens to it: its base keys, its
 * code, where it hails, and which offers it has taken. A reset to how it left the factory keeps all of that: an offer of
 * before is taken once and never again (S56).
 */

/** An offer that was found good, and the PIN that follows from it: asked with until the account answers. */
export interface TakenOffer {
  /** Canonical address of the account. */
  readonly account: string;
  readonly pin: string;
  /** Of the Mesh that made it, 64 octets. */
  readonly meshFingerprint: Uint8Array;
  readonly createdMs: number;
}

/** A device that hails. */
export interface HailingState {
  /** The code: `udf://<domain>/<E…>`. */
  readonly earl: string;
  /** Canonical address of the account where it hails, and how to get there where its domain does not say. */
  readonly hailing: string;
  readonly url: string | undefined;
  /** Certificates to trust instead of the usual ones. */
  readonly ca: string | undefined;
  readonly seeds: BaseSeeds;
  readonly profileDevice: EnvelopeOctets;
  readonly deviceUdf: string;
  /** It has a button, and takes offers for some minutes after that was pressed (S57). */
  readonly hasButton: boolean;
  /** When it was pressed last, Unix time in milliseconds. */
  readonly pressedMs: number | undefined;
  /** `OfferNonce` of the offers that were taken, in base64url. */
  readonly usedNonces: ReadonlySet<string>;
  readonly taken: TakenOffer | undefined;
}

interface StoredState {
  version: 1;
  earl: string;
  hailing: string;
  url?: string | undefined;
  ca?: string | undefined;
  seeds: Record<keyof BaseSeeds, string>;
  profileDevice: string;
  deviceUdf: string;
  hasButton: boolean;
  pressedMs?: number | undefined;
  usedNonces: string[];
  taken?: (Omit<TakenOffer, 'meshFingerprint'> & { meshFingerprint: string }) | undefined;
}

/** Keeps it, durably. */
export async function saveHailing(home: Home, state: HailingState): Promise<void> {
  const { seeds, profileDevice, usedNonces, taken, ...plain } = state;
  const stored: StoredState = {
    version: 1,
    ...plain,
    seeds: {
      offline: octetsToText(seeds.offline),
      encryption: octetsToText(seeds.encryption),
      authentication: octetsToText(seeds.authentication),
    },
    profileDevice: octetsToText(writeEnvelope(profileDevice)),
    usedNonces: [...usedNonces],
    taken: taken && { ...taken, meshFingerprint: octetsToText(taken.meshFingerprint) },
  };
  await home.writeJson(stored, hailingFile);
}

/** What this home was made with; undefined in one of a device that does not hail. @throws ClientError `state` */
export async function loadHailing(home: Home): Promise<HailingState | undefined> {
  const stored = await home.readJson<StoredState>(hailingFile);
  if (stored === undefined) return undefined;
  if (stored.version !== 1) {
    throw new ClientError('state', `${home.path(hailingFile)} is of another version; update this program`);
  }
  const { version: _, seeds, profileDevice, usedNonces, taken, ...plain } = stored;
  return {
    ...{ url: undefined, ca: undefined, pressedMs: undefined, ...plain },
    seeds: {
      offline: textToOctets(seeds.offline),
      encryption: textToOctets(seeds.encryption),
      authentication: textToOctets(seeds.authentication),
    },
    profileDevice: readEnvelope(textToOctets(profileDevice)),
    usedNonces: new Set(usedNonces),
    taken: taken && { ...taken, meshFingerprint: textToOctets(taken.meshFingerprint) },
  };
}
