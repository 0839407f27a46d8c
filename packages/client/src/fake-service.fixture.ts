/** A service in memory for tests: keeps containers as the real one does, and can be told to cheat. */
import { cp, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostIdentity } from '@meshd/binding/host-files';
import type { VerifiedHello, VerifiedResponse } from '@meshd/binding/mesh-connection';
import type { RequestSigner } from '@meshd/binding/request-sign';
import { sha512 } from '@meshd/crypto/digest';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { frameZero, placeFrame } from '@meshd/dare/batch';
import { logId } from '@meshd/dare/core';
import {
  type EnvelopeOctets,
  redactEnvelope,
  withContainerInfo,
  withPayloadDigest,
  writeEnvelope,
} from '@meshd/dare/envelope';
import { consistencyProof, root } from '@meshd/dare/log-tree';
import { apex } from '@meshd/dare/merkle';
import { decodeTagged, encodeTagged } from '@meshd/encoding/codec';
import type { ConstraintsSelect, ContainerStatus, ContainerUpdate } from '@meshd/schema/common';
import { verifyConnectionRequest } from '@meshd/schema/connection-check';
import { accountSpools, inboundSpool, spoolContentType } from '@meshd/schema/container-name';
import { profileRegistry } from '@meshd/schema/profiles';
import type { RequestOf, ResponseOf, Transaction } from '@meshd/schema/protocol';
import { ContainerHeads } from '@meshd/schema/service';
import { saveAccount, saveIdentity } from './account-state.js';
import { acceptEntry } from './connect/acceptance.js';
import { makeRequest } from './connect/asking.js';
import { withDevice } from './device.js';
import { deviceEntries } from './device-entries.js';
import { saveDeviceKeys } from './device-keys.js';
import type { ClientEnvironment, ServiceConnection } from './environment.js';
import { fakeDomain, fakeHost, signedByHost } from './fake-host.fixture.js';
import { appendFrame, noTrees, type Trees } from './frame.js';
import { Home } from './home.js';
import { connect } from './operations/administer-devices.js';
import { createAccount } from './operations/create-account.js';
import { adoptStores } from './store-floors.js';

/** What an answer is made of. */
export interface Answer {
  readonly status: number;
  readonly extended?: number;
  readonly message?: object;
}

/** Digest over frames, as `ContainerStatus` has it. */
export function digestOver(frames: readonly EnvelopeOctets[]): Uint8Array | undefined {
  return apex(treesOver(frames).tree);
}

const taken: Answer = { status: 201, message: { Entries: [{ Result: 'Accept', IndexContainer: 1 }] } };

/** What the clocks of service and devices say. */
export const fakeNowMs = 1_700_000_000_000;

const textOf = ({ payload }: EnvelopeOctets) => Buffer.from(payload ?? []).toString('latin1');

function treesOver(frames: readonly EnvelopeOctets[]): Trees {
  return frames.reduce((before, octets) => appendFrame(before, octets).trees, noTrees);
}

function leavesOf(frames: readonly EnvelopeOctets[]): Uint8Array[] {
  let trees = noTrees;
  return frames.map((octets) => {
    const next = appendFrame(trees, octets);
    trees = next.trees;
    return next.frame.leaf;
  });
}

function isSame(known: ContainerStatus, status: ContainerStatus | undefined): boolean {
  const digest = status?.Digest ?? new Uint8Array(0);
  return known.Index === status?.Index && Buffer.compare(known.Digest ?? digest, digest) === 0;
}

function sliced(octets: EnvelopeOctets, offset: number, bytes: number): EnvelopeOctets {
  return { ...octets, payload: octets.payload?.subarray(offset, offset + bytes) ?? null };
}

/** One account's containers. */
export class FakeService {
  readonly containers = new Map<string, EnvelopeOctets[]>();
  /** Frames in one answer; small values force paging. */
  pageFrames = 1000;
  /** What Status and Download show instead of the truth. */
  shown: (name: string, frames: readonly EnvelopeOctets[]) => readonly EnvelopeOctets[] = (_name, frames) => frames;
  /** Runs while a Status waits. */
  whileWaiting: () => Promise<void> = async () => undefined;
  /** Runs before each call; throws where the line breaks. */
  beforeCall: (transaction: Transaction, message: object) => Promise<void> = async () => undefined;
  /** Runs after each call; throws where the answer is lost. */
  afterCall: (transaction: Transaction) => Promise<void> = async () => undefined;
  /** Who signs heads; without a host there are none. */
  host: HostIdentity | undefined;
  givesHeads = true;
  accountUdf = '';
  headsAtMs: () => number = () => fakeNowMs;
  headsChanged: (heads: ContainerHeads) => ContainerHeads = (heads) => heads;
  consistencyChanged: (path: Uint8Array[]) => Uint8Array[] = (path) => path;
  /** Requests that asked for frames, in order. */
  readonly downloads: RequestOf<'Download'>[] = [];
  /** Profiles that were bound, in order. */
  readonly bound: { profileAccount: EnvelopeOctets | undefined; profileMesh: EnvelopeOctets | undefined }[] = [];
  /** Status brings the profile of the Mesh that was bound last. */
  bringsMesh = false;
  /** Identities of uploads, in order. */
  readonly uploadIds: (Uint8Array | undefined)[] = [];
  /** What Post is answered with. */
  postAnswer: (message: RequestOf<'Post'>) => Answer = () => taken;
  /** Posts, in order: the message, and the identity of the request. */
  readonly posts: { readonly message: EnvelopeOctets | undefined; readonly id: Uint8Array | undefined }[] = [];
  /** Runs before each Upload: other writers. */
  beforeUpload: () => Promise<void> = async () => undefined;
  readonly calls: Transaction[] = [];
  /** What Status brings besides. */
  brings: Partial<ResponseOf<'Status'>> = {};
  /** Requests for the state of things, with who signed them. */
  readonly statuses: { readonly message: RequestOf<'Status'>; readonly signers: readonly RequestSigner[] }[] = [];
  /** What the service says it understands. */
  readonly features = new Set<string>(['page', 'filter', 'wait', 'publish', 'offer']);

  /** Another service with the same account, host and features. */
  copy(): FakeService {
    const copy = new FakeService();
    for (const [name, frames] of this.containers) copy.containers.set(name, [...frames]);
    for (const word of this.features) copy.features.add(word);
    copy.bound.push(...this.bound);
    return Object.assign(copy, { host: this.host, accountUdf: this.accountUdf, bringsMesh: this.bringsMesh });
  }

  connect(): ServiceConnection {
    return {
      call: (transaction, message, signers, options) => {
        if (transaction === 'Status') this.statuses.push({ message: message as RequestOf<'Status'>, signers });
        return this.#call(transaction, message, options?.id);
      },
      hello: async () =>
        ({ message: { ConstraintsUpdate: { MaxEntries: 1000 } }, pin: this.#pin() }) as unknown as VerifiedHello,
      offers: async (word) => this.features.has(word),
      close: async () => undefined,
    };
  }

  /** An environment whose device speaks with this service; the clock stands still and nothing waits. */
  environment(nowMs = fakeNowMs): ClientEnvironment {
    return {
      nowMs: () => nowMs,
      random: systemRandom,
      progress: () => undefined,
      pause: async () => undefined,
      connect: () => this.connect(),
    };
  }

  #pin(): object {
    const octets = this.host?.profileService;
    return { domain: fakeDomain, features: [...this.features], profileService: octets && writeEnvelope(octets) };
  }

  async #call<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    id: Uint8Array | undefined,
  ): Promise<VerifiedResponse<T>> {
    this.calls.push(transaction);
    if (transaction === 'Post') this.posts.push({ message: (message as RequestOf<'Post'>).Message?.[0], id });
    await this.beforeCall(transaction, message);
    if (transaction === 'Upload') this.uploadIds.push(id);
    const { status, extended, message: answer } = await this.#answer(transaction, message);
    await this.afterCall(transaction);
    return {
      status,
      statusExtended: extended,
      description: undefined,
      succeeded: status < 300,
      message: (answer ?? {}) as ResponseOf<T>,
    } as VerifiedResponse<T>;
  }

  async #answer(transaction: Transaction, message: object): Promise<Answer> {
    switch (transaction) {
      case 'CreateAccount':
        return this.#create(message as RequestOf<'CreateAccount'>);
      case 'Status':
        return this.#status(message as RequestOf<'Status'>);
      case 'Download':
        return this.#download(message as RequestOf<'Download'>);
      case 'Upload':
        await this.beforeUpload();
        return this.#upload(message as RequestOf<'Upload'>);
      case 'Post':
        return this.postAnswer(message as RequestOf<'Post'>);
      default:
        return { status: 201 };
    }
  }

  #create({ SignedAssertionAccount: profile, SignedProfileMesh: mesh }: RequestOf<'CreateAccount'>): Answer {
    const { value } = decodeTagged(profileRegistry, profile?.payload ?? new Uint8Array(0), { form: 'json' });
    const isKnown = this.accountUdf === value.KeyOfflineSignature?.UDF;
    this.bound.push({ profileAccount: profile, profileMesh: mesh });
    if (isKnown) return { status: 202 };
    this.accountUdf = value.KeyOfflineSignature?.UDF ?? '';
    for (const name of accountSpools) {
      const uniqueId = nonceUdf(systemRandom);
      const draft = frameZero({ contentType: spoolContentType, uniqueId, createdMs: 0 });
      this.containers.set(name, [placeFrame(draft, noTrees).envelope]);
    }
    return { status: 201 };
  }

  #view(name: string): readonly EnvelopeOctets[] {
    return this.shown(name, this.containers.get(name) ?? []);
  }

  #statusOf(name: string): ContainerStatus | undefined {
    const frames = this.#view(name);
    if (frames.length === 0) return undefined;
    const digest = digestOver(frames);
    return { Container: name, Index: frames.length, ...(digest === undefined ? {} : { Digest: digest }) };
  }

  async #status(message: RequestOf<'Status'>): Promise<Answer> {
    const known = message.Known ?? [];
    const changed = () =>
      [...this.containers.keys()].flatMap((name) => {
        const status = this.#statusOf(name);
        const same = known.some((each) => each.Container === name && isSame(each, status));
        return status === undefined || same ? [] : [status];
      });
    if (message.Wait !== undefined && changed().length === 0) await this.whileWaiting();
    const bound = this.bringsMesh ? { EnvelopedProfileMaster: this.bound.at(-1)?.profileMesh } : {};
    return { status: 201, message: { ContainerStatus: changed(), ...this.#heads(), ...bound, ...this.brings } };
  }

  /** Signed heads over what is shown; tests change their time or contents. */
  #heads(): { EnvelopedHeads?: EnvelopeOctets } {
    const { host } = this;
    if (host === undefined || !this.givesHeads) return {};
    const heads = [...this.containers.keys()].flatMap((name) => {
      const frames = this.#view(name);
      const [zero] = frames;
      if (zero === undefined) return [];
      const log = logId(this.accountUdf, name, appendFrame(noTrees, zero).frame.leaf);
      return [{ Container: name, Log: log, Index: frames.length, Root: root(treesOver(frames).log) }];
    });
    const value: ContainerHeads = {
      ...{ Account: this.accountUdf, Service: fakeDomain, Time: new Date(this.headsAtMs()), Heads: heads },
    };
    return { EnvelopedHeads: signedByHost(host, encodeTagged(ContainerHeads, this.headsChanged(value), 'json')) };
  }

  #download(message: RequestOf<'Download'>): Answer {
    const { BytesOffset: offset, BytesMax: bytesMax = Number.POSITIVE_INFINITY } = message.ConstraintsPost ?? {};
    this.downloads.push(message);
    let room = this.pageFrames;
    const updates = (message.Select ?? []).map((select) => {
      const [name, from, to, filtered] = this.#query(select);
      const frames = this.#view(name);
      const end = Math.min(to, frames.length);
      const taken = frames.slice(from, Math.min(end, from + room));
      room -= taken.length;
      const next = from + taken.length;
      const update: ContainerUpdate = { Container: name, ...this.#statusOf(name), Envelopes: taken };
      if (filtered) update.Envelopes = taken.map((octets, at) => (from + at > 0 ? redactEnvelope(octets) : octets));
      if (offset !== undefined) update.Envelopes = taken.map((octets) => sliced(octets, offset, bytesMax));
      if (next < end && this.features.has('page')) update.PageKey = JSON.stringify([name, next, end, filtered]);
      const { ProveFrom: proveFrom } = select;
      if (proveFrom !== undefined && this.host !== undefined) {
        const leaves = leavesOf(frames);
        const path = proveFrom > leaves.length ? [] : consistencyProof(leaves, proveFrom);
        update.Consistency = this.consistencyChanged(path);
      }
      return update;
    });
    return { status: 201, message: { Updates: updates, ...this.#heads() } };
  }

  #query({
    Container: name = '',
    IndexMin: from = 0,
    IndexMax: max,
    PageKey: key,
    Filter: words = [],
  }: ConstraintsSelect) {
    const fresh = [name, from, max === undefined ? Number.POSITIVE_INFINITY : max + 1, words.length > 0];
    return (key === undefined ? fresh : JSON.parse(key)) as [string, number, number, boolean];
  }

  /** Files a message in a spool, as the real service does (encoding 3.9). */
  file(spool: string, octets: EnvelopeOctets): void {
    const frames = this.containers.get(spool) ?? [];
    const digest = sha512(octets.payload ?? new Uint8Array(0));
    const placed = withPayloadDigest(withContainerInfo(octets, { Index: frames.length }), digest);
    this.containers.set(spool, [...frames, placed]);
  }

  #upload(message: RequestOf<'Upload'>): Answer {
    // The very same message is filed once (semantics 5).
    const filed = new Set(this.containers.get(inboundSpool)?.map(textOf));
    for (const octets of message.Self ?? []) if (!filed.has(textOf(octets))) this.file(inboundSpool, octets);
    if (message.Updates === undefined) return { status: 201, message: this.#heads() };
    const { Container: name = '', Index: index, Envelopes: envelopes = [] } = message.Updates?.[0] ?? {};
    const frames = this.containers.get(name) ?? [];
    if (index !== frames.length) return { status: 409, extended: 12 };
    this.containers.set(name, [...frames, ...envelopes]);
    const Entries = envelopes.map((_, at) => ({ IndexRequest: at, IndexContainer: index + at, Result: 'Accept' }));
    return { status: 201, message: { Entries, ...this.#heads() } };
  }
}

/** A fresh folder for a home. */
export function temporaryHome(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'mesh-home-'));
}

/** A copy of a home: a second replica of the same device. */
export async function copyHome(folder: string): Promise<string> {
  const copy = await temporaryHome();
  await cp(folder, copy, { recursive: true });
  return copy;
}

/** A service and a home with a finished account at it. */
export async function accountAt(service: FakeService): Promise<string> {
  const folder = await temporaryHome();
  const address = 'alice@example.com';
  await createAccount(folder, service.environment(), { address, url: 'https://example.com' });
  return folder;
}

/** A service that signs heads. */
export async function signingService(): Promise<FakeService> {
  const service = new FakeService();
  service.features.add('heads-1');
  service.host = await fakeHost(fakeNowMs);
  return service;
}

/**
 * A home of another device, connected by the administrator of a home.
 *
 * @param service one that signs heads
 */
export async function connectedAt(
  service: FakeService,
  administrator: string,
  options: { readonly description?: string; readonly administrator?: boolean; readonly nowMs?: number } = {},
): Promise<string> {
  const { description = 'phone', nowMs = fakeNowMs } = options;
  const environment = service.environment(nowMs);
  const address = 'alice@example.com';
  const made = makeRequest({ address, description, nowMs, random: systemRandom });
  const request = await verifyConnectionRequest(made.message);
  const { body, asked } = await withDevice(administrator, environment, async (device) => {
    const { profileMesh, profileAccount } = device.session.identity;
    const references = [{ MessageID: 'NAAA', Relationship: 'Accept' }];
    const deviceUdf = await connect(device, { request }, { references, administrator: options.administrator });
    const entry = (await deviceEntries(device)).find((each) => each.deviceUdf === deviceUdf);
    const catalog = await device.replica('mmm_Device');
    const { payload } = await catalog.envelope(entry?.current ?? 0);
    const { seeds, profileDevice } = made;
    return {
      body: payload ?? new Uint8Array(0),
      asked: { address, seeds, profileDevice, profileMesh, profileAccount },
    };
  });
  const home = new Home(await temporaryHome());
  const { keys, identity, stores } = await acceptEntry(body, asked);
  await adoptStores(home, stores);
  await saveDeviceKeys(home, keys);
  await saveIdentity(home, identity);
  const { meshUdf, deviceUdf, accountUdf } = identity;
  await saveAccount(home, {
    version: 1,
    address,
    url: 'https://example.com',
    stage: 'ready',
    meshUdf,
    deviceUdf,
    accountUdf,
  });
  return home.folder;
}
