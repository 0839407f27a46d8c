import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { ClientError } from './errors.js';
import { Home } from './home.js';
import type { Identity } from './identity.js';

/**
 * How far the account has come:
 * - `creating`: keys and profiles are made; whether the service knows of them is not certain
 * - `bound`: the service keeps the account; its device catalog may not be there yet
 * - `recovering`: keys follow from a master seed that was recovered; the device is not listed yet
 * - `ready`: the device stands in the device catalog
 */
export type AccountStage = 'creating' | 'bound' | 'recovering' | 'ready';

/** What a home knows of its account, secrets and replicas apart. */
export interface AccountState {
  readonly version: 1;
  /** Canonical address. */
  readonly address: string;
  /** `https` address of the service; absent where its domain says where it is. */
  readonly url?: string | undefined;
  readonly stage: AccountStage;
  readonly meshUdf: string;
  readonly deviceUdf: string;
  readonly accountUdf: string;
  /** Addresses at which the account was before, the last one first: what was signed there is still read. */
  readonly former?: readonly string[] | undefined;
}

const stateFile = 'account.json';
/** Of a device that has asked to be connected, and of one that is connected by its code; what they hold, `connect` knows. */
export const askedFile = 'connecting.json';
export const hailingFile = 'hailing.json';
const caFile = 'ca.pem';

/** All that is of the account; evidence against a service is kept whatever becomes of it. */
const accountFiles = [
  ...[stateFile, 'keys.json', 'profiles', 'containers', 'pending', 'outgoing', 'tickets', 'heads.dare', 'large'],
  ...['floors.json', 'opened', 'opened-requests.json', 'binding.json', 'move.json', 'places.json'],
  caFile,
] as const;

const envelopeFiles = {
  profileMesh: 'profile-mesh.dare',
  profileDevice: 'profile-device.dare',
  profileAccount: 'profile-account.dare',
  connectionDevice: 'connection-device.dare',
  connectionAccount: 'connection-account.dare',
} as const;

/** The account of this home, or undefined before one is created. */
export async function findAccount(home: Home): Promise<AccountState | undefined> {
  const state = await home.readJson<AccountState>(stateFile);
  if (state !== undefined && state.version !== 1) {
    throw new ClientError('state', `${home.path(stateFile)} is of another version; update this program`);
  }
  return state;
}

/** What a home without an account waits for, and what to do. */
async function withoutAccount(home: Home): Promise<string> {
  if (await home.has(hailingFile)) {
    return `no account in ${home.folder} yet: it is connected by its code; go on with: mesh device poll --wait`;
  }
  if (await home.has(askedFile)) {
    return `no account in ${home.folder} yet: it has asked to be connected to one; go on with: mesh device complete --wait`;
  }
  return `no account in ${home.folder}; create one with: mesh account create NAME@DOMAIN`;
}

/** @throws ClientError `usage` before an account is created */
export async function requireAccount(home: Home): Promise<AccountState> {
  const state = await findAccount(home);
  if (state === undefined) throw new ClientError('usage', await withoutAccount(home));
  return state;
}

/** Durably records the account's state; the last file to be written when an account is made. */
export async function saveAccount(home: Home, state: AccountState): Promise<void> {
  await home.writeJson(state, stateFile);
}

/** The certificates to trust instead of the usual ones, in PEM; undefined where the usual ones are. */
export async function loadCa(home: Home): Promise<string | undefined> {
  const octets = await home.read(caFile);
  return octets === undefined ? undefined : Buffer.from(octets).toString('utf8');
}

/** Remembers the certificates themselves: the file that was named may be gone tomorrow. */
export async function saveCa(home: Home, ca: string | undefined): Promise<void> {
  if (ca === undefined) await home.remove(caFile);
  else await home.write(ca, caFile);
}

/** Writes profiles and connections as made. */
export async function saveIdentity(home: Home, identity: Identity): Promise<void> {
  for (const [name, file] of Object.entries(envelopeFiles)) {
    await home.write(writeEnvelope(identity[name as keyof typeof envelopeFiles]), 'profiles', file);
  }
}

/** Reads profiles and connections. @throws ClientError `state` if one is missing or damaged */
export async function loadIdentity(home: Home, state: AccountState): Promise<Identity> {
  const load = async (file: string): Promise<EnvelopeOctets> => {
    const octets = await home.read('profiles', file);
    if (octets === undefined) throw new ClientError('state', `${home.path('profiles', file)} is missing`);
    try {
      return readEnvelope(octets);
    } catch (cause) {
      throw new ClientError('state', `${home.path('profiles', file)} is damaged; restore it from a backup`, { cause });
    }
  };
  return {
    profileMesh: await load(envelopeFiles.profileMesh),
    profileDevice: await load(envelopeFiles.profileDevice),
    profileAccount: await load(envelopeFiles.profileAccount),
    connectionDevice: await load(envelopeFiles.connectionDevice),
    connectionAccount: await load(envelopeFiles.connectionAccount),
    meshUdf: state.meshUdf,
    deviceUdf: state.deviceUdf,
    accountUdf: state.accountUdf,
  };
}

/** Forgets the account with its keys, profiles and replicas; pins of services stay. */
export async function forgetAccount(home: Home): Promise<void> {
  // The state goes first: without it a home is empty, whatever else a crash leaves behind.
  for (const name of accountFiles) await home.remove(name);
}

/** As {@link loadCa}, by the folder of the home. */
export function loadCaOf(folder: string): Promise<string | undefined> {
  return loadCa(new Home(folder));
}
