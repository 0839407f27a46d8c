import { deviceCatalog } from '@meshd/schema/container-name';
import type { AccountState } from './account-state.js';
import { findAccount, requireAccount } from './account-state.js';

import { type Authority, authorityOf, type WritingDevice, writersOf, writingDevice } from './entitlement.js';
import type { ClientEnvironment } from './environment.js';
import { Home } from './home.js';
import type { FindWriter } from './reader.js';
import { Replica } from './replica.js';
import { Session } from './session.js';

/** A session together with the replicas of its account, opened as they are needed. */
export class Device {
  readonly session: Session;
  readonly #replicas = new Map<string, Replica>();
  #allowLegacy = false;
  #authority: Authority | undefined;

  constructor(session: Session) {
    this.session = session;
  }

  /** Takes containers without manifests too, in unauthenticated order (S49). */
  allowLegacy(): void {
    this.#allowLegacy = true;
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
    const { identity, state } = this.session;
    this.#authority ??= await authorityOf(identity, state.address);
    const catalog = await this.replica(deviceCatalog);
    const devices: WritingDevice[] = [];
    for (const [uniqueId, { current }] of catalog.reader.replay?.items ?? []) {
      const { payload } = await catalog.envelope(current);
      const device = payload === null ? undefined : await writingDevice(payload, uniqueId, this.#authority);
      if (device !== undefined) devices.push(device);
    }
    return writersOf(this.#authority, devices);
  }

  async close(): Promise<void> {
    for (const replica of this.#replicas.values()) await replica.close();
    await this.session.close();
  }
}

/** Runs `work` with the device of a home that has an account, while no other process uses the home. */
export async function withDevice<T>(
  folder: string,
  environment: ClientEnvironment,
  work: (device: Device, state: AccountState) => Promise<T>,
): Promise<T> {
  const home = new Home(folder);
  // Before the lock, which would make the folder.
  await requireAccount(home);
  return home.exclusively(async () => {
    const state = await requireAccount(home);
    const device = new Device(await Session.open(home, environment, state));
    try {
      return await work(device, state);
    } finally {
      await device.close();
    }
  });
}

/** The account of a home, if it has one. */
export function accountOf(folder: string): Promise<AccountState | undefined> {
  return findAccount(new Home(folder));
}
