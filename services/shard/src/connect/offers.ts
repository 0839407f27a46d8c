import { parseUdf } from '@meshd/crypto/udf';
import { isEncrypted } from '@meshd/dare/decrypt';
import type { DareEnvelope } from '@meshd/dare/envelope';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { offersPerAccountMax, offersPerDeviceMax, offerTurnsMax } from '@meshd/limits/hailing';
import { publicationCatalog } from '@meshd/schema/container-name';
import { OfferConnection } from '@meshd/schema/messages-mesh';
import { LRUCache } from 'lru-cache';
import type { WaitingOffers } from '../storage/hailing-store.js';
import type { AccountState } from '../storage/store.js';

/*
 * Offers of connection at a hailing account (semantics 7.6, S56): where devices without display and keys come for the word of
 * who wants them. Anybody may leave one. Only the device can tell which is good, so none keeps another from being shown.
 */

/** `MessageType` of an offer. */
export const offerType = OfferConnection.name;

/**
 * Whether an account takes offers from anybody: it has opened its catalog of publications, be it empty because another server
 * serves the descriptions. Devices that ask it are told to wait.
 */
export function isHailing({ containers }: Pick<AccountState, 'containers'>): boolean {
  return containers.has(publicationCatalog);
}

const offerTags = defineTags('offer of connection', { OfferConnection });

/** The device that an offer is for, canonical; undefined: it is not one that a device could take. */
export function offeredDevice(envelope: DareEnvelope): string | undefined {
  const { payload } = envelope;
  if (payload === null || isEncrypted(envelope)) return undefined;
  try {
    const { value } = decodeTagged(offerTags, payload, { form: 'json', refuseRepeated: true });
    return parseUdf(value.DeviceUDF ?? '').canonical;
  } catch {
    return undefined;
  }
}

/** How many more offers for the device may wait, with those that the same request leaves. */
export function offersLeft({ frameIndexes, count }: WaitingOffers, added: { device: number; account: number }): number {
  return Math.min(offersPerDeviceMax - frameIndexes.length - added.device, offersPerAccountMax - count - added.account);
}

/**
 * Which offer is shown to a device next. A device that comes back has not taken the one that it was shown, and is shown the
 * one behind it; after the last the first again. In memory alone: after a restart it begins with the first.
 */
export class OfferTurns {
  readonly #shown = new LRUCache<string, number>({ max: offerTurnsMax });

  /** @param frameIndexes those that wait, oldest first. @returns one of them; undefined: there is none */
  next(accountId: number, deviceUdf: string, frameIndexes: readonly number[]): number | undefined {
    const name = `${accountId} ${deviceUdf}`;
    const shown = this.#shown.get(name) ?? -1;
    const next = frameIndexes.find((frameIndex) => frameIndex > shown) ?? frameIndexes[0];
    if (next !== undefined) this.#shown.set(name, next);
    return next;
  }
}
