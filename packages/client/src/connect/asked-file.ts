import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { askedFile } from '../account-state.js';
import { ClientError } from '../errors.js';
import type { Home } from '../home.js';
import { octetsToText, textToOctets } from '../octet-text.js';
import type { BaseSeeds } from './acceptance.js';
import type { Commitment, MadeRequest } from './asking.js';

/*
 * The file of a device that has asked to be connected and is not yet: everything it needs to go on after a restart. It holds
 * the device's base keys and the secret of the code, and is replaced by the account's own files at the end.
 */

/** Of whom the device asked, as the service told and the device verified. */
export interface Acknowledged {
  /** `MessageID` of the acknowledgement: names the request. */
  readonly messageId: string;
  readonly serverNonce: Uint8Array;
  readonly profileMesh: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;
}

/** How far the request has come. */
export interface AskedState {
  /** Canonical address. */
  readonly address: string;
  readonly url: string | undefined;
  readonly pin: string | undefined;
  readonly made: MadeRequest;
  readonly acknowledged: Acknowledged;
  /** rA of the challenge that was answered; a second one ends the request (S53). */
  readonly adminNonce: Uint8Array | undefined;
  /** The administrator's half of the code was typed here. */
  readonly isConfirmed: boolean;
  /** How often it was typed wrong. */
  readonly wrongCount: number;
  /** The entry that connects, held until the code was typed. */
  readonly entry: Uint8Array | undefined;
}

interface StoredState {
  version: 1;
  address: string;
  url?: string | undefined;
  pin?: string | undefined;
  seeds: Record<keyof BaseSeeds, string> & { client?: string | undefined };
  deviceUdf: string;
  octets: Record<'clientNonce' | 'serverNonce', string> & Partial<Record<keyof Commitment, string>>;
  envelopes: Record<'profileDevice' | 'message' | 'profileMesh' | 'profileAccount', string>;
  messageId: string;
  adminNonce?: string | undefined;
  isConfirmed: boolean;
  wrongCount: number;
  entry?: string | undefined;
}

const optionalText = (octets: Uint8Array | undefined) => (octets === undefined ? undefined : octetsToText(octets));
const optionalOctets = (text: string | undefined) => (text === undefined ? undefined : textToOctets(text));
const envelopeText = (octets: EnvelopeOctets) => octetsToText(writeEnvelope(octets));
const envelopeOf = (text: string) => readEnvelope(textToOctets(text));

function committedText(commitment: Commitment | undefined): Partial<Record<keyof Commitment, string>> {
  if (commitment === undefined) return {};
  const { revealNonce, request, commit } = commitment;
  return { revealNonce: octetsToText(revealNonce), request: octetsToText(request), commit: octetsToText(commit) };
}

function commitmentOf({ revealNonce, request, commit }: StoredState['octets']): Commitment | undefined {
  if (revealNonce === undefined || request === undefined || commit === undefined) return undefined;
  return { revealNonce: textToOctets(revealNonce), request: textToOctets(request), commit: textToOctets(commit) };
}

/** Keeps it, durably. */
export async function saveAsked(home: Home, state: AskedState): Promise<void> {
  const { made, acknowledged } = state;
  const { seeds } = made;
  const stored: StoredState = {
    version: 1,
    ...{ address: state.address, url: state.url, pin: state.pin, deviceUdf: made.deviceUdf },
    seeds: {
      offline: octetsToText(seeds.offline),
      encryption: octetsToText(seeds.encryption),
      authentication: octetsToText(seeds.authentication),
      client: optionalText(seeds.client),
    },
    octets: {
      clientNonce: octetsToText(made.clientNonce),
      ...committedText(made.commitment),
      serverNonce: octetsToText(acknowledged.serverNonce),
    },
    envelopes: {
      profileDevice: envelopeText(made.profileDevice),
      message: envelopeText(made.message),
      profileMesh: envelopeText(acknowledged.profileMesh),
      profileAccount: envelopeText(acknowledged.profileAccount),
    },
    messageId: acknowledged.messageId,
    ...{ adminNonce: optionalText(state.adminNonce), isConfirmed: state.isConfirmed, wrongCount: state.wrongCount },
    entry: optionalText(state.entry),
  };
  await home.writeJson(stored, askedFile);
}

/** The request of this home, if there is one. @throws ClientError `state` */
export async function loadAsked(home: Home): Promise<AskedState | undefined> {
  const stored = await home.readJson<StoredState>(askedFile);
  if (stored === undefined) return undefined;
  if (stored.version !== 1) {
    throw new ClientError('state', `${home.path(askedFile)} is of another version; update this program`);
  }
  const { seeds, octets, envelopes } = stored;
  const made: MadeRequest = {
    seeds: {
      offline: textToOctets(seeds.offline),
      encryption: textToOctets(seeds.encryption),
      authentication: textToOctets(seeds.authentication),
      client: optionalOctets(seeds.client),
    },
    deviceUdf: stored.deviceUdf,
    clientNonce: textToOctets(octets.clientNonce),
    commitment: commitmentOf(octets),
    profileDevice: envelopeOf(envelopes.profileDevice),
    message: envelopeOf(envelopes.message),
  };
  const acknowledged: Acknowledged = {
    messageId: stored.messageId,
    serverNonce: textToOctets(octets.serverNonce),
    profileMesh: envelopeOf(envelopes.profileMesh),
    profileAccount: envelopeOf(envelopes.profileAccount),
  };
  return {
    ...{ address: stored.address, url: stored.url, pin: stored.pin, made, acknowledged },
    ...{ isConfirmed: stored.isConfirmed, wrongCount: stored.wrongCount },
    adminNonce: optionalOctets(stored.adminNonce),
    entry: optionalOctets(stored.entry),
  };
}

/** Forgets it, secrets and all. */
export async function forgetAsked(home: Home): Promise<void> {
  await home.remove(askedFile);
}
