/**
 * A service in the middle (S51 to S55). It keeps an account as an honest one does and relays what devices and administrators
 * say of connections; on the way it changes what a test tells it to. It has the keys of its host, so that nothing it says
 * fails for want of a signature. What the two ends make of its lies, the tests of this folder say, one file a lie.
 */
import type { ServicePin } from '@meshd/binding/pins';
import { type MadeRequest, makeRequest } from '@meshd/client/connect/asking';
import { grantDevice } from '@meshd/client/connect/grant';
import { type Device, withDevice } from '@meshd/client/device';
import { makeDeviceKeys } from '@meshd/client/device-keys';
import type { ClientEnvironment, ServiceConnection } from '@meshd/client/environment';
import {
  accountAt,
  type FakeService,
  fakeNowMs,
  signingService,
  temporaryHome,
} from '@meshd/client/fake-service.fixture';
import { Home } from '@meshd/client/home';
import { makeIdentity } from '@meshd/client/identity';
import { acceptByCode, openRequest } from '@meshd/client/operations/administer-devices';
import { completeConnection, requestConnection } from '@meshd/client/operations/connect-device';
import { deviceRequests, type PendingDevice } from '@meshd/client/operations/pending-devices';
import { buildSelfMessage, freshMessageId } from '@meshd/client/self-message';
import { homePins } from '@meshd/client/service-pin';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { type EnvelopeOctets, makeEnvelope, openEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { decodeTagged, encodeTagged, type ObjectTable } from '@meshd/encoding/codec';
import { connectNonceBytes, verifyConnectionRequest } from '@meshd/schema/connection-check';
import { deviceCatalog, inboundSpool, itemContentType } from '@meshd/schema/container-name';
import {
  AcknowledgeConnection,
  ChallengeConnection,
  messageRegistry,
  type Reference,
  RevealConnection,
} from '@meshd/schema/messages-mesh';
import { verifyProfile } from '@meshd/schema/profile-check';
import type { RequestOf, ResponseOf, Transaction } from '@meshd/schema/protocol';

/** Address of the account that all of it is about. */
export const address = 'alice@example.com';
const url = 'https://example.com';
const domain = 'example.com';

/** Mesh and account as a device is told of them. */
export interface Answering {
  readonly profileMesh: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;
}

interface AskedDevice {
  readonly messageId: string;
  /** Frames of the device catalog when the device asked: an older entry is none of its answer. */
  readonly catalogFrom: number;
  revealed: boolean;
}

interface Told {
  readonly status: number;
  readonly message?: object;
}

/** The service, and what it changes; the truth where a test says nothing. */
export class Middle {
  /** What administrators are shown in place of a device's request. */
  requestShown: (message: EnvelopeOctets) => EnvelopeOctets = (message) => message;
  /** Whom a device is told that it asks. */
  answering: (honest: Answering) => Answering = (honest) => honest;
  /** What a device is shown of challenges. */
  challengeShown: (honest: EnvelopeOctets | undefined) => EnvelopeOctets | undefined = (honest) => honest;
  /** What a device is given as its entry. */
  entryShown: (honest: EnvelopeOctets | undefined) => EnvelopeOctets | undefined = (honest) => honest;
  /** What a device is given that has not asked: an offer. */
  hailed: EnvelopeOctets | undefined;
  /** Secrets that devices have revealed, in order. */
  readonly reveals: Uint8Array[] = [];
  /** Whether they go on to the administrators. */
  passesReveals = true;
  readonly service: FakeService;
  /** Home of the device that administers the account. */
  readonly laptop: string;
  readonly #asked = new Map<string, AskedDevice>();

  constructor(service: FakeService, laptop: string) {
    this.service = service;
    this.laptop = laptop;
  }

  /** Clock and way of a device or an administrator. */
  environment(nowMs = fakeNowMs): ClientEnvironment {
    return { ...this.service.environment(nowMs), connect: () => this.#connect() };
  }

  /** The administrator's device. */
  admin<T>(work: (device: Device) => Promise<T>, nowMs?: number): Promise<T> {
    return withDevice(this.laptop, this.environment(nowMs), work);
  }

  /** What the administrator sees of devices that ask. */
  async pending(): Promise<readonly PendingDevice[]> {
    return (await this.admin(deviceRequests)).pending;
  }

  /** The administrator opens the request of a device: it is challenged. @returns the request as it is seen then */
  open(deviceUdf?: string): Promise<PendingDevice> {
    return this.admin(async (device) => {
      const { pending } = await deviceRequests(device);
      const found = pending.findLast((each) => deviceUdf === undefined || each.deviceUdf === deviceUdf);
      if (found === undefined) throw new Error('nobody asks');
      await openRequest(device, found);
      return found;
    });
  }

  /** The code is typed at the administrator's device. @returns what that shows then */
  async type(id: string, code: string): Promise<string | undefined> {
    const accepted = await this.admin(async (device) => {
      const { pending } = await deviceRequests(device);
      const found = pending.find((each) => each.id === id);
      if (found === undefined) throw new Error('nobody asks');
      return acceptByCode(device, found, code);
    });
    return accepted.confirm;
  }

  /** Whether a device is in the catalog. */
  isListed(deviceUdf: string): boolean {
    const frames = this.service.containers.get(deviceCatalog) ?? [];
    return frames.some((octets) => openEnvelope(octets).contentMetaData?.UniqueID === deviceUdf);
  }

  /** Frames of the catalog of devices. */
  get catalogFrames(): number {
    return this.service.containers.get(deviceCatalog)?.length ?? 0;
  }

  /** Identifier under which a device's request is filed. */
  nameOf(deviceUdf: string): string {
    const asked = this.#asked.get(deviceUdf);
    if (asked === undefined) throw new Error('that device has not asked');
    return asked.messageId;
  }

  #connect(): ServiceConnection {
    const honest = this.service.connect();
    const call = async <T extends Transaction>(transaction: T, message: RequestOf<T>, ...rest: unknown[]) => {
      if (transaction === 'Connect') return this.#told(await this.#file(message as RequestOf<'Connect'>));
      if (transaction === 'Complete') return this.#told(this.#complete(message as RequestOf<'Complete'>));
      return honest.call(transaction, message, ...(rest as [never]));
    };
    return { ...honest, call: call as ServiceConnection['call'] };
  }

  #told<T extends Transaction>({ status, message = {} }: Told) {
    const succeeded = status < 300;
    return { status, statusExtended: undefined, description: undefined, succeeded, message: message as ResponseOf<T> };
  }

  async #file({ MessageConnectionRequestClient: message }: RequestOf<'Connect'>): Promise<Told> {
    if (message === undefined) return { status: 400 };
    const { profile } = await verifyConnectionRequest(message);
    const messageId = nonceUdf(systemRandom);
    const catalogFrom = this.service.containers.get(deviceCatalog)?.length ?? 0;
    this.#asked.set(profile.offlineKey.udf, { messageId, catalogFrom, revealed: false });
    const serverNonce = systemRandom(connectNonceBytes);
    this.acknowledge(messageId, this.requestShown(message), serverNonce);
    const { profileMesh, profileAccount } = await this.#bound();
    const told = this.answering({ profileMesh, profileAccount });
    return {
      status: 201,
      message: {
        EnvelopedConnectionResponse: this.#acknowledgement(messageId, message, serverNonce),
        EnvelopedProfileMaster: told.profileMesh,
        EnvelopedAccountAssertion: told.profileAccount,
      } satisfies ResponseOf<'Connect'>,
    };
  }

  /** Files an acknowledgement where the administrators find it. */
  acknowledge(messageId: string, message: EnvelopeOctets, serverNonce: Uint8Array): void {
    this.service.file(inboundSpool, this.#acknowledgement(messageId, message, serverNonce));
  }

  #acknowledgement(messageId: string, message: EnvelopeOctets, serverNonce: Uint8Array): EnvelopeOctets {
    const members = { MessageID: messageId, Recipient: address, EnvelopedRequestConnection: message };
    return this.#signed(AcknowledgeConnection, { ...members, ServerNonce: serverNonce }, messageId);
  }

  /** Files a secret as one that a device has revealed. */
  reveal(messageId: string, secret: Uint8Array): void {
    const uniqueId = nonceUdf(systemRandom);
    const members = { MessageID: uniqueId, Recipient: address, ClientReveal: secret };
    const References = [{ MessageID: messageId }];
    this.service.file(inboundSpool, this.#signed(RevealConnection, { ...members, References }, uniqueId));
  }

  /** A message under the host's own signature. */
  #signed<T>(table: ObjectTable<T>, value: T, uniqueId: string): EnvelopeOctets {
    const { host } = this.service;
    if (host === undefined) throw new Error('the service has no host');
    return signEnvelope({
      payload: encodeTagged(table, value, 'json'),
      contentMeta: { UniqueID: uniqueId, MessageType: table.name, cty: itemContentType },
      keys: [host.signingKey],
      entryMembers: [{ Profile: host.profileHost, Connection: host.connectionHost }],
    });
  }

  async #bound(): Promise<Answering> {
    return this.admin(async ({ session }) => session.identity);
  }

  #complete({ DeviceUDF: deviceUdf = '', ClientReveal: secret }: RequestOf<'Complete'>): Told {
    const asked = this.#asked.get(deviceUdf);
    if (asked === undefined) return this.#offered();
    if (secret !== undefined) this.#take(asked, secret);
    const entry = this.entryShown(this.#entryOf(deviceUdf, asked));
    if (entry !== undefined) return { status: 201, message: { EnvelopedCatalogEntryDevice: entry } };
    if (this.#marks(asked.messageId).includes('Reject')) return { status: 403 };
    const challenge = this.challengeShown(this.challengeOf(asked.messageId));
    return { status: 300, message: challenge === undefined ? {} : { EnvelopedChallenge: challenge } };
  }

  #offered(): Told {
    if (this.hailed === undefined) return { status: 404 };
    return { status: 201, message: { EnvelopedCatalogEntryDevice: this.hailed } };
  }

  #take(asked: AskedDevice, secret: Uint8Array): void {
    this.reveals.push(secret);
    if (asked.revealed || !this.passesReveals) return;
    asked.revealed = true;
    this.reveal(asked.messageId, secret);
  }

  #entryOf(deviceUdf: string, { catalogFrom }: AskedDevice): EnvelopeOctets | undefined {
    const frames = (this.service.containers.get(deviceCatalog) ?? []).slice(catalogFrom);
    return frames.findLast((octets) => openEnvelope(octets).contentMetaData?.UniqueID === deviceUdf);
  }

  /** The challenge that an administrator has made of a request. */
  challengeOf(messageId: string): EnvelopeOctets | undefined {
    return this.#messages().find(({ type, references }) => {
      return type === ChallengeConnection.name && references[0]?.MessageID === messageId;
    })?.octets;
  }

  /** What administrators have said of a request. */
  #marks(messageId: string): (string | undefined)[] {
    const said = this.#messages().filter(({ type }) => type === 'MessageComplete');
    const references = said.flatMap((each) => each.references);
    return references.filter(({ MessageID: name }) => name === messageId).map(({ Relationship }) => Relationship);
  }

  #messages() {
    return (this.service.containers.get(inboundSpool) ?? []).slice(1).map((octets) => {
      const { contentMetaData, payload, header } = openEnvelope(octets);
      const type = contentMetaData?.MessageType ?? '';
      const isClear = header.enc === undefined && payload !== null;
      const value = isClear ? decodeTagged(messageRegistry, payload, { form: 'json' }).value : {};
      return { octets, type, references: (value as { References?: Reference[] }).References ?? [] };
    });
  }
}

/** A service with an account, whose administrator is a laptop. */
export async function startMiddle(): Promise<Middle> {
  const service = await signingService();
  return new Middle(service, await accountAt(service));
}

/** Lets a home know the service again. */
async function putPin(middle: Middle, folder: string): Promise<void> {
  const profile = middle.service.host?.profileService as EnvelopeOctets;
  const { offlineKey } = await verifyProfile(profile, 'ProfileService');
  const pin: ServicePin = {
    ...{ domain, serviceKey: offlineKey.raw, profileService: writeEnvelope(profile) },
    ...{ features: [...middle.service.features], pinnedMs: fakeNowMs },
  };
  await homePins(new Home(folder)).put(pin);
}

/** A device that is not connected, in a home of its own. */
export class NewDevice {
  readonly folder: string;
  readonly #middle: Middle;

  private constructor(middle: Middle, folder: string) {
    this.#middle = middle;
    this.folder = folder;
  }

  /** Has greeted the service, and knows it again. */
  static async make(middle: Middle, folder?: string): Promise<NewDevice> {
    const made = folder ?? (await temporaryHome());
    await putPin(middle, made);
    return new NewDevice(middle, made);
  }

  ask(pin?: string, description = 'phone') {
    return requestConnection(this.folder, this.#middle.environment(), { address, url, pin, description });
  }

  /** Asks as old devices do, which commit to nothing. */
  askOld() {
    const options = { address, url, description: 'phone', isUncommitted: true };
    return requestConnection(this.folder, this.#middle.environment(), options);
  }

  complete() {
    return completeConnection(this.folder, this.#middle.environment(), undefined);
  }

  /** What it shows to its user once it was challenged. */
  async code(): Promise<string> {
    const progress = await this.complete();
    if (progress.stage !== 'code') throw new Error(`the device is ${progress.stage}`);
    return progress.code;
  }

  /** Whether it uses anything that it was given: it then has an account. */
  async isConnected(): Promise<boolean> {
    return (await new Home(this.folder).readJson('account.json')) !== undefined;
  }
}

/** Somebody who has a Mesh and an account of the same address, made by himself, and devices that he would have taken for others. */
export class Mallet {
  readonly keys = makeDeviceKeys(systemRandom);
  readonly identity = makeIdentity(this.keys, address, fakeNowMs, 'mallet');

  /** A request of a device of his. */
  request(isUncommitted = false): MadeRequest {
    return makeRequest({ address, description: 'phone', isUncommitted, nowMs: fakeNowMs, random: systemRandom });
  }

  /** His challenge of a request. */
  challenge(messageId: string, adminNonce: Uint8Array, signer = this.keys.key('meshOnline')): EnvelopeOctets {
    const environment = { nowMs: () => fakeNowMs, random: systemRandom };
    const uniqueId = freshMessageId(environment);
    const body = { MessageID: uniqueId, References: [{ MessageID: messageId }], AdminNonce: adminNonce };
    const message = { table: ChallengeConnection, body, uniqueId };
    return buildSelfMessage(message, this.identity.accountUdf, signer, environment);
  }

  /** The entry by which he connects a device to his own account. */
  async entry(message: EnvelopeOctets): Promise<EnvelopeOctets> {
    const { publicKey } = this.keys.key('accountEncryption');
    const PublicKey = {
      UDF: publicKey.udf,
      PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: publicKey.raw } },
      PrivateParameters: {
        tag: 'PrivateKeyECDH',
        value: { crv: 'Ed448', Private: this.keys.seed('accountEncryption') },
      },
    } as const;
    const what = {
      ...{ permissions: [], epochs: [{ PublicKey, Since: new Date(0) }], keyBlind: this.keys.keyBlind },
      ...{ stores: [], serviceUdf: 'MAAA' },
    };
    const by = {
      ...{ identity: this.identity, address },
      ...{ meshOnline: this.keys.key('meshOnline'), accountOnline: this.keys.key('accountOnline') },
    };
    const options = { nowMs: fakeNowMs, random: systemRandom };
    const { body } = grantDevice(await verifyConnectionRequest(message), by, what, options);
    return makeEnvelope({ header: {}, payload: body });
  }
}

/** What somebody is told whose work is refused. */
export const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error) => `${error.code}: ${error.message}`,
  );
