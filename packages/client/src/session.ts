import { type VerifiedService, verifyService } from '@meshd/binding/host-chain';
import {
  type CallOptions,
  MeshConnection,
  type VerifiedHello,
  type VerifiedResponse,
} from '@meshd/binding/mesh-connection';
import type { ServicePin } from '@meshd/binding/pins';
import { makeRequestId } from '@meshd/binding/request-id';
import type { RequestSigner } from '@meshd/binding/request-sign';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { readEnvelope } from '@meshd/dare/envelope';
import type { Feature } from '@meshd/schema/features';
import { onlineKeysOf, verifyProfile } from '@meshd/schema/profile-check';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { codeOfAnswer, statusRegistry } from '@meshd/schema/status';
import { type AccountState, loadCa, loadIdentity, saveIdentity } from './account-state.js';
import { type DeviceKeys, loadDeviceKeys, saveDeviceKeys } from './device-keys.js';
import type { ClientEnvironment, ServiceConnection, ServiceLocation } from './environment.js';
import { ClientError } from './errors.js';
import type { Home } from './home.js';
import type { Identity } from './identity.js';
import { renewedIdentity } from './renewal.js';
import { asClientError, laterMsOf, type RepeatOptions, repeatUntilAnswered } from './repeat.js';
import { forgetConstraints } from './service-constraints.js';
import { homePins } from './service-pin.js';
import { homeTickets } from './ticket-files.js';

/** Extension words that this client understands, named in its requests (schema 13). */
export const clientFeatures: readonly Feature[] = [
  ...(['auth-1', 'host-1', 'manifest-1', 'gcm-1', 'entry'] as const),
  ...(['ticket', 'page', 'filter', 'wait', 'heads-1', 'delivery-1', 'connect-2'] as const),
];

/** The service or its limits may have changed: what Hello said is asked for anew (semantics 6.1). */
const outdatingStatuses: ReadonlySet<number> = new Set([401, 413]);

/** Opens the way to a service under the pins of this home. */
export function connectionFor(home: Home, environment: ClientEnvironment, service: ServiceLocation): ServiceConnection {
  try {
    if (environment.connect !== undefined) return environment.connect(service);
    return new MeshConnection({
      ...service,
      locator: environment.locator,
      pins: homePins(home),
      clock: () => environment.nowMs(),
      random: environment.random,
      form: environment.form,
      features: service.moves === true ? [...clientFeatures, 'move'] : clientFeatures,
      // A ticket would hold on to the words that were named when it was given.
      tickets: service.moves === true ? undefined : homeTickets(home),
    });
  } catch (error) {
    throw asClientError(error);
  }
}

/** How a request is sent. */
export type SendOptions = CallOptions & RepeatOptions;

/** Domain of an account address. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}

/** How a session differs from the ordinary one of its home. */
export interface SessionOptions {
  /** Certificates (PEM) of this service; undefined: the usual ones. */
  readonly ca?: string | undefined;
  /** It carries the account from one service to another. */
  readonly moves?: boolean | undefined;
}

/** Who has moved, and who is a stranger: authenticated answers that say more than no. */
const { 'account-moved': moved, 'not-authenticated': stranger } = statusRegistry;

/** One device of one account, speaking with its service. */
export class Session {
  readonly home: Home;
  readonly environment: ClientEnvironment;
  readonly state: AccountState;
  #keys: DeviceKeys;
  #identity: Identity;
  /** It carries the account from one service to another. */
  readonly moves: boolean;
  readonly #connection: ServiceConnection;
  #service: Promise<VerifiedService> | undefined;

  private constructor(
    home: Home,
    environment: ClientEnvironment,
    state: AccountState,
    keys: DeviceKeys,
    identity: Identity,
    connection: ServiceConnection,
    moves: boolean,
  ) {
    this.moves = moves;
    this.home = home;
    this.environment = environment;
    this.state = state;
    this.#keys = keys;
    this.#identity = identity;
    this.#connection = connection;
  }

  /** Loads what the home holds. Nothing is sent yet. */
  static async open(
    home: Home,
    environment: ClientEnvironment,
    state: AccountState,
    elsewhere: SessionOptions = {},
  ): Promise<Session> {
    const keys = await loadDeviceKeys(home);
    const identity = await loadIdentity(home, state);
    const ca = 'ca' in elsewhere ? elsewhere.ca : await loadCa(home);
    const service = { domain: domainOf(state.address), url: state.url, ca, moves: elsewhere.moves };
    const connection = connectionFor(home, environment, service);
    return new Session(home, environment, state, keys, identity, connection, elsewhere.moves === true);
  }

  /** Profiles and connections of this device, as they are now. */
  get identity(): Identity {
    return this.#identity;
  }

  /** The device's secrets, as they are now. */
  get keys(): DeviceKeys {
    return this.#keys;
  }

  /** Uses other secrets from now on, and in later runs. */
  async rekey(keys: DeviceKeys): Promise<void> {
    await saveDeviceKeys(this.home, keys);
    this.#keys = keys;
  }

  /** Uses other profiles and connections from now on, and in later runs. They must have been verified. */
  async renew(identity: Identity): Promise<void> {
    await saveIdentity(this.home, identity);
    this.#identity = identity;
  }

  /** Domain of the account's address. */
  get domain(): string {
    return domainOf(this.state.address);
  }

  /** Whether the service names a feature in its verified Hello. */
  async offers(word: Feature): Promise<boolean> {
    return this.#repeat(
      () => this.#connection.offers(word),
      () => undefined,
    );
  }

  /** The pinned service, whose keys prove its hosts. */
  async serviceProfile(): Promise<VerifiedService> {
    this.#service ??= this.#pin().then((pin) => verifyService(readEnvelope(pin.profileService)));
    return this.#service;
  }

  /** Services at which the account was before, as far as this home has pinned them. */
  async formerServices(): Promise<VerifiedService[]> {
    const services: VerifiedService[] = [];
    for (const address of this.state.former ?? []) {
      const pin = await homePins(this.home).get(domainOf(address));
      if (pin !== undefined) services.push(await verifyService(readEnvelope(pin.profileService)));
    }
    return services;
  }

  async #pin(): Promise<ServicePin> {
    return (await homePins(this.home).get(this.domain)) ?? (await this.hello()).pin;
  }

  /** Signs as the connected device (profile form). */
  get deviceSigner(): RequestSigner {
    return { key: this.keys.key('connectionAuthentication'), connection: this.identity.connectionAccount };
  }

  /** Signs as the Mesh: the proof that CreateAccount and acts of administration need (S25). */
  get meshSigner(): RequestSigner {
    return { key: this.keys.key('meshOnline') };
  }

  /** Keys of the Mesh that may administer the account (S25), by the profile that this device has. */
  async administrationKeys(): Promise<readonly PublicKeyEd448[]> {
    const { profile, offlineKey } = await verifyProfile(this.#identity.profileMesh, 'ProfileMesh');
    return [...onlineKeysOf(profile), offlineKey];
  }

  /** Told when a service has brought other profiles or another connection. */
  onRenewed: () => void = () => undefined;

  /**
   * A transaction in profile form, with `Account` filled in. A device that is a stranger to the service may have a newer
   * connection, which it asks for; then the transaction is tried again, once.
   *
   * @throws ClientError `moved` where the service says that the account is elsewhere; else as {@link send}
   */
  async call<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    extraSigners: readonly RequestSigner[] = [],
    options: SendOptions = {},
  ): Promise<VerifiedResponse<T>> {
    const complete = { ...message, Account: this.state.address } as RequestOf<T>;
    const send = () => this.send(transaction, complete, [this.deviceSigner, ...extraSigners], options);
    const response = await send();
    const isStranger = response.status === stranger.status && response.statusExtended === undefined;
    // The device that was a stranger may be one that is told so only now.
    const last = isStranger && (await this.reacquaint()) ? await send() : response;
    if (last.status === moved.status && last.statusExtended === moved.extended) throw movedError(last);
    return last;
  }

  /**
   * Asks for this device's own entry, which is answered under a superseded connection and after a move, too (semantics 6.4),
   * and takes over what is newer in it.
   *
   * @returns whether anything was
   * @throws ClientError `profile` where the entry does not hold
   */
  async reacquaint(): Promise<boolean> {
    const { state, identity, keys } = this;
    const message = { ServiceID: state.address, Account: state.address, DeviceUDF: identity.deviceUdf };
    const response = await this.send('Complete', message, [this.deviceSigner]);
    if (!response.succeeded) return false;
    const { EnvelopedProfileMaster: profileMesh, EnvelopedCatalogEntryDevice: deviceEntry } = response.message;
    const renewed = await renewedIdentity({ identity, keys, address: state.address }, { profileMesh, deviceEntry });
    if (renewed === undefined) return false;
    await this.renew(renewed);
    this.onRenewed();
    return true;
  }

  /**
   * One transaction, repeated under the same `ID` until an authenticated answer comes: the service executes it once
   * (semantics 6), so a lost answer does no harm.
   * @throws ClientError `unavailable`, `pin`, `downgrade`
   */
  async send<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    signers: readonly RequestSigner[],
    options: SendOptions = {},
  ): Promise<VerifiedResponse<T>> {
    const { nowMs, random } = this.environment;
    const { faultsMax, ...callOptions } = options;
    const id = options.id ?? makeRequestId(nowMs(), random);
    const response = await this.#repeat(
      () => this.#connection.call(transaction, message, signers, { ...callOptions, id }),
      laterMsOf,
      { faultsMax, signal: options.signal },
    );
    if (outdatingStatuses.has(response.status)) await forgetConstraints(this.home, domainOf(this.state.address));
    return response;
  }

  #repeat<A>(
    work: () => Promise<A>,
    pauseMsOf: (answer: A) => number | undefined,
    options: RepeatOptions = {},
  ): Promise<A> {
    return repeatUntilAnswered(this.environment, work, pauseMsOf, options);
  }

  /** Asks the service anew who it is; its limits are in the answer. */
  async hello(): Promise<VerifiedHello> {
    return this.#repeat(
      () => this.#connection.hello(),
      () => undefined,
    );
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}

function movedError({ status, statusExtended, description }: VerifiedResponse<Transaction>): ClientError {
  const to = description === undefined || description === '' ? 'another service' : description;
  const message = `the service says that the account has moved to ${to}; run mesh account sync, which follows it`;
  return new ClientError('moved', message, { refusal: { status, statusExtended, description } });
}

/** Throws the refusal that an authenticated answer is, unless it is a success. */
export function requireSuccess<T extends Transaction>(what: string, response: VerifiedResponse<T>): void {
  if (response.succeeded) return;
  const { status, statusExtended, description } = response;
  const { advice } = statusRegistry[codeOfAnswer(status, statusExtended)];
  const code = statusExtended === undefined ? `${status}` : `${status}/${statusExtended}`;
  // The registry's advice is a sentence of its own; here it ends the one line that an error is.
  const said = description === undefined ? '' : `: ${description.replace(/[\s.]+$/, '')}`;
  const message = `the service refused ${what} (${code})${said}; ${advice.charAt(0).toLowerCase()}${advice.slice(1, -1)}`;
  throw new ClientError('refused', message, { refusal: { status, statusExtended, description } });
}
