import { hostname } from 'node:os';
import { verifyHost, verifyService } from '@meshd/binding/host-chain';
import type { VerifiedResponse } from '@meshd/binding/mesh-connection';
import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { udfEquals } from '@meshd/crypto/udf';
import { digestOf, type EnvelopeOctets, openEnvelope, readEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { connectNonceBytes } from '@meshd/schema/connection-check';
import { AcknowledgeConnection, ChallengeConnection } from '@meshd/schema/messages-mesh';
import { onlineKeysOf, verifyProfile } from '@meshd/schema/profile-check';
import type { ConnectResponse, StatusResponse } from '@meshd/schema/protocol';
import { type AccountState, findAccount, saveAccount, saveCa, saveIdentity } from '../account-state.js';
import { acceptEntry } from '../connect/acceptance.js';
import { type Acknowledged, type AskedState, forgetAsked, loadAsked, saveAsked } from '../connect/asked-file.js';
import { type MadeRequest, makeRequest, meshPartsOf } from '../connect/asking.js';
import { pinWitness, stretchPin } from '../connect/pin.js';
import {
  isTypedCode,
  pinnedDigest,
  revealNonceBytes,
  type ShortCodes,
  shortCodes,
  transcriptDigest,
} from '../connect/transcript.js';
import { saveDeviceKeys } from '../device-keys.js';
import type { ClientEnvironment, ServiceConnection } from '../environment.js';
import { ClientError } from '../errors.js';
import { Home } from '../home.js';
import { asClientError } from '../repeat.js';
import { homePins } from '../service-pin.js';
import { connectionFor, domainOf, requireSuccess } from '../session.js';
import { adoptStores } from '../store-floors.js';

/** Wrong codes after which a request is given up (S53). */
export const codeAttemptsMax = 3;
/** Pause before a device asks again, where the service names none. */
const pollMsDefault = 2000;

/** Which account a device wants to join. */
export interface ConnectOptions {
  /** Canonical address. */
  readonly address: string;
  readonly url?: string | undefined;
  readonly ca?: string | undefined;
  /** As the administrator's device gave it out; without it a code is typed at both ends. */
  readonly pin?: string | undefined;
  /** Shown to the administrator; the name of this machine where absent. */
  readonly description?: string | undefined;
}

/** A device that has asked. */
export interface AskedDevice {
  readonly address: string;
  readonly deviceUdf: string;
  /** The Mesh that answers for the account. Whether it is the right one, the code or the PIN will show. */
  readonly meshUdf: string;
  readonly mode: 'pin' | 'code';
}

/** What became of the request. */
export type Progress =
  | { readonly stage: 'waiting'; readonly retryAfterMs: number }
  /** `code` is to be typed at the administrator's device; its answer here. */
  | { readonly stage: 'code'; readonly code: string; readonly retryAfterMs: number }
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
  return home.exclusively(async () => {
    const existing = await findAccount(home);
    if (existing !== undefined) {
      throw new ClientError('usage', `${home.folder} holds ${existing.address} already; use another --home`);
    }
    const { address, url, ca, pin } = options;
    const stretched = pin === undefined ? undefined : await stretchPin(pin, address);
    const made = makeRequest({
      ...{ address, pin: stretched, seeds: (await loadAsked(home))?.made.seeds },
      ...{ description: options.description ?? hostname(), nowMs: environment.nowMs(), random: environment.random },
    });
    await saveCa(home, ca);
    const acknowledged = await withService(home, environment, { address, url, ca }, async (connection) => {
      const response = await connection.call('Connect', { MessageConnectionRequestClient: made.message }, [
        signerOf(made),
      ]);
      requireSuccess(`to connect this device to ${address}`, response);
      return acknowledgedBy(home, address, made, response.message);
    });
    const rest = { adminNonce: undefined, isConfirmed: false, wrongCount: 0, entry: undefined };
    await saveAsked(home, { address, url, pin, made, acknowledged, ...rest });
    const { offlineKey } = await verifyProfile(acknowledged.profileMesh, 'ProfileMesh');
    return { address, deviceUdf: made.deviceUdf, meshUdf: offlineKey.udf, mode: pin === undefined ? 'code' : 'pin' };
  });
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

const acknowledgeTags = defineTags('acknowledgement', { AcknowledgeConnection });
const challengeTags = defineTags('challenge', { ChallengeConnection });

/** Trusts nothing as sent (S51): the acknowledgement is the host's, and is for this very request. */
async function acknowledgedBy(
  home: Home,
  address: string,
  made: MadeRequest,
  answer: ConnectResponse,
): Promise<Acknowledged> {
  const { EnvelopedConnectionResponse: octets, EnvelopedProfileMaster: profileMesh } = answer;
  const { EnvelopedAccountAssertion: profileAccount } = answer;
  if (octets === undefined || profileMesh === undefined || profileAccount === undefined) {
    throw refused('the service did not say whom this device asks');
  }
  await requireHostsWord(home, address, octets);
  await meshPartsOf(profileMesh, profileAccount, address);
  const payload = octets.payload ?? new Uint8Array(0);
  const { value } = decodeTagged(acknowledgeTags, payload, { form: 'json', refuseRepeated: true });
  const own = digestOf(made.message.payload ?? new Uint8Array(0));
  const acknowledged = digestOf(value.EnvelopedRequestConnection?.payload ?? new Uint8Array(0));
  if (Buffer.compare(own, acknowledged) !== 0) throw refused('the service has acknowledged another request');
  const { MessageID: messageId, ServerNonce: serverNonce } = value;
  if (messageId === undefined || serverNonce?.length !== connectNonceBytes) throw refused('its nonce has another size');
  return { messageId, serverNonce, profileMesh, profileAccount };
}

async function requireHostsWord(home: Home, address: string, octets: EnvelopeOctets): Promise<void> {
  const domain = domainOf(address);
  const pin = await homePins(home).get(domain);
  const opened = openEnvelope(octets);
  const { Profile: profile, Connection: connection } = opened.signatures[0] ?? {};
  if (pin === undefined || profile === undefined || connection === undefined)
    throw refused('no host has signed for it');
  const host = await verifyHost(
    await verifyService(readEnvelope(pin.profileService)),
    profile,
    connection,
    domain,
    undefined,
  );
  await verifyEnvelope(opened, (kid) => (udfEquals(kid, host.key.udf) ? host.key : undefined));
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
  return home.exclusively(async () => {
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
      const retryAfterMs = answer.retryAfterMs ?? pollMsDefault;
      const challenged = await takeChallenge(home, asked, answer.message);
      if (challenged?.adminNonce === undefined) return { stage: 'waiting', retryAfterMs };
      // Sent again until an entry comes: the service files it once.
      await ask(connection, challenged, challenged.made.revealNonce);
      return { stage: 'code', code: (await codesOf(challenged)).code, retryAfterMs };
    });
  });
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

async function nonceOf(octets: EnvelopeOctets, { acknowledged }: AskedState): Promise<Uint8Array> {
  const { profile, offlineKey } = await verifyProfile(acknowledged.profileMesh, 'ProfileMesh');
  const keys = [...onlineKeysOf(profile), offlineKey];
  try {
    const { envelope } = await verifyEnvelope(openEnvelope(octets), (kid) =>
      keys.find(({ udf }) => udfEquals(udf, kid)),
    );
    const { value } = decodeTagged(challengeTags, envelope.payload, { form: 'json', refuseRepeated: true });
    const isOurs = value.References?.length === 1 && value.References[0]?.MessageID === acknowledged.messageId;
    if (isOurs && value.AdminNonce?.length === revealNonceBytes) return value.AdminNonce;
  } catch (cause) {
    throw new ClientError('connect', 'the challenge is not one of the Mesh that this device asked', { cause });
  }
  throw refused('the challenge is for another request');
}

/** Both halves, from what this device has verified itself. */
async function codesOf({ made, acknowledged, address, adminNonce }: AskedState): Promise<ShortCodes> {
  if (adminNonce === undefined) throw new ClientError('usage', 'the administrator has not opened the request yet');
  const mesh = await meshPartsOf(acknowledged.profileMesh, acknowledged.profileAccount, address);
  const transcript = transcriptDigest(made.request, made.commit, mesh, acknowledged.serverNonce);
  return shortCodes(transcript, made.revealNonce, adminNonce);
}

/**
 * Takes the administrator's half of the code, as it was typed here (S53). Without it a false Mesh could go on talking to
 * this device.
 *
 * @throws ClientError `connect` for a wrong one; after the third the request is given up
 */
export async function confirmConnection(folder: string, typed: string): Promise<Progress> {
  const home = new Home(folder);
  return home.exclusively(async () => {
    const asked = await requireAsked(home);
    const { confirm } = await codesOf(asked);
    if (!isTypedCode(typed, confirm)) {
      const wrongCount = asked.wrongCount + 1;
      if (wrongCount < codeAttemptsMax) await saveAsked(home, { ...asked, wrongCount });
      else await forgetAsked(home);
      const next = wrongCount < codeAttemptsMax ? 'look again' : 'the request is given up: begin anew';
      throw new ClientError('connect', `this is not what the administrator's device shows; ${next}`);
    }
    const confirmed = { ...asked, isConfirmed: true };
    await saveAsked(home, confirmed);
    if (confirmed.entry === undefined) return { stage: 'waiting', retryAfterMs: pollMsDefault };
    return finishOrHold(home, confirmed);
  });
}

async function finishOrHold(home: Home, asked: AskedState): Promise<Progress> {
  if (asked.pin === undefined && !asked.isConfirmed) {
    return { stage: 'code', code: (await codesOf(asked)).code, retryAfterMs: pollMsDefault };
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

async function witnessOf({ pin, made, acknowledged, address }: AskedState) {
  if (pin === undefined) return undefined;
  const stretched = await stretchPin(pin, address);
  const mesh = await meshPartsOf(acknowledged.profileMesh, acknowledged.profileAccount, address);
  const pinned = pinnedDigest(made.request, made.commit);
  return (connectionDeviceDigest: Uint8Array) => pinWitness(stretched, pinned, mesh, connectionDeviceDigest);
}

function refused(why: string): ClientError {
  return new ClientError('connect', `the connection is refused: ${why}`);
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
