import { fingerprint64 } from '@meshd/crypto/key-udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { codeAttemptsMax, deviceConflictsMax } from '@meshd/limits/client';
import { connectionWitness } from '@meshd/schema/connection-witness';
import type { Permission } from '@meshd/schema/connections';
import { deviceCatalog, itemContentType } from '@meshd/schema/container-name';
import { ChallengeConnection, type Reference } from '@meshd/schema/messages-mesh';
import { administrationMembers, epochMembers } from '../account-keys.js';
import { meshPartsOf } from '../connect/asking.js';
import { grantDevice } from '../connect/grant.js';
import { loadOpened, type OpenedRequest, saveOpened } from '../connect/opened-file.js';
import {
  clientCommit,
  isTypedCode,
  requestDigest,
  revealNonceBytes,
  shortCodes,
  transcriptDigest,
} from '../connect/transcript.js';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { buildSelfMessage, freshMessageId, markMessage } from '../self-message.js';
import { addressesOf } from '../service-addresses.js';
import { requireSuccess } from '../session.js';
import { openingDrafts, seal } from '../writer.js';
import { nameAdministrator, requireAllStores } from './administrators.js';
import { deviceRequests, type PendingDevice } from './pending-devices.js';
import { sendBatch } from './send-batch.js';
import { verifiedStores } from './stores.js';
import { syncAccount } from './sync.js';

/** Says something to the account's devices, as an administrator (S25). @throws ClientError `refused` */
export async function tellSelf(
  device: Device,
  messages: readonly Parameters<typeof buildSelfMessage>[0][],
): Promise<void> {
  await fileSelf(
    device,
    messages.map((message) => signedByAdministrator(device, message)),
  );
}

function signedByAdministrator({ session }: Device, message: Parameters<typeof buildSelfMessage>[0]): EnvelopeOctets {
  const { identity, keys, environment } = session;
  return buildSelfMessage(message, identity.accountUdf, keys.key('meshOnline'), environment);
}

async function fileSelf({ session }: Device, self: EnvelopeOctets[]): Promise<void> {
  requireSuccess('the message', await session.call('Upload', { Self: self }));
}

/** One request by its identifier, or by the beginning of it or of the device's name. @throws ClientError `usage` */
export async function pendingDevice(device: Device, name: string): Promise<PendingDevice> {
  const { pending } = await deviceRequests(device);
  const wanted = name.toUpperCase();
  const found = pending.filter(({ id, deviceUdf, stage }) => {
    return stage !== 'accepted' && stage !== 'rejected' && (id.startsWith(wanted) || deviceUdf.startsWith(wanted));
  });
  if (found.length === 1) return found[0] as PendingDevice;
  const why = found.length === 0 ? `no request ${name} is pending` : `${name} means ${found.length} requests`;
  throw new ClientError('usage', `${why}; see mesh device pending`);
}

/**
 * Opens a request (S53): challenges the device, which then shows its code. Doing it again changes nothing; where the challenge
 * did not get through, or may not have, the very same one is posted again.
 *
 * What was opened is remembered with the challenge: from then on the service knows both nonces, and would have all the time
 * it wants to look for another request, under the same name, that has the code of the device.
 *
 * @throws ClientError `unavailable`; `refused` where another administration device has opened it, `connect` for a device too
 *   old for a code
 */
export async function openRequest(device: Device, pending: PendingDevice): Promise<void> {
  const { id } = pending;
  const known = (await loadOpened(device.session.home)).requests.get(id);
  const opened = known ?? (await challengeOnce(device, pending));
  if (opened.unposted === undefined) return;
  await fileSelf(device, [opened.unposted]);
  await keepOpened(device, id, { ...opened, unposted: undefined });
}

/** Draws the nonce of a request and signs the challenge, kept before anybody sees it: a forgotten one could not be answered. */
async function challengeOnce(device: Device, pending: PendingDevice): Promise<OpenedRequest> {
  const { environment } = device.session;
  const adminNonce = environment.random(revealNonceBytes);
  const { transcript } = await transcriptOf(device, pending);
  const uniqueId = freshMessageId(environment);
  const body = { MessageID: uniqueId, References: [{ MessageID: pending.id }], AdminNonce: adminNonce };
  const unposted = signedByAdministrator(device, { table: ChallengeConnection, body, uniqueId });
  const opened = { adminNonce, transcript, wrongCount: 0, unposted };
  await keepOpened(device, pending.id, opened);
  return opened;
}

/** What a device may do once it is connected. */
export interface AcceptOptions {
  /** Empty: every store, and no administration. */
  readonly permissions?: readonly Permission[] | undefined;
  /** The device is to administer the account; takes the master seed. */
  readonly administrator?: boolean | undefined;
}

/** A device that was connected. */
export interface AcceptedDevice {
  readonly deviceUdf: string;
  /** To be typed at the device (S53); undefined where a PIN has proven everything. */
  readonly confirm: string | undefined;
}

/**
 * Accepts a device whose code was typed here (S53), and gives the half that is to be typed there.
 *
 * @throws ClientError `connect` for a wrong code, after the third of which the request is rejected, and at once for a secret
 *   that the device has not committed to, or a request that is not the one which was opened; `usage` where the device has
 *   not shown its code yet
 */
export async function acceptByCode(
  device: Device,
  pending: PendingDevice,
  typed: string,
  options: AcceptOptions = {},
): Promise<AcceptedDevice> {
  const known = await openedRequest(device, pending);
  const { revealNonce } = pending;
  if (known === undefined || revealNonce === undefined) {
    throw new ClientError('usage', 'the device has not shown its code yet; run this command again when it has');
  }
  const { transcript, commit, request } = await transcriptOf(device, pending);
  if (Buffer.compare(transcript, known.transcript) !== 0) {
    throw await givenUp(device, pending, known, 'this is another request than the one that was opened');
  }
  if (Buffer.compare(clientCommit(request, revealNonce), commit) !== 0) {
    throw await givenUp(device, pending, known, 'the device has shown another secret than it promised');
  }
  const { code, confirm } = shortCodes(transcript, revealNonce, known.adminNonce);
  if (!isTypedCode(typed, code)) {
    const next = await countWrong(device, pending, known);
    throw new ClientError('connect', `this is not the code of that device; ${next}`);
  }
  const deviceUdf = await connect(device, pending, { ...options, references: [accepted(pending.id)] });
  return { deviceUdf, confirm };
}

/**
 * Accepts a device that is too old for a code, by the witness that it shows, typed here in full (S53, semantics 7.1). Weaker than
 * a code or a PIN: who stands between can search for two requests whose witnesses look alike, and the device's base key, which
 * its maker may know, opens what it is sent. The user is to be told so.
 *
 * @throws ClientError `connect` for a wrong one, after the third of which the request is rejected; `usage` for a device that
 *   can do better
 */
export async function acceptByWitness(
  device: Device,
  pending: PendingDevice,
  typed: string,
  options: AcceptOptions = {},
): Promise<AcceptedDevice> {
  const witness = await witnessOf(device, pending);
  const known = (await openedRequest(device, pending)) ?? unchallenged;
  if (!isTypedCode(typed, witness)) {
    const next = await countWrong(device, pending, known);
    throw new ClientError('connect', `this is not what that device should show, all seven groups of it; ${next}`);
  }
  const deviceUdf = await connect(device, pending, { ...options, references: [accepted(pending.id)] });
  return { deviceUdf, confirm: witness };
}

/** What a device shows that is too old for a code, as this one computes it. @throws ClientError `usage` */
async function witnessOf({ session }: Device, { request, serverNonce }: PendingDevice): Promise<string> {
  if (request.commitment !== undefined) throw new ClientError('usage', 'this device can be connected by a code');
  const { identity, state } = session;
  const { meshFingerprint } = await meshPartsOf(identity.profileMesh, identity.profileAccount, state.address);
  const deviceFingerprint = fingerprint64('Ed448', request.profile.offlineKey.raw);
  return connectionWitness({ meshFingerprint, serverNonce, deviceFingerprint, clientNonce: request.clientNonce });
}

/** Of an old device nothing was challenged. */
const unchallenged: OpenedRequest = {
  ...{ adminNonce: new Uint8Array(0), transcript: new Uint8Array(0), wrongCount: 0 },
};

async function keepOpened({ session: { home } }: Device, id: string, request: OpenedRequest): Promise<void> {
  const opened = await loadOpened(home);
  await saveOpened(home, { ...opened, requests: new Map(opened.requests).set(id, request) });
}

/** What this device remembers of a request. @throws ClientError `connect` for one that is over, whatever the service shows */
async function openedRequest({ session }: Device, { id }: PendingDevice): Promise<OpenedRequest | undefined> {
  const known = (await loadOpened(session.home)).requests.get(id);
  if (known === undefined || known.wrongCount < codeAttemptsMax) return known;
  throw new ClientError('connect', 'the request is over; have the device ask anew');
}

/** Notes that a code was typed wrong. @returns what the user should do next */
async function countWrong(device: Device, pending: PendingDevice, known: OpenedRequest): Promise<string> {
  const wrongCount = known.wrongCount + 1;
  await keepOpened(device, pending.id, { ...known, wrongCount });
  if (wrongCount < codeAttemptsMax) return 'look again';
  await rejectRequest(device, pending);
  return 'the request is rejected; have the device ask anew';
}

/** Ends a request for good: nothing typed later makes it right. */
async function givenUp(device: Device, pending: PendingDevice, known: OpenedRequest, why: string) {
  await keepOpened(device, pending.id, { ...known, wrongCount: codeAttemptsMax });
  await rejectRequest(device, pending);
  return new ClientError('connect', `${why}: somebody stands between; the request is rejected`);
}

/** Says of a message that it was accepted. */
export const accepted = (id: string): Reference => ({ MessageID: id, Relationship: 'Accept' });

/** What both ends of a request compute from it (S50). @throws ClientError `connect` for a device too old for it */
export async function transcriptOf({ session }: Device, { request: verified, serverNonce }: PendingDevice) {
  const { identity, state } = session;
  const { profile, clientNonce, commitment, account } = verified;
  if (commitment === undefined) {
    throw new ClientError('connect', 'the device is too old for a code; accept it by its witness');
  }
  const request = requestDigest({
    ...{ account, clientNonce, profileDeviceDigest: profile.payloadDigest, clientKey: commitment.clientKey.raw },
    deviceFingerprint: fingerprint64('Ed448', profile.offlineKey.raw),
  });
  const mesh = await meshPartsOf(identity.profileMesh, identity.profileAccount, state.address);
  const commit = commitment.clientCommit;
  return { request, commit, mesh, transcript: transcriptDigest(request, commit, mesh, serverNonce) };
}

/** Says no. @throws ClientError `refused` */
export async function rejectRequest(device: Device, { id }: Pick<PendingDevice, 'id'>): Promise<void> {
  await tellSelf(device, [
    markMessage(freshMessageId(device.session.environment), [{ MessageID: id, Relationship: 'Reject' }]),
  ]);
}

interface ConnectOptions extends AcceptOptions {
  /** Said in the same transaction: the request is accepted, the PIN used. */
  readonly references: readonly Reference[];
  readonly pinWitness?: ((connectionDeviceDigest: Uint8Array) => Uint8Array) | undefined;
}

/** The device's entry and what it decides, in one Upload (semantics 7.2). */
export async function connect(
  device: Device,
  pending: Pick<PendingDevice, 'request'>,
  options: ConnectOptions,
): Promise<string> {
  const { session } = device;
  await requireNoEvidence(session.home);
  if (options.administrator === true) {
    session.keys.key('meshOffline');
    requireAllStores(options.permissions?.length ?? 0);
  }
  // All stores: the new device is told of each what this one has verified (S47).
  await syncAccount(device);
  const { environment, keys, identity, state } = session;
  const administrator = {
    ...{ identity, address: state.address, addresses: await addressesOf(identity.profileAccount) },
    meshOnline: keys.key('meshOnline'),
    accountOnline: keys.key('accountOnline'),
  };
  const granted = {
    permissions: options.permissions ?? [],
    epochs: epochMembers(session.keys.epochs),
    keyBlind: keys.keyBlind,
    administration: options.administrator === true ? administrationMembers(keys) : undefined,
    stores: await verifiedStores(device),
    serviceUdf: (await session.serviceProfile()).udf,
  };
  const { nowMs, random } = environment;
  const made = { nowMs: nowMs(), random, pinWitness: options.pinWitness };
  const { deviceUdf, body, meshKey } = grantDevice(pending.request, administrator, granted, made);
  const mark = markMessage(freshMessageId(environment), options.references);
  const self = [buildSelfMessage(mark, identity.accountUdf, administrator.meshOnline, environment)];
  for (let attempt = 0; attempt < deviceConflictsMax; attempt += 1) {
    const replica = await device.replica(deviceCatalog);
    const { reader } = replica;
    const known = reader.replay?.items.get(deviceUdf);
    const created = new Date(nowMs());
    const contentMeta = {
      ...{ UniqueID: deviceUdf, cty: itemContentType },
      ...(known === undefined
        ? { Event: 'New', Created: created }
        : { Event: 'Update', Modified: created, First: known.first, Previous: known.current }),
    };
    const drafts = [...openingDrafts(reader, environment), { contentMeta, payload: body }];
    const { envelopes } = seal(session, reader, drafts, administrator.meshOnline);
    if (await sendBatch(device, replica, envelopes, undefined, self)) {
      if (options.administrator === true) await nameAdministrator(device, meshKey);
      return deviceUdf;
    }
    await syncAccount(device, [deviceCatalog]);
  }
  throw new ClientError('conflict', 'others keep changing the device catalog; try again');
}
