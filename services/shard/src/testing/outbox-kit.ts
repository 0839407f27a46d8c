/** For tests of the outbox: a shard with a real database, and messages as a device makes them (S41 kind 2, S71). */
import { sha512 } from '@meshd/crypto/digest';
import type { SigningKey } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { coreOfFrame } from '@meshd/dare/core';
import { type EnvelopeOctets, makeEnvelope, openEnvelope, writeContentMeta } from '@meshd/dare/envelope';
import type { SignatureEntry } from '@meshd/dare/header';
import { type ManifestFields, manifestKinds, recipientsObject, signManifest } from '@meshd/dare/manifest';
import { signatureEntry } from '@meshd/dare/sign';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { writeJson } from '@meshd/encoding/json-writer';
import { MessageComplete, type Reference } from '@meshd/schema/messages-mesh';
import type { ShardContext } from '../context.js';
import { Destinations } from '../outbox/destinations.js';
import { type LeaseResult, leaseOutbox } from '../outbox/lease.js';
import { type SettleRequest, settleOutbox } from '../outbox/settle.js';
import { serviceAccount } from '../service-records.js';
import type { LeasedRow } from '../storage/outbox-store.js';
import type { FrameRow, Store } from '../storage/store.js';
import type { StoreOptions } from '../storage/store-options.js';
import { openTestStore, shardDatabase, type TestDatabase } from '../storage/test-kit.js';
import { type PostAnswered, type PostRequest, type PostResult, post } from '../transactions/post.js';
import type { WakeUp } from '../wake-ups.js';
import { Person, type TestDevice } from './person.js';
import { TestShard } from './test-shard.js';

/** What a message to others is made of. */
export interface MessageDraft {
  readonly to: readonly string[];
  readonly uniqueId?: string;
  readonly type?: string;
  readonly payload?: Uint8Array;
  /** As the header says; `none`: in clear. */
  readonly enc?: string;
  /** Names of the keys that the header says it is encrypted to. */
  readonly readers?: readonly string[];
  /** In place of the device's own. */
  readonly signer?: SigningKey;
  readonly manifest?: Partial<ManifestFields>;
  readonly entry?: Partial<SignatureEntry>;
}

/** A message to others, encrypted as far as anybody can see. */
export function messageOf(person: Person, device: TestDevice, nowMs: number, draft: MessageDraft): EnvelopeOctets {
  const { to, uniqueId = nonceUdf(systemRandom), type = 'RequestConfirmation', payload = systemRandom(64) } = draft;
  const signer = draft.signer ?? device.signature;
  const meta = { UniqueID: uniqueId, MessageType: type, cty: 'application/mmm' };
  const { enc = 'A256CBC' } = draft;
  const recipients = draft.readers?.map((kid) => ({ kid }));
  const header = {
    ...{ dig: 'S512', enc, ContentMetaData: writeContentMeta(meta) },
    ...(recipients === undefined ? {} : { recipients }),
  };
  const core = coreOfFrame(openEnvelope(makeEnvelope({ header, payload })), sha512(payload));
  const fields = {
    ...{ kind: manifestKinds.message, from: 0, index: 0, root: new Uint8Array(32), createdMs: nowMs },
    ...{ subject: person.address, object: recipientsObject(to), ...draft.manifest },
  };
  const entry = signatureEntry(signer, payload, {
    Manifest: signManifest(signer, fields as ManifestFields, core),
    Account: person.profileAccount,
    Connection: device.connection,
  });
  return makeEnvelope({ header, payload, trailer: { signatures: [{ ...entry, ...draft.entry }] } });
}

/** A shard whose store is Postgres. */
export class OutboxShard extends TestShard {
  readonly database: TestDatabase;
  readonly woken: WakeUp[] = [];
  #stored: Store;
  #destinations = new Destinations(() => this.#stored.outbox);

  private constructor(database: TestDatabase, stored: Store) {
    super();
    this.database = database;
    this.#stored = stored;
  }

  /** Makes the database and opens it. */
  static async open(options: Partial<StoreOptions> = {}): Promise<OutboxShard> {
    const database = await shardDatabase();
    const shard: OutboxShard = new OutboxShard(database, await openTestStore(database.url, options));
    await shard.start();
    await shard.#makeService();
    return shard;
  }

  override get context(): ShardContext {
    const wakeUps = { wake: (lanes: readonly WakeUp[]) => void this.woken.push(...lanes), stop: async () => {} };
    return { ...super.context, store: this.#stored, destinations: this.#destinations, wakeUps };
  }

  /** As after a crash of the process: nothing is left but the database. */
  async restart(): Promise<void> {
    await this.#stored.stop();
    this.#stored = await openTestStore(this.database.url);
    this.#destinations = new Destinations(() => this.#stored.outbox);
    await this.#makeService();
  }

  async close(): Promise<void> {
    await this.#stored.stop();
    await this.database.drop();
  }

  async #makeService(): Promise<void> {
    const { host } = this;
    const service = { udf: host.serviceUdf, offlineKey: new Uint8Array(57), profile: host.profileService };
    await this.#stored.ensureService(() => serviceAccount(service, this.nowMs, systemRandom));
  }

  /** A person with an account and a listed device. */
  async person(name: string): Promise<Sender> {
    const person = new Person(name);
    const device = person.device();
    await this.join(person, device);
    return new Sender(this, person, device);
  }

  lease(domain: string, lane: number, more: Partial<Parameters<typeof leaseOutbox>[1]> = {}): Promise<LeaseResult> {
    const request = { owner: 'worker', domain, lane, rowsMax: 64, bytesMax: 2 ** 22, leaseMs: 30_000, ...more };
    return leaseOutbox(this.context, request);
  }

  settle(domain: string, lane: number, more: Partial<SettleRequest>): ReturnType<typeof settleOutbox> {
    const nothing = { owner: 'worker', domain, lane, rows: [], destination: undefined };
    return settleOutbox(this.context, { ...nothing, ...more });
  }

  /** Rows of the outbox as they lie in the database, oldest first. */
  rows(): Promise<{ id: string; sender: string; recipient: string; attempts: number; lease_owner: string | null }[]> {
    return this.database.query('SELECT id, sender, recipient, attempts, lease_owner FROM outbox ORDER BY id');
  }
}

/** Who posts. */
export class Sender {
  readonly shard: OutboxShard;
  readonly person: Person;
  readonly device: TestDevice;

  constructor(shard: OutboxShard, person: Person, device: TestDevice) {
    this.shard = shard;
    this.person = person;
    this.device = device;
  }

  message(draft: MessageDraft): EnvelopeOctets {
    return messageOf(this.person, this.device, this.shard.nowMs, draft);
  }

  post(more: Partial<PostRequest>): Promise<PostResult> {
    const { principal } = this.device;
    const request = { principal, identity: this.shard.identity(), accounts: [], messages: [], self: [], ...more };
    return post(this.shard.context, request);
  }

  /** Posts one message to the recipients it names. Throws when it was refused. */
  async send(...to: string[]): Promise<PostAnswered> {
    const result = await this.post({ accounts: to, messages: [this.message({ to })] });
    if ('faults' in result) throw new Error('refused');
    return result;
  }

  /** Frames of the outbound spool behind frame 0. */
  async frames(): Promise<FrameRow[]> {
    return this.shard.context.store.readAccount(this.person.address, async (reader) => {
      const spool = reader.state?.containers.get('mmm_Outbound');
      if (spool === undefined) throw new Error('no spool');
      const frames: FrameRow[] = [];
      for await (const rows of reader.frames(spool, { from: 1, to: spool.frameCount })) frames.push(...rows);
      return frames;
    });
  }

  /** What all marks say, in order. */
  async marks(): Promise<Reference[]> {
    const tags = defineTags('mark', { MessageComplete });
    const marks = (await this.frames()).filter((frame) => typeOf(frame) === 'MessageComplete');
    return marks.flatMap(
      ({ payload }) => decodeTagged(tags, payload as Uint8Array, { form: 'json' }).value.References ?? [],
    );
  }
}

/** `MessageType` of a frame. */
export function typeOf(frame: FrameRow): string | undefined {
  return openEnvelope(frame).contentMetaData?.MessageType;
}

/** Outcomes of rows, all the same. */
export function each(
  rows: readonly LeasedRow[],
  outcome: SettleRequest['rows'][number]['outcome'],
): SettleRequest['rows'] {
  return rows.map(({ id }) => ({ id, outcome }));
}

/** A message that nobody reads, signed by nobody: what is put where a receipt stands. */
export function anyReceipt(): EnvelopeOctets {
  return makeEnvelope({ header: { dig: 'S512' }, payload: writeJson({ DeliveryReceipt: {} }) });
}
