import { loadIdentity, requireAccount } from '../account-state.js';
import { Device } from '../device.js';
import type { ClientEnvironment } from '../environment.js';
import { ClientError } from '../errors.js';
import { Home } from '../home.js';
import { addressesOf } from '../service-addresses.js';
import { Session } from '../session.js';
import { changeAddresses } from './addresses.js';
import type { CopiedStore } from './copy.js';
import { loadJournal } from './journal.js';
import { type Place, placeOf } from './places.js';
import { leaveNotice, standBy } from './switch.js';

/** An address of the account. */
export interface ServiceAccount {
  readonly address: string;
  /** `https` address of the service, where this home was told one. */
  readonly url: string | undefined;
  /** The one at which the account is (R008). */
  readonly isAuthoritative: boolean;
}

/** The addresses of the account, as this device's newest profile names them. */
export async function listServices(folder: string): Promise<readonly ServiceAccount[]> {
  const home = new Home(folder);
  const state = await requireAccount(home);
  const { profileAccount } = await loadIdentity(home, state);
  const listed: ServiceAccount[] = [];
  for (const address of await addressesOf(profileAccount)) {
    const { url } = await placeOf(home, state, address);
    listed.push({ address, url, isAuthoritative: address === state.address });
  }
  return listed;
}

async function requireNoWay(home: Home): Promise<void> {
  const journal = await loadJournal(home);
  if (journal === undefined || journal.isDone) return;
  throw new ClientError(
    'usage',
    `${journal.from} is on its way to ${journal.to}; finish that with mesh account move --resume, or go back with --undo`,
  );
}

/**
 * Adds an address at another service (R009): the account stands by there, with a copy of all stores. Repeated it brings the copy
 * up to date.
 *
 * @throws ClientError `usage`, `refused`, `copy`
 */
export async function addService(
  folder: string,
  environment: ClientEnvironment,
  place: Place,
): Promise<readonly CopiedStore[]> {
  const home = new Home(folder);
  await requireAccount(home);
  return home.exclusively(async () => {
    await requireNoWay(home);
    const state = await requireAccount(home);
    if (place.address === state.address) throw new ClientError('usage', `the account is at ${place.address} already`);
    const known = await placeOf(home, state, place.address);
    const to = { address: place.address, url: place.url ?? known.url, ca: place.ca ?? known.ca };
    return standBy(home, environment, to);
  });
}

/**
 * Removes an address at which the account is not (R010), with a notice of where it is.
 *
 * @returns why the service did not end the account there; undefined where it did
 * @throws ClientError `usage` for the authoritative address, or one that the account does not have
 */
export async function removeService(
  folder: string,
  environment: ClientEnvironment,
  address: string,
): Promise<string | undefined> {
  const home = new Home(folder);
  await requireAccount(home);
  return home.exclusively(async () => {
    await requireNoWay(home);
    const state = await requireAccount(home);
    if (address === state.address) {
      throw new ClientError('usage', `the account is at ${address}; make another one authoritative first, or move it`);
    }
    const device = new Device(await Session.open(home, environment, state));
    try {
      const addresses = await addressesOf(device.session.identity.profileAccount);
      if (!addresses.includes(address)) throw new ClientError('usage', `the account has no address ${address}`);
      await changeAddresses(
        device,
        addresses.filter((each) => each !== address),
      );
    } finally {
      await device.close();
    }
    return leaveNotice(home, environment, await placeOf(home, state, address), state.address);
  });
}
