/**
 * A service that keeps the containers of one account and signs heads over them, as a real one does, and that lies in one
 * point when it is told to. What clients make of its lies, the tests of this folder say; each lie has a file of its own.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostIdentity } from '@meshd/binding/host-files';
import { decodeRequest, type ReceivedRequest } from '@meshd/binding/request-open';
import { withDevice } from '@meshd/client/device';
import { type ClientEnvironment, systemEnvironment } from '@meshd/client/environment';
import { ClientError } from '@meshd/client/errors';
import { loadEvidence } from '@meshd/client/evidence';
import { Home } from '@meshd/client/home';
import { createAccount } from '@meshd/client/operations/create-account';
import { type SyncedContainer, syncAccount } from '@meshd/client/operations/sync';
import { uploadFiles } from '@meshd/client/operations/upload';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { frameZero, placeFrame } from '@meshd/dare/batch';
import { coreOfFrame, leafOfFrame, logId } from '@meshd/dare/core';
import { digestOf, type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { appendLeaf, consistencyProof, emptyLog, root } from '@meshd/dare/log-tree';
import { apex, appendDare, emptyDareTree } from '@meshd/dare/merkle';
import { headerWith } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import type { ContainerUpdate } from '@meshd/schema/common';
import { accountSpools, itemContentType, spoolContentType } from '@meshd/schema/container-name';
import { verifyProfile } from '@meshd/schema/profile-check';
import type { RequestOf } from '@meshd/schema/protocol';
import { ContainerHeads } from '@meshd/schema/service';
import {
  answer,
  domain,
  helloAnswer,
  makeIdentity,
  type RawAnswer,
  ScriptedService,
} from '../client/scripted-service.js';
import type { Refusal } from './refusals.js';

export type Frames = readonly EnvelopeOctets[];

/** The container that the tests are about. */
export const container = 'my_Notes';

const hourMs = 3600_000;
const features = ['auth-1', 'host-1', 'manifest-1', 'gcm-1', 'entry', 'wait', 'heads-1'] as const;

/** Both trees over frames, whatever was done to them. */
function treesOf(frames: Frames) {
  let tree = emptyDareTree;
  let log = emptyLog;
  const leaves: Uint8Array[] = [];
  for (const [at, octets] of frames.entries()) {
    const opened = openEnvelope(octets);
    const digest = opened.payload === null ? (opened.payloadDigest ?? new Uint8Array(64)) : digestOf(opened.payload);
    const leaf = leafOfFrame(at, coreOfFrame(opened, digest), opened.signatures);
    leaves.push(leaf);
    tree = appendDare(tree, digest).state;
    log = appendLeaf(log, leaf);
  }
  return { digest: apex(tree), root: root(log), leaves };
}

/** One lie each; the truth where absent. */
export interface Lies {
  /** Frames as Download gives them; heads and Status stay those of the true ones. */
  given?: (frames: Frames) => Frames;
  /** Frames that Download, Status and heads alike are of. */
  shown?: (frames: Frames) => Frames;
  /** Heads in place of those that were made just now. */
  heads?: (honest: EnvelopeOctets) => EnvelopeOctets | undefined;
  /** Who signs heads. */
  headSigner?: HostIdentity;
  /** Who signs answers other than Hello. */
  answerSigner?: HostIdentity;
  /** What proves consistency. */
  consistency?: (honest: readonly Uint8Array[]) => readonly Uint8Array[];
}

/** The service. */
export class KeepingService {
  readonly scripted: ScriptedService;
  containers = new Map<string, Frames>();
  lies: Lies = {};
  accountUdf = '';
  nowMs = () => Date.now();

  private constructor(scripted: ScriptedService) {
    this.scripted = scripted;
    scripted.respond = (request) => this.#respond(request);
  }

  static async start(): Promise<KeepingService> {
    const service = new KeepingService(await ScriptedService.start());
    // An hour old, so that it is in force whatever times heads name.
    service.scripted.identity = await makeIdentity(service.folder, { nowMs: Date.now() - hourMs });
    return service;
  }

  /** Files of the service, from which hosts are issued. */
  get folder(): string {
    return join(this.scripted.folder, 'kept');
  }

  stop(): Promise<void> {
    return this.scripted.stop();
  }

  /** Calls of a transaction so far. */
  callCount(transaction: string): number {
    return this.scripted.requests.filter(({ base }) => base.transaction === transaction).length;
  }

  async #respond(received: ReceivedRequest): Promise<RawAnswer> {
    const { identity } = this.scripted;
    const { transaction } = received.base;
    if (transaction === 'Hello') {
      return { httpStatus: 201, body: await helloAnswer(identity, received, { features }) };
    }
    const { tag, message } = await this.#perform(received);
    const { Status = 201 } = message as { Status?: number };
    const body = await answer(this.lies.answerSigner ?? identity, received, tag, message);
    return { httpStatus: Status, body };
  }

  async #perform(received: ReceivedRequest): Promise<{ tag: string; message: object }> {
    const { request } = decodeRequest(received);
    switch (request.transaction) {
      case 'CreateAccount':
        return { tag: 'CreateResponse', message: await this.#create(request.message) };
      case 'Status':
        return { tag: 'StatusResponse', message: this.#status(request.message) };
      case 'Download':
        return { tag: 'DownloadResponse', message: this.#download(request.message) };
      case 'Upload':
        return { tag: 'UploadResponse', message: this.#upload(request.message) };
      default:
        return { tag: 'MeshResponse', message: { Status: 501 } };
    }
  }

  async #create({ SignedAssertionAccount: assertion }: RequestOf<'CreateAccount'>): Promise<object> {
    if (assertion === undefined) return { Status: 400 };
    this.accountUdf = (await verifyProfile(assertion, 'ProfileAccount')).offlineKey.udf;
    for (const name of accountSpools) {
      const draft = frameZero({ contentType: spoolContentType, uniqueId: nonceUdf(systemRandom), createdMs: 0 });
      this.containers.set(name, [placeFrame(draft, { tree: emptyDareTree, log: emptyLog }).envelope]);
    }
    return {};
  }

  #view(name: string): Frames {
    const frames = this.containers.get(name) ?? [];
    return name === container ? (this.lies.shown?.(frames) ?? frames) : frames;
  }

  /** Heads over what is shown, unless others are to be sent. */
  #heads(): { EnvelopedHeads?: EnvelopeOctets } {
    const views = [...this.containers.keys()].map((name) => [name, this.#view(name)] as const);
    const honest = signedHeads(this.lies.headSigner ?? this.scripted.identity, {
      accountUdf: this.accountUdf,
      timeMs: this.nowMs(),
      containers: views.filter(([, frames]) => frames.length > 0),
    });
    const sent = this.lies.heads === undefined ? honest : this.lies.heads(honest);
    return sent === undefined ? {} : { EnvelopedHeads: sent };
  }

  #status({ Known: known = [] }: RequestOf<'Status'>): object {
    const all = [...this.containers.keys()].flatMap((name) => {
      const frames = this.#view(name);
      if (frames.length === 0) return [];
      const { digest } = treesOf(frames);
      return [{ Container: name, Index: frames.length, Digest: digest }];
    });
    const isKnown = (name: string, index: number) =>
      known.some(({ Container, Index }) => Container === name && Index === index);
    const ContainerStatus = all.filter(({ Container, Index }) => !isKnown(Container, Index));
    return { ContainerStatus, ...this.#heads() };
  }

  #download({ Select: selects = [] }: RequestOf<'Download'>): object {
    const Updates = selects.map(
      ({ Container: name = '', IndexMin: from = 0, ProveFrom: proveFrom }): ContainerUpdate => {
        const frames = this.#view(name);
        const given = name === container ? (this.lies.given?.(frames) ?? frames) : frames;
        const { digest, leaves } = treesOf(frames);
        const honest = proveFrom === undefined || proveFrom > leaves.length ? [] : consistencyProof(leaves, proveFrom);
        const proof = this.lies.consistency?.(honest) ?? honest;
        return {
          Container: name,
          Index: frames.length,
          Digest: digest,
          Envelopes: given.slice(from),
          ...(proveFrom === undefined ? {} : { Consistency: [...proof] }),
        };
      },
    );
    return { Updates, ...this.#heads() };
  }

  #upload({ Updates: updates = [] }: RequestOf<'Upload'>): object {
    const { Container: name = '', Index: index, Envelopes: envelopes = [] } = updates[0] ?? {};
    const frames = this.containers.get(name) ?? [];
    if (index !== frames.length) return { Status: 409, StatusExtended: 12 };
    this.containers.set(name, [...frames, ...envelopes]);
    const Entries = envelopes.map((_, at) => ({ IndexRequest: at, IndexContainer: index + at, Result: 'Accept' }));
    return { Entries, ...this.#heads() };
  }
}

interface HeadsOf {
  readonly accountUdf: string;
  readonly timeMs: number;
  readonly containers: readonly (readonly [name: string, frames: Frames])[];
}

/** Heads as a host signs them (S45). */
export function signedHeads(host: HostIdentity, { accountUdf, timeMs, containers }: HeadsOf): EnvelopeOctets {
  const Heads = containers.map(([name, frames]) => {
    const { root: Root, leaves } = treesOf(frames);
    return { Container: name, Log: logId(accountUdf, name, leaves[0] as Uint8Array), Index: frames.length, Root };
  });
  const value = { Account: accountUdf, Service: domain, Time: new Date(timeMs), Heads };
  const payload = encodeTagged(ContainerHeads, value, 'json');
  const { signingKey, profileHost: Profile, connectionHost: Connection } = host;
  const digest = digestOf(payload);
  const entry = { alg: 'S512', kid: signingKey.publicKey.udf, signature: signingKey.sign(digest), Profile, Connection };
  return makeEnvelope({
    header: headerWith({}, { MessageType: ContainerHeads.name }, itemContentType),
    payload,
    trailer: { signatures: [entry], PayloadDigest: digest },
  });
}

/** A device of the account, or a copy of it: a second device as far as replicas go. */
export class TestHome {
  readonly folder: string;
  readonly environment: ClientEnvironment;

  constructor(folder: string) {
    this.folder = folder;
    this.environment = { ...systemEnvironment(), pause: async () => undefined };
  }

  static async withAccount(service: KeepingService): Promise<TestHome> {
    const home = new TestHome(await mkdtemp(join(tmpdir(), 'mesh-home-')));
    const { url, ca } = service.scripted;
    await createAccount(home.folder, home.environment, { address: `alice@${domain}`, url, ca });
    return home;
  }

  async copy(): Promise<TestHome> {
    const folder = await mkdtemp(join(tmpdir(), 'mesh-home-'));
    await cp(this.folder, folder, { recursive: true });
    return new TestHome(folder);
  }

  /** The same device, which has not seen anything yet. */
  async fresh(): Promise<TestHome> {
    const copied = await this.copy();
    await rm(join(copied.folder, 'containers'), { recursive: true });
    await rm(join(copied.folder, 'heads.dare'), { force: true });
    return copied;
  }

  upload(...names: string[]) {
    const files = names.map((name) => ({ name, content: Buffer.from(`content of ${name}`) }));
    return withDevice(this.folder, this.environment, (device) => uploadFiles(device, container, files));
  }

  sync(): Promise<SyncedContainer[]> {
    return withDevice(this.folder, this.environment, (device) => syncAccount(device));
  }

  /** Frames of the container that this device takes for authentic. */
  async frameCount(): Promise<number> {
    const stored = await new Home(this.folder).readJson<{ size: number }>('containers', `${container}.head.json`);
    return stored?.size ?? 0;
  }

  evidence() {
    return loadEvidence(new Home(this.folder));
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

/** How a device refused: code and message. @throws Error if it did not */
export async function refusalOf(work: Promise<unknown>): Promise<Refusal> {
  const error = await work.then(
    () => new Error('no refusal'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof ClientError)) throw error;
  return { code: error.code, message: error.message };
}

/** What every file of this folder begins with: three entries, uploaded one after the other, and two devices. */
export interface Scene {
  readonly service: KeepingService;
  /** Has seen everything. */
  readonly home: TestHome;
  /** Has seen nothing. */
  readonly fresh: TestHome;
  end(): Promise<void>;
}

export async function setScene(): Promise<Scene> {
  const service = await KeepingService.start();
  const home = await TestHome.withAccount(service);
  for (const name of ['a', 'b', 'c']) await home.upload(name);
  const fresh = await home.fresh();
  const end = async () => {
    await service.stop();
    await home.remove();
    await fresh.remove();
  };
  return { service, home, fresh, end };
}
