/** An account in use: creation, first Upload, and the calls of a connected device. */
import { Container, type Entry } from './container.js';
import type { Meta, Wire } from './dare.js';
import { utf8 } from './octets.js';
import type { Answer, CallChoices, Peer } from './peer.js';
import { catalogedDevice, type Device, newDevice, newPerson, type Person } from './people.js';
import type { Signer } from './request.js';

let counter = 0;
/** An address that no other test of this process has. */
export const newAddress = (domain = 'example.com', name = 'person'): string => {
  counter += 1;
  return `${name}${counter}@${domain}`;
};

export const creationOf = (person: Person) => ({
  ServiceID: person.address,
  SignedProfileMesh: person.profileMesh,
  SignedAssertionAccount: person.profileAccount,
});

export const createAccount = (peer: Peer, person: Person, choices: CallChoices = {}): Promise<Answer> =>
  peer.call('CreateAccount', creationOf(person), [{ key: person.meshOffline }], choices);

/** An entry of the device catalog. */
export const deviceEntry = (person: Person, device: Device, meta: Partial<Meta> = {}): Entry => ({
  payload: catalogedDevice(person, device),
  meta: { UniqueID: device.offline.udf, Event: 'New', cty: 'application/mmm', ...meta },
});

/** An ordinary keyed entry. */
export const item = (key: string, body: string | Uint8Array, meta: Partial<Meta> = {}): Entry => ({
  payload: typeof body === 'string' ? utf8(body) : body,
  meta: { UniqueID: key, Event: 'New', cty: 'application/mmm', ...meta },
});

/** One connected device of an account, with the containers that it writes. */
export class Account {
  readonly peer: Peer;
  readonly person: Person;
  readonly device: Device;
  readonly containers = new Map<string, Container>();
  /** Words that its requests name: extension members of answers come to no one else (schema 13). */
  readonly features: readonly string[] = ['entry', 'manifest-1'];

  constructor(peer: Peer, person: Person, device: Device = newDevice(person)) {
    this.peer = peer;
    this.person = person;
    this.device = device;
  }

  /** Creates an account; with its device catalog, unless told otherwise. */
  static async open(peer: Peer, options: { bootstrap?: boolean; name?: string } = {}): Promise<Account> {
    const person = newPerson(newAddress(peer.domain, options.name));
    const created = await createAccount(peer, person);
    if (created.status !== 201) throw new Error(`creation: ${JSON.stringify(created.message)}`);
    const account = new Account(peer, person);
    if (options.bootstrap !== false) await account.bootstrap();
    return account;
  }

  get subject(): string {
    return this.person.accountOffline.udf;
  }

  get signer(): Signer {
    return { key: this.device.authentication, connection: this.device.connection };
  }

  get admin(): Signer {
    return { key: this.person.meshOnline };
  }

  container(name: string): Container {
    const known = this.containers.get(name);
    if (known !== undefined) return known;
    const made = new Container(name, this.subject);
    this.containers.set(name, made);
    return made;
  }

  /** The first Upload: opens `mmm_Device` with this device in it. */
  async bootstrap(): Promise<void> {
    const answer = await this.append('mmm_Device', [deviceEntry(this.person, this.device)]);
    if (answer.status !== 201) throw new Error(`bootstrap: ${JSON.stringify(answer.message)}`);
  }

  /** Uploads entries under one manifest, with frame 0 if the container is new, and keeps them if they were taken. */
  async append(name: string, entries: readonly Entry[], choices: CallChoices = {}): Promise<Answer> {
    const container = this.container(name);
    const key = name === 'mmm_Device' ? this.person.meshOnline : this.device.signature;
    const first = container.frames.length === 0 ? [container.opening(key)] : [];
    const frames = [...first, ...container.batch(entries, key, {}, first)];
    const answer = await this.upload([this.update(container, frames)], choices);
    if (answer.status === 201) container.frames.push(...frames);
    return answer;
  }

  update(container: Container, frames: readonly Wire[]): object {
    return { Container: container.name, Index: container.frames.length, Envelopes: frames };
  }

  upload(updates: readonly object[], choices: CallChoices = {}): Promise<Answer> {
    return this.call('Upload', { Updates: updates }, choices);
  }

  status(message: object = {}, choices: CallChoices = {}): Promise<Answer> {
    return this.call('Status', message, choices);
  }

  download(select: readonly object[], message: object = {}, choices: CallChoices = {}): Promise<Answer> {
    return this.call('Download', { Select: select, ...message }, choices);
  }

  /** Any transaction in the name of the account, by its device. */
  call(tag: string, message: object, choices: CallChoices = {}): Promise<Answer> {
    const named = { Features: this.features, Account: this.person.address };
    return this.peer.call(tag, { ...named, ...message }, [this.signer], choices);
  }
}

/** What a refused Upload says: codes and entries. */
export const uploadCodes = ({ status, extended, message }: Answer) => ({
  status,
  extended,
  entries: message.Entries?.map(({ IndexRequest, Result, StatusExtended }) => [IndexRequest, Result, StatusExtended]),
});
