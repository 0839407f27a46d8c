import { hostname } from 'node:os';
import { verifyService } from '@meshd/binding/host-chain';
import type { VerifiedResponse } from '@meshd/binding/mesh-connection';
import { constantTimeEqual } from '@meshd/crypto/digest';
import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { fingerprint64 } from '@meshd/crypto/key-udf';
import { udfEquals } from '@meshd/crypto/udf';
import { type EnvelopeOctets, readEnvelope } from '@meshd/dare/envelope';
import { codeAttemptsMax } from '@meshd/limits/client';
import { completePollMsMin } from '@meshd/limits/limits';
import { connectionWitness } from '@meshd/schema/connection-witness';
import type { StatusResponse } from '@meshd/schema/protocol';
import { type AccountState, findAccount, saveAccount, saveCa, saveIdentity } from '../account-state.js';
import { type Asked, acceptEntry, type BaseSeeds } from '../connect/acceptance.js';
import { type AskedState, forgetAsked, loadAsked, saveAsked } from '../connect/asked-file.js';
import { type Commitment, type MadeRequest, makeRequest, meshPartsOf } from '../connect/asking.js';
import { pinWitness, stretchPin } from '../connect/pin.js';
import { isTypedCode, pinnedDigest, type ShortCodes, shortCodes, transcriptDigest } from '../connect/transcript.js';
import { saveDeviceKeys } from '../device-keys.js';
import type { ClientEnvironment, ServiceConnection } from '../environment.js';
import { ClientError } from '../errors.js';
import { Home } from '../home.js';
import { asClientError } from '../repeat.js';
import { homePins } from '../service-pin.js';
import { connectionFor, domainOf, requireSuccess } from '../session.js';
import { adoptStores } from '../store-floors.js';
import { acknowledgedBy, nonceOf, refused } from './connection-answers.js';

/** Which account a device wants to join. */
export interface ConnectOptions {
  /** Canonical address. */
  readonly address: string;
  readonly url?: string | undefined;
  readonly ca?: string | undefined;
  /** As the administrator's device gave it out; without it a code is typed at both ends. */
  readonly pin?: string | undefined;
  /** Ask as old devices do, for an administration device that knows no codes: weaker, see `connectionWitness` (S53). */
  readonly isUncommitted?: boolean | undefined;
  /** Shown to the administrator; the name of this machine where absent. */
  readonly description?: string | undefined;
}

/** What a device was made with, where it was made before it asks (semantics 7.6). */
export interface MadeDevice {
  readonly seeds: BaseSeeds;
  readonly profileDevice: EnvelopeOctets;
  /** Fingerprint of the Mesh that must answer, 64 octets. */
  readonly meshFingerprint: Uint8Array;
}

/** What will show that the two ends mean each other; the witness is the weaker way. */
export type ConnectMode = 'pin' | 'code' | 'witness';

/** A device that has asked. */
export interface AskedDevice {
  readonly address: string;
  readonly deviceUdf: string;
  /** The Mesh that answers for the account. Whether it is the right one, the code or the PIN will show. */
  readonly meshUdf: string;
  readonly mode: ConnectMode;
}

/** What became of the request. */
export type Progress =
  | { readonly stage: 'waiting'; readonly retryAfterMs: number }
  /** `code` is to be typed at the administrator's device; its answer here. */
  | { readonly stage: 'code'; readonly code: string; readonly retryAfterMs: number }
  /** All of it is to be typed at both ends: compared by eye in part, it is worth nothing (S53). */
  | { readonly stage: 'witness'; readonly witness: string; readonly retryAfterMs: number }
  | { readonly stage: 'connected'; readonly address: string };

/**
 * Asks to be connected (semantics 7.2, S50): draws the device's keys, sends the request, and keeps both. A home that has
 * asked before asks anew, under the same base keys: the service forgets the earlier request.
 *
 * @throws ClientError `usage` in a home that has an account, `connect` for an answer that does not hold, `refused`
 */
export async function requestConnection(
  folder: string,
  environment: ClientEnvironment,
  options: ConnectOptions,
): Promise<AskedDevice> {
  const home = new Home(folder);
  return home.exclusively(() => requestIn(home, environment, options));
}

/** As {@link requestConnection}, in a home that is locked already. */
export async function requestIn(
  home: Home,
  environment: ClientEnvironment,
  options: ConnectOptions,
  device?: MadeDevice,
): Promise<AskedDevice> {
  const existing = await findAccount(home);
  if (existing !== undefined) {
    throw new ClientError('usage', `${home.folder} holds ${existing.address} already; use another --home`);
  }
  const { address, url, ca, pin, isUncommitted = false } = options;
  if (isUncommitted && pin !== undefined)
    throw new ClientError('usage', 'a PIN needs no witness; leave one of them out');
  const stretched = pin === undefined ? undefined : await stretchPin(pin, address);
  const made = makeRequest({
    ...{ address, pin: stretched, isUncommitted, profileDevice: device?.profileDevice },
    seeds: device?.seeds ?? (await loadAsked(home))?.made.seeds,
    ...{ description: options.description ?? hostname(), nowMs: environment.nowMs(), random: environment.random },
  });
  await saveCa(home, ca);
  const { acknowledged, mesh } = await withService(home, environment, { address, url, ca }, async (connection) => {
    const response = await connection.call('Connect', { MessageConnectionRequestClient: made.message }, [
      signerOf(made),
    ]);
    requireSuccess(`to connect this device to ${address}`, response);
    return acknowledgedBy(home, address, made, response.message);
  });
  requireMesh(mesh.meshFingerprint, device?.meshFingerprint);
  const rest = { adminNonce: undefined, isConfirmed: false, wrongCount: 0, entry: undefined };
  const asked = { address, url, pin, made, acknowledged, ...rest };
  await saveAsked(home, asked);
  return { address, deviceUdf: made.deviceUdf, meshUdf: mesh.meshUdf, mode: modeOf(asked) };
}

function requireMesh(answering: Uint8Array, wanted: Uint8Array | undefined): void {
  if (wanted === undefined || constantTimeEqual(answering, wanted)) return;
  throw refused('another Mesh answers than the one that made the offer');
}

function modeOf({ pin, made }: Pick<AskedState, 'pin' | 'made'>): ConnectMode {
  if (pin !== undefined) return 'pin';
  return made.commitment === undefined ? 'witness' : 'code';
}

/** Whom to ask. */
interface AskedService {
  readonly address: string;
  readonly url?: string | undefined;
  readonly ca?: string | undefined;
}

async function withService<T>(
  home: Home,
  environment: ClientEnvironment,
  { address, url, ca }: AskedService,
  work: (connection: ServiceConnection) => Promise<T>,
): Promise<T> {
  const connection = connectionFor(home, environment, { domain: domainOf(address), url, ca });
  try {
    return await work(connection);
  } catch (error) {
    throw asClientError(error);
  } finally {
    await connection.close();
  }
}

function signerOf({ seeds, profileDevice }: MadeRequest) {
  return { key: signingKeyFromSeed(seeds.authentication), profile: profileDevice };
}

/** The request of a home. @throws ClientError `usage` where there is none */
async function requireAsked(home: Home): Promise<AskedState> {
  const asked = await loadAsked(home);
  if (asked === undefined) {
    throw new ClientError(
      'usage',
      `${home.folder} has not asked to be connected; begin with: mesh device request ACCOUNT`,
    );
  }
  return asked;
}

/**
 * Asks what became of the request, once (semantics 7.3). In code mode the first challenge is answered, and the code shown
 * that follows from it; an entry that comes before the administrator's half was typed is held, and nothing of it used (S53).
 *
 * @throws ClientError `connect`, `refused`
 */
export async function completeConnection(
  folder: string,
  environment: ClientEnvironment,
  ca: string | undefined,
): Promise<Progress> {
  const home = new Home(folder);
  return home.exclusively(() => completeIn(home, environment, ca));
}

/** As {@link completeConnection}, in a home that is locked already. */
export async function completeIn(
  home: Home,
  environment: ClientEnvironment,
  ca: string | undefined,
): Promise<Progress> {
  const asked = await requireAsked(home);
  if (asked.entry !== undefined) return finishOrHold(home, asked);
  const service = { address: asked.address, url: asked.url, ca };
  return withService(home, environment, service, async (connection) => {
    const answer = await ask(connection, asked);
    if (answer.message.EnvelopedCatalogEntryDevice !== undefined) {
      const entry = answer.message.EnvelopedCatalogEntryDevice.payload ?? new Uint8Array(0);
      const held = { ...asked, entry };
      await saveAsked(home, held);
      return finishOrHold(home, held);
    }
    const retryAfterMs = answer.retryAfterMs ?? completePollMsMin;
    if (modeOf(asked) === 'witness') {
      if (asked.isConfirmed) return { stage: 'waiting', retryAfterMs };
      return { stage: 'witness', witness: await witnessTextOf(asked), retryAfterMs };
    }
    const challenged = await takeChallenge(home, asked, answer.message);
    if (challenged?.adminNonce === undefined) return { stage: 'waiting', retryAfterMs };
    // Sent again until an entry comes: the service files it once.
    await ask(connection, challenged, commitmentOf(challenged).revealNonce);
    return { stage: 'code', code: (await codesOf(challenged)).code, retryAfterMs };
  });
}

function commitmentOf({ made }: AskedState): Commitment {
  if (made.commitment === undefined) throw new ClientError('usage', 'this device has asked without a code');
  return made.commitment;
}

/** What both ends compute, each from what it has verified (semantics 7.1, S51). */
async function witnessTextOf({ made, acknowledged, address }: AskedState): Promise<string> {
  const { meshFingerprint } = await meshPartsOf(acknowledged.profileMesh, acknowledged.profileAccount, address);
  const deviceFingerprint = fingerprint64('Ed448', signingKeyFromSeed(made.seeds.offline).publicKey.raw);
  const { serverNonce } = acknowledged;
  return connectionWitness({ meshFingerprint, serverNonce, deviceFingerprint, clientNonce: made.clientNonce });
}

async function ask(
  connection: ServiceConnection,
  { address, made }: AskedState,
  reveal?: Uint8Array,
): Promise<VerifiedResponse<'Complete'>> {
  const message = {
    ServiceID: address,
    DeviceUDF: made.deviceUdf,
    ...(reveal === undefined ? {} : { ClientReveal: reveal }),
  };
  const response = await connection.call('Complete', message, [signerOf(made)]);
  if (response.status !== 300) requireSuccess('the connection of this device', response);
  return response;
}

/**
 * The state with the administrator's challenge, kept before it is answered.
 *
 * @throws ClientError `connect` for a challenge that the Mesh did not sign, or a second one: somebody would have this device
 *   answer until the codes of two requests agree. The request is given up.
 */
async function takeChallenge(home: Home, asked: AskedState, answer: StatusResponse): Promise<AskedState | undefined> {
  const { EnvelopedChallenge: octets } = answer;
  if (asked.pin !== undefined) return undefined;
  if (octets === undefined) return asked;
  const adminNonce = await nonceOf(octets, asked);
  if (asked.adminNonce === undefined) {
    const challenged = { ...asked, adminNonce };
    await saveAsked(home, challenged);
    return challenged;
  }
  if (Buffer.compare(asked.adminNonce, adminNonce) === 0) return asked;
  await forgetAsked(home);
  throw refused('it was challenged twice; somebody may stand between: begin anew, best with a PIN');
}

/** Both halves, from what this device has verified itself. */
async function codesOf(asked: AskedState): Promise<ShortCodes> {
  const { acknowledged, address, adminNonce } = asked;
  const { request, commit, revealNonce } = commitmentOf(asked);
  if (adminNonce === undefined) throw new ClientError('usage', 'the administrator has not opened the request yet');
  const mesh = await meshPartsOf(acknowledged.profileMesh, acknowledged.profileAccount, address);
  return shortCodes(transcriptDigest(request, commit, mesh, acknowledged.serverNonce), revealNonce, adminNonce);
}

/**
 * Takes the administrator's half of the code, as it was typed here (S53), or all of the witness as the administration device
 * shows it. Without it a false Mesh could go on talking to this device.
 *
 * @throws ClientError `connect` for a wrong one; after the third the request is given up
 */
export async function confirmConnection(folder: string, typed: string): Promise<Progress> {
  const home = new Home(folder);
  return home.exclusively(async () => {
    const asked = await requireAsked(home);
    const expected = modeOf(asked) === 'witness' ? await witnessTextOf(asked) : (await codesOf(asked)).confirm;
    if (!isTypedCode(typed, expected)) {
      const wrongCount = asked.wrongCount + 1;
      if (wrongCount < codeAttemptsMax) await saveAsked(home, { ...asked, wrongCount });
      else await forgetAsked(home);
      const next = wrongCount < codeAttemptsMax ? 'look again' : 'the request is given up: begin anew';
      throw new ClientError('connect', `this is not what the administrator's device shows; ${next}`);
    }
    const confirmed = { ...asked, isConfirmed: true };
    await saveAsked(home, confirmed);
    if (confirmed.entry === undefined) return { stage: 'waiting', retryAfterMs: completePollMsMin };
    return finishOrHold(home, confirmed);
  });
}

async function finishOrHold(home: Home, asked: AskedState): Promise<Progress> {
  const mode = modeOf(asked);
  if (mode === 'witness' && !asked.isConfirmed) {
    return { stage: 'witness', witness: await witnessTextOf(asked), retryAfterMs: completePollMsMin };
  }
  if (mode === 'code' && !asked.isConfirmed) {
    return { stage: 'code', code: (await codesOf(asked)).code, retryAfterMs: completePollMsMin };
  }
  const { address, url, made, acknowledged, entry = new Uint8Array(0) } = asked;
  const { profileMesh, profileAccount } = acknowledged;
  const accepted = await acceptEntry(entry, {
    ...{ address, seeds: made.seeds, profileDevice: made.profileDevice, profileMesh, profileAccount },
    pinWitness: await witnessOf(asked),
  });
  await requireNamedService(home, address, accepted.serviceUdf);
  const { identity, keys, stores } = accepted;
  await adoptStores(home, stores);
  await saveDeviceKeys(home, keys);
  await saveIdentity(home, identity);
  const { meshUdf, deviceUdf, accountUdf } = identity;
  const state: AccountState = { version: 1, address, url, stage: 'ready', meshUdf, deviceUdf, accountUdf };
  await saveAccount(home, state);
  // With it goes the key that the activations were encrypted to (S52).
  await forgetAsked(home);
  return { stage: 'connected', address };
}

/** What the PIN is to prove, once Mesh and account of the entry were verified (S54). */
async function witnessOf(asked: AskedState): Promise<Asked['pinWitness']> {
  const { pin, address } = asked;
  if (pin === undefined) return undefined;
  const { request, commit } = commitmentOf(asked);
  const stretched = await stretchPin(pin, address);
  const pinned = pinnedDigest(request, commit);
  return (connectionDeviceDigest, mesh) => pinWitness(stretched, pinned, mesh, connectionDeviceDigest);
}

/** The administrator says which service it is: trust on first use ends here (S26). */
async function requireNamedService(home: Home, address: string, serviceUdf: string | undefined): Promise<void> {
  const pin = await homePins(home).get(domainOf(address));
  if (serviceUdf === undefined || pin === undefined) return;
  const { udf } = await verifyService(readEnvelope(pin.profileService));
  if (udfEquals(udf, serviceUdf)) return;
  throw new ClientError(
    'pin',
    `the service is not the one that the administrator of ${address} knows; nothing was used`,
  );
}
