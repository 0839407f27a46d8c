import { moveHopsMax } from '@meshd/limits/client';
import { type AccountState, requireAccount } from '../account-state.js';
import type { ClientEnvironment } from '../environment.js';
import { ClientError } from '../errors.js';
import type { Home } from '../home.js';
import { addressesOf } from '../service-addresses.js';
import { requireSuccess, Session } from '../session.js';
import { placeOf, settleAt } from './places.js';

/**
 * Follows the account to where it is (R008, R027). A service that says so is not believed: this device asks it for its own entry,
 * and goes where the profile of the account in it says, which the keys of the account and of the Mesh have signed.
 *
 * @returns the state of the home at the new service, kept
 * @throws ClientError `profile` where nothing that is signed says so, `moved` where the account is on its way
 */
export async function followMove(home: Home, environment: ClientEnvironment): Promise<AccountState> {
  const start = await requireAccount(home);
  let state = start;
  for (let hop = 0; hop < moveHopsMax; hop += 1) {
    const to = await nextAddress(home, environment, state);
    const place = await placeOf(home, start, to);
    const next: AccountState = { ...state, address: to, url: place.url };
    if (await isThere(home, environment, next, place.ca)) return settleAt(home, start, place);
    state = next;
  }
  throw new ClientError('moved', `${start.address} has moved again and again; ask who administers it where it is`);
}

/** The authoritative address by the newest profile, once this service was asked. */
async function nextAddress(home: Home, environment: ClientEnvironment, state: AccountState): Promise<string> {
  const { ca } = await placeOf(home, await requireAccount(home), state.address);
  const session = await Session.open(home, environment, state, { ca });
  try {
    await session.reacquaint();
    const [first] = await addressesOf(session.identity.profileAccount);
    if (first !== undefined && first !== state.address) return first;
    throw new ClientError(
      'profile',
      `${session.domain} says that ${state.address} has moved, but nothing that the account's own keys have signed says so: it is not believed, and nothing was changed; ask who administers the account, and try again later`,
    );
  } finally {
    await session.close();
  }
}

/** @returns false where the account is at yet another service */
async function isThere(
  home: Home,
  environment: ClientEnvironment,
  state: AccountState,
  ca: string | undefined,
): Promise<boolean> {
  const session = await Session.open(home, environment, state, { ca });
  try {
    requireSuccess('Status', await session.call('Status', { DeviceUDF: session.identity.deviceUdf }));
    return true;
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'moved') throw error;
    await session.reacquaint();
    const [first] = await addressesOf(session.identity.profileAccount);
    if (first !== state.address) return false;
    throw new ClientError(
      'moved',
      `${state.address} is being moved just now; try again in a few minutes, or on the device that moves it: mesh account move --resume`,
    );
  } finally {
    await session.close();
  }
}
