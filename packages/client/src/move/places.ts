import { type AccountState, loadCa, saveAccount, saveCa } from '../account-state.js';
import type { ClientEnvironment } from '../environment.js';
import type { Home } from '../home.js';
import { Session } from '../session.js';

const file = 'places.json';

/** Where the service of an address is, and what certificates to trust there. */
export interface Place {
  readonly address: string;
  /** `https` address; undefined where the domain says where its service is. */
  readonly url?: string | undefined;
  /** Certificates (PEM) in place of the usual ones. */
  readonly ca?: string | undefined;
}

type Stored = { version: 1; places: readonly Place[] };

async function stored(home: Home): Promise<readonly Place[]> {
  return (await home.readJson<Stored>(file))?.places ?? [];
}

/** Where the service of this address is, as this home knows it. */
export async function placeOf(home: Home, state: AccountState, address: string): Promise<Place> {
  if (address === state.address) return { address, url: state.url, ca: await loadCa(home) };
  return (await stored(home)).find((place) => place.address === address) ?? { address, ca: await loadCa(home) };
}

/** Keeps it. */
export async function keepPlace(home: Home, place: Place): Promise<void> {
  const others = (await stored(home)).filter(({ address }) => address !== place.address);
  const kept: Stored = { version: 1, places: [...others, place] };
  await home.writeJson(kept, file);
}

/** A session with that service that carries the account there, or from there. */
export function sessionAt(
  home: Home,
  environment: ClientEnvironment,
  state: AccountState,
  { address, url, ca }: Place,
): Promise<Session> {
  return Session.open(home, environment, { ...state, address, url }, { ca, moves: true });
}

/** From now on the account of this home is at that place; what was at the former one is still read. */
export async function settleAt(home: Home, state: AccountState, place: Place): Promise<AccountState> {
  if (place.address === state.address) return state;
  await keepPlace(home, await placeOf(home, state, state.address));
  const former = [state.address, ...(state.former ?? [])].filter((address) => address !== place.address);
  const settled: AccountState = {
    ...{ ...state, address: place.address, url: place.url },
    former: [...new Set(former)],
  };
  await saveCa(home, place.ca);
  await saveAccount(home, settled);
  return settled;
}
