import { deviceCatalog } from '@meshd/schema/container-name';
import type { AccountState } from './account-state.js';
import { findAccount, requireAccount } from './account-state.js';
import { type CatalogedDevices, catalogedDevices } from './cataloged-devices.js';
import { authorityOf, writersOf } from './entitlement.js';
import type { ClientEnvironment } from './environment.js';
import { ClientError } from './errors.js';
import { Home } from './home.js';
import { KeptHeads } from './kept-heads.js';
import { followMove } from './move/follow.js';
import type { Checkpoint, FindWriter } from './reader.js';
import { type Brought, renewedIdentity } from './renewal.js';
import { Replica } from './replica.js';
import { Session } from './session.js';

/** A session together with the replicas of its account, opened as they are needed. */
export class Device {
  readonly session: Session;
  readonly #replicas = new Map<string, Replica>();
  #allowLegacy = false;
  #devices: CatalogedDevices | undefined;
  /** The service's signed word on the containers. */
  readonly heads: KeptHeads;

  constructor(session: Session) {
    this.session = session;
    this.heads = new KeptHeads(session);
    session.onRenewed = () => this.forgetWriters();
  }

  /** Takes containers without manifests too, in unauthenticated order (S49). */
  allowLegacy(): void {
    this.#allowLegacy = true;
  }

  /**
   * Takes over what the service brought of the Mesh's profile and of this device's own entry, where it is newer and holds.
   * @throws ClientError `profile`
   */
  async renew(brought: Brought): Promise<void> {
    const { identity, keys, state } = this.session;
    const renewed = await renewedIdentity({ identity, keys, address: state.address }, brought);
    if (renewed === undefined) return;
    await this.session.renew(renewed);
    this.forgetWriters();
  }

  /** Who may write is judged anew: by other profiles. */
  forgetWriters(): void {
    this.#devices = undefined;
  }

  /** The replica of a container; empty if none is stored. */
  async replica(container: string): Promise<Replica> {
    const known = this.#replicas.get(container);
    if (known !== undefined) return known;
    const { home, identity } = this.session;
    const opened = await Replica.open(home, container, identity.accountUdf, this.#allowLegacy);
    this.#replicas.set(container, opened);
    return opened;
  }

  /** Who may write, by the device catalog as this replica has it. */
  async writers(): Promise<FindWriter> {
    const { authority, devices, revoked } = await this.cataloged();
    return writersOf(authority, devices, revoked);
  }

  /** Where the histories of a container must agree with what administrators saw when they revoked devices (S48). */
  async revocationCuts(container: string): Promise<Checkpoint[]> {
    const { revoked } = await this.cataloged();
    return revoked.flatMap(({ cuts }) => cuts.get(container) ?? []);
  }

  /** What the device catalog says, as this replica has it. @throws ClientError `frame` */
  async cataloged(): Promise<CatalogedDevices> {
    const { identity, state } = this.session;
    const authority = this.#devices?.authority ?? (await authorityOf(identity, state.address));
    const catalog = await this.replica(deviceCatalog);
    if (this.#devices?.size === catalog.reader.size) return this.#devices;
    this.#devices = await catalogedDevices(catalog, authority);
    return this.#devices;
  }

  /** Closes a replica whose reader must not be used any more; the next call opens it again from disk. */
  async dropReplica(container: string): Promise<void> {
    const dropped = this.#replicas.get(container);
    this.#replicas.delete(container);
    await dropped?.close();
  }

  /** Lets go of what another process may change once the home is no longer locked; the connection stays. */
  async release(): Promise<void> {
    for (const container of [...this.#replicas.keys()]) await this.dropReplica(container);
    this.#devices = undefined;
    this.heads.forget();
  }

  async close(): Promise<void> {
    await this.release();
    await this.session.close();
  }
}

/**
 * Runs `work` with the device of a home that has an account, while no other process uses the home. Where the account has moved
 * this device follows first, and `work` is done there from its beginning.
 */
export async function withDevice<T>(
  folder: string,
  environment: ClientEnvironment,
  work: (device: Device, state: AccountState) => Promise<T>,
): Promise<T> {
  const home = new Home(folder);
  // Before the lock, which would make the folder.
  await requireAccount(home);
  return home.exclusively(async () => {
    try {
      return await withState(home, environment, await requireAccount(home), work);
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'moved') throw error;
      return withState(home, environment, await followMove(home, environment), work);
    }
  });
}

async function withState<T>(
  home: Home,
  environment: ClientEnvironment,
  state: AccountState,
  work: (device: Device, state: AccountState) => Promise<T>,
): Promise<T> {
  const device = new Device(await Session.open(home, environment, state));
  try {
    return await work(device, state);
  } finally {
    await device.close();
  }
}

/** The account of a home, if it has one. */
export function accountOf(folder: string): Promise<AccountState | undefined> {
  return findAccount(new Home(folder));
}
