import { hostname } from 'node:os';
import { sha512 } from '@meshd/crypto/digest';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { deviceCatalog, itemContentType } from '@meshd/schema/container-name';
import { sealAccountKeys } from '../account-keys.js';
import {
  type AccountState,
  findAccount,
  forgetAccount,
  loadIdentity,
  saveAccount,
  saveCa,
  saveIdentity,
} from '../account-state.js';
import { Device } from '../device.js';
import { loadDeviceKeys, makeDeviceKeys, saveDeviceKeys } from '../device-keys.js';
import type { ClientEnvironment } from '../environment.js';
import { ClientError } from '../errors.js';
import { Home } from '../home.js';
import { deviceEntry, makeIdentity } from '../identity.js';
import { requireSuccess, Session } from '../session.js';
import { openingDrafts, seal } from '../writer.js';
import { escrowKeysOf } from './rotate.js';
import { sendBatch } from './send-batch.js';
import { syncAccount } from './sync.js';

/** Where an account is to be made. */
export interface CreateOptions {
  /** Canonical address. */
  readonly address: string;
  /** `https` address of the service; absent where its domain says where it is. */
  readonly url?: string | undefined;
  /** Certificates (PEM) to trust instead of the usual ones. */
  readonly ca?: string | undefined;
}

/** A finished account. */
export interface CreatedAccount {
  readonly state: AccountState;
  /** SHA-2-512 of the profile as the service keeps it. */
  readonly profileMeshDigest: Uint8Array;
}

/**
 * Makes an account with this device as its first: keys and profiles, CreateAccount, then the Upload that opens the
 * device catalog. Interrupted at any point it may be called again with the same address: it goes on with the same keys.
 * @throws ClientError `usage` if the home has another account, `refused`, `unavailable`
 */
export async function createAccount(
  folder: string,
  environment: ClientEnvironment,
  options: CreateOptions,
): Promise<CreatedAccount> {
  const home = new Home(folder);
  return home.exclusively(async () => {
    const state = await prepare(home, environment, options);
    const device = new Device(await Session.open(home, environment, state));
    try {
      if (state.stage === 'creating') await bind(device);
      await openDeviceCatalog(device);
      const ready: AccountState = { ...state, stage: 'ready' };
      await saveAccount(home, ready);
      const profile = device.session.identity.profileMesh.payload ?? new Uint8Array(0);
      return { state: ready, profileMeshDigest: sha512(profile) };
    } finally {
      await device.close();
    }
  });
}

/** Keys and profiles on disk before anything is sent: the service may know of them from then on. */
async function prepare(home: Home, environment: ClientEnvironment, options: CreateOptions): Promise<AccountState> {
  const existing = await findAccount(home);
  if (existing !== undefined) {
    const isUnfinished = existing.stage === 'creating' || existing.stage === 'bound';
    if (isUnfinished && existing.address === options.address) return resume(home, existing, options);
    const advice = isUnfinished ? `finish it first: mesh account create ${existing.address}` : 'use another --home';
    throw new ClientError('usage', `${home.folder} holds ${existing.address} already; ${advice}`);
  }
  const keys = makeDeviceKeys(environment.random);
  const identity = makeIdentity(keys, options.address, environment.nowMs(), hostname());
  await saveDeviceKeys(home, keys);
  await saveIdentity(home, identity);
  await saveCa(home, options.ca);
  const { meshUdf, deviceUdf, accountUdf } = identity;
  const { address, url } = options;
  const state: AccountState = { version: 1, address, url, stage: 'creating', meshUdf, deviceUdf, accountUdf };
  await saveAccount(home, state);
  return state;
}

async function resume(home: Home, existing: AccountState, options: CreateOptions): Promise<AccountState> {
  const keys = await loadDeviceKeys(home);
  const identity = await loadIdentity(home, existing);
  if (keys.key('accountOffline').publicKey.udf !== identity.accountUdf) {
    throw new ClientError('state', `the keys in ${home.folder} are not those of ${existing.address}`);
  }
  await saveCa(home, options.ca);
  const state: AccountState = { ...existing, url: options.url };
  await saveAccount(home, state);
  return state;
}

async function bind(device: Device): Promise<void> {
  const { session } = device;
  const { state, identity, home } = session;
  const message = {
    ServiceID: state.address,
    SignedProfileMesh: identity.profileMesh,
    SignedAssertionAccount: identity.profileAccount,
  };
  const response = await session.send('CreateAccount', message, [session.meshSigner]);
  if (!response.succeeded) {
    // A refusal is final and authenticated: these keys were never bound to anything.
    if (response.status >= 400 && response.status < 500) await forgetAccount(home);
    requireSuccess(`to create ${state.address}`, { ...response, description: reasonOf(response) });
  }
  await saveAccount(home, { ...state, stage: 'bound' });
}

function reasonOf(response: {
  readonly description: string | undefined;
  readonly message: { readonly Reason?: string | undefined; readonly URL?: string | undefined };
}): string | undefined {
  const { Reason: reason, URL: url } = response.message;
  const text = reason ?? response.description;
  return url === undefined ? text : `${text}; continue at ${url}`;
}

/** The device's own entry under a manifest by the Mesh key, in one Upload with frame 0 (semantics 4, bootstrap). */
async function openDeviceCatalog(device: Device): Promise<void> {
  const { session } = device;
  // Also after an interrupted run: the entry may be there already.
  await syncAccount(device, [deviceCatalog]);
  const replica = await device.replica(deviceCatalog);
  const { deviceUdf } = session.identity;
  if (replica.reader.replay?.items.has(deviceUdf)) return;
  if (replica.reader.size > 0) {
    throw new ClientError('state', 'the account has a device catalog without this device; it cannot add itself');
  }
  const { environment, keys, identity } = session;
  const contentMeta = {
    UniqueID: deviceUdf,
    cty: itemContentType,
    Event: 'New',
    Created: new Date(environment.nowMs()),
  };
  const payload = deviceEntry(keys, identity, await ownAccountKeys(device));
  const drafts = [...openingDrafts(replica.reader, environment), { contentMeta, payload }];
  const batch = seal(session, replica.reader, drafts, keys.key('meshOnline'));
  if (await sendBatch(device, replica, batch.envelopes)) return;
  throw new ClientError('conflict', 'the device catalog was made by somebody else at the same moment; try again');
}

/** The account's keys for this device and for the escrow: whoever has the master seed can read what was ever written. */
async function ownAccountKeys(device: Device): Promise<EnvelopeOctets> {
  const { keys, identity, environment } = device.session;
  return sealAccountKeys({
    ...{ accountUdf: identity.accountUdf, epochs: keys.epochs, keyBlind: keys.keyBlind },
    readers: [keys.key('connectionEncryption').publicKey, ...(await escrowKeysOf(device))],
    ...{ signer: keys.key('accountOnline'), random: environment.random },
  });
}
