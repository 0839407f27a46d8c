import { type AccountState, requireAccount } from '../account-state.js';
import { Device } from '../device.js';
import type { ClientEnvironment } from '../environment.js';
import { ClientError } from '../errors.js';
import { Home } from '../home.js';
import { listMessages } from '../operations/messages.js';
import { loadOutgoing } from '../outgoing.js';
import { addressesOf } from '../service-addresses.js';
import { domainOf, requireSuccess, type Session } from '../session.js';
import { changeAddresses } from './addresses.js';
import { type CopiedStore, copyStores, requireSameStores } from './copy.js';
import { type Journal, loadJournal, saveJournal } from './journal.js';
import { keepPlace, type Place, placeOf, sessionAt, settleAt } from './places.js';

/*
 * The way of an account from one service to another. Each step asks what is so already, so that a way that was interrupted
 * anywhere is gone on with by beginning again. Until the other service has been compared and has taken the account nothing that
 * was at the first one is gone; and what it has stays there while the notice does.
 */

/** The steps, in order; progress names them. */
export const moveSteps = [
  ...['naming both addresses', 'making the account', 'copying', 'holding still', 'copying the rest'],
  ...['switching', 'looking there', 'leaving a notice'],
] as const;

/** How to go. */
export interface MoveOptions {
  readonly to: Place;
  /** Leave the old service, with a notice; else the account stands by there. */
  readonly leaves: boolean;
  /** Go though messages still wait at the old service; they are delivered from there, and what becomes of them is not told. */
  readonly anyway?: boolean | undefined;
}

/** The account is there. */
export interface Moved {
  readonly from: string;
  readonly to: string;
  readonly stores: readonly CopiedStore[];
  /** Why the old service did not take the notice; undefined where it did, or none was to be left. */
  readonly noNotice: string | undefined;
}

/** One way, while it is gone. */
class Way {
  readonly home: Home;
  readonly environment: ClientEnvironment;
  readonly from: Place;
  readonly to: Place;
  readonly #state: AccountState;

  constructor(home: Home, environment: ClientEnvironment, state: AccountState, from: Place, to: Place) {
    this.home = home;
    this.environment = environment;
    this.#state = state;
    this.from = from;
    this.to = to;
  }

  /** Tells which step begins. */
  begin(step: (typeof moveSteps)[number]): void {
    this.environment.progress(step, moveSteps.indexOf(step), moveSteps.length);
  }

  async at<T>(place: Place, work: (device: Device) => Promise<T>): Promise<T> {
    const device = new Device(await sessionAt(this.home, this.environment, this.#state, place));
    try {
      return await work(device);
    } finally {
      await device.close();
    }
  }

  /** Both at once: the stores of the first, and the other service. */
  between<T>(work: (source: Device, target: Session) => Promise<T>): Promise<T> {
    return this.at(this.from, async (source) => {
      const target = await sessionAt(this.home, this.environment, this.#state, this.to);
      try {
        return await work(source, target);
      } finally {
        await target.close();
      }
    });
  }
}

/**
 * Takes the account to another service, which is authoritative from then on (R011, R027); repeated it goes on where it was
 * interrupted.
 *
 * @throws ClientError `usage` on a device that does not administer, while another way is under way, or while messages wait at the
 *   old service; `copy` where the other service does not have what was copied; `refused`, `unavailable`
 */
export async function moveAccount(
  folder: string,
  environment: ClientEnvironment,
  options: MoveOptions,
): Promise<Moved> {
  const home = new Home(folder);
  await requireAccount(home);
  return home.exclusively(async () => {
    const journal = await begin(home, environment, options);
    return go(home, environment, journal, options.anyway === true);
  });
}

async function begin(home: Home, environment: ClientEnvironment, { to, leaves }: MoveOptions): Promise<Journal> {
  const state = await requireAccount(home);
  const under = await loadJournal(home);
  if (under !== undefined && !under.isDone) {
    if (under.to === to.address && under.direction === 'forth') {
      if (to.url !== undefined || to.ca !== undefined) await keepPlace(home, to);
      return under;
    }
    const what = `${under.from} is on its way to ${under.to}`;
    throw new ClientError('usage', `${what}; finish that with mesh account move --resume, or go back with --undo`);
  }
  if (to.address === state.address) throw new ClientError('usage', `the account is at ${to.address} already`);
  if (domainOf(to.address) === domainOf(state.address)) {
    throw new ClientError('usage', `${to.address} is at the same service; an account moves to another one`);
  }
  const { ca, url } = await placeOf(home, state, to.address);
  const place = { address: to.address, url: to.url ?? url, ca: to.ca ?? ca };
  await requireTaker(home, environment, place);
  await keepPlace(home, place);
  const journal: Journal = {
    ...{ version: 1, from: state.address, to: to.address, leaves, direction: 'forth', isDone: false },
  };
  await saveJournal(home, journal);
  return journal;
}

/** Goes on with what is under way. @throws ClientError `usage` where nothing is */
export async function resumeMove(folder: string, environment: ClientEnvironment, anyway = false): Promise<Moved> {
  const home = new Home(folder);
  await requireAccount(home);
  return home.exclusively(async () => {
    const journal = await loadJournal(home);
    if (journal === undefined || journal.isDone) throw new ClientError('usage', 'no move is under way');
    if (journal.direction === 'undo') return stayAt(home, environment, journal);
    return go(home, environment, journal, anyway);
  });
}

/**
 * Takes the account back to where it was: before the switch the new address is given up; after it the account goes the same way in
 * the other direction, with what was written meanwhile.
 *
 * @throws ClientError `usage` where nothing was moved
 */
export async function undoMove(folder: string, environment: ClientEnvironment): Promise<Moved> {
  const home = new Home(folder);
  await requireAccount(home);
  return home.exclusively(async () => {
    const journal = await loadJournal(home);
    if (journal === undefined) throw new ClientError('usage', 'nothing was moved from this device');
    if (journal.direction === 'undo' && journal.isDone) throw new ClientError('usage', 'the move is undone already');
    const { address } = await requireAccount(home);
    if (address === journal.from && !journal.isDone) {
      const back: Journal = { ...journal, direction: 'undo' };
      await saveJournal(home, back);
      return stayAt(home, environment, back);
    }
    const back: Journal = {
      ...{ version: 1, from: journal.to, to: journal.from, leaves: true, direction: 'forth', isDone: false },
    };
    await saveJournal(home, back);
    return go(home, environment, back, true);
  });
}

async function go(home: Home, environment: ClientEnvironment, journal: Journal, anyway: boolean): Promise<Moved> {
  const state = await requireAccount(home);
  const [from, to] = [await placeOf(home, state, journal.from), await placeOf(home, state, journal.to)];
  const way = new Way(home, environment, state, from, to);
  const stores = state.address === journal.to ? [] : await transfer(way, anyway);
  const noNotice = journal.leaves ? await leave(home, environment, way) : undefined;
  await saveJournal(home, { ...journal, isDone: true });
  return { from: from.address, to: to.address, stores, noNotice };
}

/** Copies, and switches. Afterwards the account of this home is there. */
async function transfer(way: Way, anyway: boolean): Promise<readonly CopiedStore[]> {
  const { home, from, to } = way;
  const [authoritative] = await way.at(from, namesOf);
  // Once the profile names the new address first, binding it there is the switch: nothing but the rest may come before.
  const first = authoritative === to.address ? [] : await prepare(way, anyway);
  way.begin('holding still');
  await way.at(from, async (device) => {
    const others = (await namesOf(device)).filter((each) => each !== to.address);
    await changeAddresses(device, [to.address, ...others]);
  });
  way.begin('copying the rest');
  const rest = await way.between(copyStores);
  way.begin('switching');
  await way.between((_source, target) => bindAt(target));
  way.begin('looking there');
  await way.between((source, target) => requireSameStores(source, target, { mayHaveGrown: true }));
  await settleAt(home, await requireAccount(home), to);
  const before = new Map(first.map(({ container, copiedCount }) => [container, copiedCount]));
  return rest.map((one) => ({ ...one, copiedCount: one.copiedCount + (before.get(one.container) ?? 0) }));
}

const namesOf = ({ session }: Device) => addressesOf(session.identity.profileAccount);

/** Most of the copy, while the account goes on where it is. */
async function prepare(way: Way, anyway: boolean): Promise<readonly CopiedStore[]> {
  await makeSecond(way);
  way.begin('copying');
  const stores = await way.between(copyStores);
  if (!anyway) await way.at(way.from, requireNothingQueued);
  return stores;
}

/** Before anything is changed for its sake: that there is such a service, and that it takes accounts. @throws ClientError */
async function requireTaker(home: Home, environment: ClientEnvironment, place: Place): Promise<void> {
  const session = await sessionAt(home, environment, await requireAccount(home), place);
  try {
    if (await session.offers('move')) return;
    throw new ClientError('downgrade', `${session.domain} does not take accounts from other services; use another one`);
  } finally {
    await session.close();
  }
}

/** Has the account stand by at the other address. */
async function makeSecond(way: Way): Promise<void> {
  const { from, to } = way;
  way.begin('naming both addresses');
  await way.at(from, async (device) => {
    const addresses = await namesOf(device);
    if (!addresses.includes(to.address)) await changeAddresses(device, [...addresses, to.address]);
    // What an earlier run had noted, or bound without all entries.
    else await changeAddresses(device, addresses);
  });
  way.begin('making the account');
  await way.between(async (_source, target) => {
    await bindAt(target);
  });
}

/** CreateAccount at a service, which makes the account or takes the newer profiles (semantics 6.2). */
export async function bindAt(session: Session): Promise<void> {
  const { identity, state } = session;
  const message = {
    ServiceID: state.address,
    SignedProfileMesh: identity.profileMesh,
    SignedAssertionAccount: identity.profileAccount,
  };
  const response = await session.send('CreateAccount', message, [session.meshSigner]);
  const { Reason: reason, URL: url } = response.message;
  const text = [reason ?? response.description, url === undefined ? undefined : `continue at ${url}`];
  const description = text.filter((part) => part !== undefined).join('; ');
  requireSuccess(`the account at ${state.address}`, { ...response, description });
}

/** Copies to a service where the account stands by, without a switch. */
export async function standBy(home: Home, environment: ClientEnvironment, to: Place): Promise<readonly CopiedStore[]> {
  const state = await requireAccount(home);
  await requireTaker(home, environment, to);
  await keepPlace(home, to);
  const way = new Way(home, environment, state, await placeOf(home, state, state.address), to);
  await makeSecond(way);
  way.begin('copying');
  return way.between(copyStores);
}

/** Messages that wait at the old service would end there, out of sight. @throws ClientError `usage` */
async function requireNothingQueued(device: Device): Promise<void> {
  const { session } = device;
  const here = (await loadOutgoing(session.home)).length;
  const { messages } = await listMessages(device, 'outbound');
  const queued = messages.filter(({ deliveries }) => deliveries.some(({ result }) => result === 'queued')).length;
  if (here + queued === 0) return;
  throw new ClientError(
    'usage',
    `${here + queued} messages still wait to be sent by ${session.domain}; go on when they are: mesh account move --resume, or without them: --anyway`,
  );
}

/**
 * Gives up the old address: by a profile that no longer names it, and with a notice at its service (semantics 6.3). The account
 * is elsewhere by then: that the old service does not answer, or does not want to, keeps nobody.
 *
 * @returns why there is no notice
 */
async function leave(home: Home, environment: ClientEnvironment, { from, to }: Way): Promise<string | undefined> {
  const state = await requireAccount(home);
  const way = new Way(home, environment, state, from, to);
  way.begin('leaving a notice');
  await way.at(to, async (device) => {
    const addresses = await namesOf(device);
    await changeAddresses(
      device,
      addresses.filter((each) => each !== from.address),
    );
  });
  return leaveNotice(home, environment, from, to.address);
}

/** Ends the account at a service where it is not, with the address where it is. @returns why it did not end */
export async function leaveNotice(
  home: Home,
  environment: ClientEnvironment,
  at: Place,
  to: string,
): Promise<string | undefined> {
  const state = await requireAccount(home);
  const session = await sessionAt(home, environment, state, at);
  try {
    const request = { DeviceProfile: session.identity.profileDevice, MovedTo: to };
    const response = await session.call('DeleteAccount', request, [session.meshSigner]);
    // Code 401 without more: it is not there any more, and nobody can be told.
    if (response.status !== 401 || response.statusExtended !== undefined) requireSuccess('the notice', response);
    return undefined;
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    // A notice is there already.
    return error.code === 'moved' ? undefined : error.message;
  } finally {
    await session.close();
  }
}

/** The account was not switched: the new address is given up, and the old service takes what is written again. */
async function stayAt(home: Home, environment: ClientEnvironment, journal: Journal): Promise<Moved> {
  const state = await requireAccount(home);
  const [from, to] = [await placeOf(home, state, journal.from), await placeOf(home, state, journal.to)];
  const way = new Way(home, environment, state, from, to);
  way.begin('naming both addresses');
  await way.at(from, async (device) => {
    const addresses = await namesOf(device);
    const others = addresses.filter((each) => each !== to.address && each !== from.address);
    await changeAddresses(device, [from.address, ...others], { bindFirst: true });
  });
  way.begin('leaving a notice');
  const noNotice = await leaveNotice(home, environment, to, from.address);
  await saveJournal(home, { ...journal, isDone: true });
  return { from: to.address, to: from.address, stores: [], noNotice };
}
