import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { offerButtonMs, offerMs, offersPerDeviceMax } from '@meshd/limits/hailing';
import { completePollMsMin } from '@meshd/limits/limits';
import { findAccount, forgetAccount, loadCa } from '../account-state.js';
import { forgetAsked, loadAsked } from '../connect/asked-file.js';
import { makeBaseSeeds, makeProfileDevice } from '../connect/asking.js';
import { earlText, makeEarl, parseEarl, sealDescription } from '../connect/earl.js';
import { type HailingState, loadHailing, saveHailing, type TakenOffer } from '../connect/hailing-file.js';
import { checkOffer, offerDigest, offerPin } from '../connect/offer.js';
import { readOffer } from '../connect/offer-message.js';
import type { Device } from '../device.js';
import type { ClientEnvironment } from '../environment.js';
import { ClientError } from '../errors.js';
import { Home } from '../home.js';
import { octetsToText } from '../octet-text.js';
import { asClientError } from '../repeat.js';
import { connectionFor, domainOf, requireSuccess } from '../session.js';
import { completeIn, type Progress, requestIn } from './connect-device.js';
import { publish } from './publish.js';

/* The device's end of the third way to be connected (semantics 7.6, S56, S57): made with a code, it comes for offers. */

/** No such request, or one that was rejected: the device is free for other offers. */
const overStatuses: ReadonlySet<number> = new Set([403, 404]);

/** How a device is made. */
export interface PreconfigureOptions {
  /** What those see who scan its code. */
  readonly description: string;
  /** It has a button, and takes offers only for some minutes after that was pressed (S57). */
  readonly hasButton: boolean;
  /** Certificates that the device trusts instead of the usual ones. */
  readonly ca?: string | undefined;
}

/** A device that was made. */
export interface PreconfiguredDevice {
  /** Its code. */
  readonly earl: string;
  readonly deviceUdf: string;
  /** Under which its description is published. */
  readonly identifier: string;
}

/**
 * Makes a device that hails at this account: its keys and its code go into a home of its own, its description is published
 * here, readable by whoever has the code. The device is on disk before anything of it is published, and one that was made
 * here before is published again.
 *
 * @param folder home of the device
 * @throws ClientError `usage` for a folder that holds another device, `unavailable` where the service has no such devices,
 *   `refused` where the account may not publish more
 */
export async function preconfigureDevice(
  device: Device,
  folder: string,
  options: PreconfigureOptions,
): Promise<PreconfiguredDevice> {
  const { environment, state, domain } = device.session;
  await requireServiceOfHailing(device);
  const { nowMs, random } = environment;
  const home = new Home(folder);
  const earl = makeEarl(domain, random);
  const seeds = makeBaseSeeds(random);
  const profileDevice = makeProfileDevice(seeds, options.description, nowMs());
  const { udf: deviceUdf } = signingKeyFromSeed(seeds.offline).publicKey;
  const made: HailingState = {
    ...{ earl: earlText(earl), hailing: state.address, url: state.url, ca: options.ca },
    ...{ seeds, profileDevice, deviceUdf, hasButton: options.hasButton, pressedMs: undefined },
    ...{ usedNonces: new Set(), taken: undefined },
  };
  const kept = await home.exclusively(async () => {
    const existing = await loadHailing(home);
    if ((await findAccount(home)) !== undefined || (existing?.hailing ?? state.address) !== state.address) {
      throw new ClientError('usage', `${home.folder} holds a device already; use another folder`);
    }
    if (existing === undefined) await saveHailing(home, made);
    return existing ?? made;
  });
  const { key, identifier } = parseEarl(kept.earl);
  const described = { profileDevice: kept.profileDevice, hailing: state.address };
  await publish(device, identifier, sealDescription(described, { key }, random));
  return { earl: kept.earl, deviceUdf: kept.deviceUdf, identifier };
}

/** Asked before anything is made: its description would be readable nowhere, or no offer would ever reach it. */
async function requireServiceOfHailing({ session }: Device): Promise<void> {
  for (const word of ['publish', 'offer'] as const) {
    if (await session.offers(word)) continue;
    const message = `the service of ${session.domain} does not connect devices by their code (${word}); use an account elsewhere`;
    throw new ClientError('unavailable', message);
  }
}

/** How a device that hails stands. */
export type HailingProgress =
  | Progress
  /** Nothing is taken before its button is pressed. */
  | { readonly stage: 'button' };

/** What a poll came to. */
export interface Polled {
  readonly progress: HailingProgress;
  /** Why offers were passed over, one sentence each. */
  readonly ignored: readonly string[];
  /** It has become connected by this poll. */
  readonly isNew: boolean;
}

/** What is done for a device besides asking. */
export interface PollOptions {
  /** Its button was pressed just now. */
  readonly isPressed?: boolean | undefined;
  /** `https` address of the service that it is invited to; where absent the domain says it. */
  readonly url?: string | undefined;
  /** Certificates (PEM) to trust there; those that the device was made with where absent. */
  readonly ca?: string | undefined;
}

/**
 * Asks once for what there is for this device: an offer, then the answer to the request that it made on a good one. A device
 * that is connected looks for no offers until it is reset.
 *
 * An offer is found good by the key of the code, its age, and that it was not taken before; it is noted as taken before
 * anything follows from it (S56).
 *
 * @throws ClientError `usage` in a home that was not made so; `connect` for an answer that does not hold
 */
export async function pollHailing(
  folder: string,
  environment: ClientEnvironment,
  options: PollOptions = {},
): Promise<Polled> {
  const home = new Home(folder);
  return home.exclusively(async () => {
    const account = await findAccount(home);
    if (account !== undefined) {
      return { progress: { stage: 'connected', address: account.address }, ignored: [], isNew: false };
    }
    const state = await pressed(home, await requireHailing(home), environment, options);
    if ((await loadAsked(home)) !== undefined) return followUp(home, environment);
    if (state.hasButton && !isListening(state, environment)) {
      return { progress: { stage: 'button' }, ignored: [], isNew: false };
    }
    const { taken, ignored, retryAfterMs } = await offerFor(home, environment, state);
    if (taken === undefined) return { progress: { stage: 'waiting', retryAfterMs }, ignored, isNew: false };
    await askBy(home, environment, { ...state, taken }, options);
    return { ...(await followUp(home, environment)), ignored };
  });
}

async function requireHailing(home: Home): Promise<HailingState> {
  const state = await loadHailing(home);
  if (state !== undefined) return state;
  throw new ClientError('usage', `${home.folder} was not made to be connected by a code; see mesh device preconfigure`);
}

async function pressed(
  home: Home,
  state: HailingState,
  { nowMs }: ClientEnvironment,
  { isPressed = false }: PollOptions,
): Promise<HailingState> {
  if (!isPressed) return state;
  const noted = { ...state, pressedMs: nowMs() };
  await saveHailing(home, noted);
  return noted;
}

const isListening = ({ pressedMs }: HailingState, { nowMs }: ClientEnvironment): boolean =>
  pressedMs !== undefined && nowMs() - pressedMs >= 0 && nowMs() - pressedMs < offerButtonMs;

/** What became of the request; one that is over leaves the device as it was before. */
async function followUp(home: Home, environment: ClientEnvironment): Promise<Polled> {
  try {
    const progress = await completeIn(home, environment, await loadCa(home));
    return { progress, ignored: [], isNew: progress.stage === 'connected' };
  } catch (error) {
    const status = error instanceof ClientError ? error.refusal?.status : undefined;
    if (status === undefined || !overStatuses.has(status)) throw error;
    await forgetAsked(home);
    const ignored = [`the account that had made an offer has not taken this device: ${(error as Error).message}`];
    return { progress: { stage: 'waiting', retryAfterMs: completePollMsMin }, ignored, isNew: false };
  }
}

interface FoundOffer {
  readonly taken: TakenOffer | undefined;
  readonly ignored: readonly string[];
  readonly retryAfterMs: number;
}

const stillListed = 'the account where this device hails lists it as connected; have it invited again';

/** The offer that was found good before and is still to be followed, or the first good one that waits. */
async function offerFor(home: Home, environment: ClientEnvironment, state: HailingState): Promise<FoundOffer> {
  const { taken } = state;
  if (taken !== undefined && environment.nowMs() - taken.createdMs <= offerMs) {
    return { taken, ignored: [], retryAfterMs: completePollMsMin };
  }
  const { hailing, url, ca } = state;
  const connection = connectionFor(home, environment, { domain: domainOf(hailing), url, ca });
  const signer = { key: signingKeyFromSeed(state.seeds.authentication), profile: state.profileDevice };
  const ignored: string[] = [];
  let retryAfterMs = completePollMsMin;
  try {
    // Strangers may have left some that are none; each time another one is shown.
    for (let left = offersPerDeviceMax; left > 0; left -= 1) {
      const asked = { ServiceID: hailing, DeviceUDF: state.deviceUdf };
      const answer = await connection.call('Complete', asked, [signer]);
      // Hails at the very account that lists it, as of before a reset (S55).
      if (answer.status === 403) return { taken: undefined, ignored: [...ignored, stillListed], retryAfterMs };
      if (answer.status !== 300) requireSuccess('to say whether there is an offer', answer);
      retryAfterMs = answer.retryAfterMs ?? completePollMsMin;
      const { EnvelopedCatalogEntryDevice: octets } = answer.message;
      if (octets === undefined) break;
      const judged = await judge(state, octets, environment.nowMs());
      if (typeof judged !== 'string') {
        const usedNonces = new Set(state.usedNonces).add(judged.nonce);
        await saveHailing(home, { ...state, usedNonces, taken: judged.taken });
        return { taken: judged.taken, ignored, retryAfterMs };
      }
      if (ignored.includes(judged)) break;
      ignored.push(judged);
    }
    return { taken: undefined, ignored, retryAfterMs };
  } catch (error) {
    throw asClientError(error);
  } finally {
    await connection.close();
  }
}

/** The offer with the PIN that follows from it, or why it is none for this device. */
async function judge(
  { earl, deviceUdf, usedNonces }: HailingState,
  octets: EnvelopeOctets,
  nowMs: number,
): Promise<{ readonly nonce: string; readonly taken: TakenOffer } | string> {
  try {
    const { secret } = parseEarl(earl);
    const { parts, authenticator } = await readOffer(octets, deviceUdf);
    checkOffer({ secret, parts, authenticator, usedNonces, nowMs });
    const { account, meshFingerprint, createdMs, offerNonce } = parts;
    const pin = offerPin(secret, offerDigest(parts));
    return { nonce: octetsToText(offerNonce), taken: { account, meshFingerprint, createdMs, pin } };
  } catch (error) {
    if (error instanceof ClientError) return error.message;
    throw error;
  }
}

/** Asks the account that made the offer, by the PIN that follows from it (S54). A refusal ends it; a lost answer does not. */
async function askBy(
  home: Home,
  environment: ClientEnvironment,
  state: HailingState & { readonly taken: TakenOffer },
  { url, ca }: PollOptions,
): Promise<void> {
  const { taken, seeds, profileDevice, hailing } = state;
  const isHere = domainOf(taken.account) === domainOf(hailing);
  const place = { url: url ?? (isHere ? state.url : undefined), ca: ca ?? state.ca };
  const where = { address: taken.account, ...place, pin: taken.pin };
  const made = { seeds, profileDevice, meshFingerprint: taken.meshFingerprint };
  const forget = async () => {
    const now = await requireHailing(home);
    await saveHailing(home, { ...now, taken: undefined });
  };
  try {
    await requestIn(home, environment, where, made);
  } catch (error) {
    if (error instanceof ClientError && error.code !== 'unavailable') await forget();
    throw error;
  }
  await forget();
}

/**
 * Makes the device what it was when it left its maker: the account it was connected to is forgotten with all that was kept of
 * it. Its code stays what it is, and so does the memory of offers: none of before is taken again (S56).
 *
 * @throws ClientError `usage` in a home that was not made so
 */
export async function resetDevice(folder: string): Promise<{ readonly earl: string }> {
  const home = new Home(folder);
  return home.exclusively(async () => {
    const state = await requireHailing(home);
    await forgetAccount(home);
    await forgetAsked(home);
    await saveHailing(home, { ...state, taken: undefined, pressedMs: undefined });
    return { earl: state.earl };
  });
}
