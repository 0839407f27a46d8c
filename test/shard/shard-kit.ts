/** A shard with a real database behind its real rpc, and a router's end of it. */
import { readFile } from 'node:fs/promises';
import { makeRequestId } from '@meshd/binding/request-id';
import { systemRandom } from '@meshd/crypto/random';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { shardSettings } from '@meshd/dev/service-settings';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { readConfig } from '@meshd/process/config';
import type {
  DownloadPart,
  DownloadRequest,
  Envelope,
  Selection,
  Status,
  TransactRequest,
  TransactResponse,
  Upload,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { connectShard, type ShardConnection } from '@meshd/rpc/shard-client';
import { type Shard, startShard } from '@meshd/shard/compose';
import { shardSettings as shardSchema } from '@meshd/shard/config';
import { entry, opening, type Person, type TestDevice, TestWriter } from '@meshd/shard/testing/person';

export type Transaction = NonNullable<TransactRequest['transaction']>;
type Identity = NonNullable<TransactRequest['identity']>;

/** An envelope as the rpc carries it. */
export function rpcEnvelope({ header, payload, trailer }: EnvelopeOctets): Envelope {
  return { header, payload: payload ?? undefined, trailer: trailer ?? undefined };
}

/** Who asks, as a router says it. */
export function rpcPrincipal({ principal }: TestDevice) {
  const { account, key, connectionDigest, connection } = principal;
  return { account, key, connectionDigest, connection: connection && rpcEnvelope(connection) };
}

/** A request's identity. */
export function identity(): Identity {
  return { id: makeRequestId(Date.now(), systemRandom), payloadDigest: systemRandom(64) };
}

/** A provider's shards, to start and stop one by one. */
export class ShardKit {
  readonly #plan: Awaited<ReturnType<typeof makeTestPlan>>;
  readonly #running = new Map<string, { shard: Shard; link: ShardConnection }>();

  private constructor(plan: Awaited<ReturnType<typeof makeTestPlan>>) {
    this.#plan = plan;
  }

  static async make(shardCount = 1): Promise<ShardKit> {
    return new ShardKit(await makeTestPlan({ domains: ['example.com'], shardCount }));
  }

  /** Starts the shard at this place of the plan and connects to it as a router. */
  async start(at = 0, settings: Readonly<Record<string, string>> = {}): Promise<Shard> {
    const { plan } = this.#plan;
    const shardPlan = plan.shards[at] as (typeof plan.shards)[number];
    const config = readConfig(shardSchema, { ...shardSettings(plan, shardPlan), ...settings });
    const shard = await startShard(config, { drainMs: 0, leaseWaitMsMax: 2000 });
    this.#running.set(shardPlan.name, { shard, link: await this.connect(shard, 'router') });
    return shard;
  }

  /** Another connection to a running shard; whoever asks for it closes it. */
  async connect(shard: Shard, role: 'router' | 'outbound'): Promise<ShardConnection> {
    const { certificates } = this.#plan.plan;
    const { certFile, keyFile } = certificates.internal[role];
    const [certificate, key, authority] = await Promise.all(
      [certFile, keyFile, certificates.internalCaFile].map((file) => readFile(file)),
    );
    return connectShard({
      address: `127.0.0.1:${shard.rpcAddress.port}`,
      identity: { certificate, key, authority } as Parameters<typeof connectShard>[0]['identity'],
    });
  }

  /** Where wake-ups go. */
  get redisUrl(): string {
    return this.#plan.plan.redisUrl;
  }

  get names(): string[] {
    return this.#plan.plan.shards.map(({ name }) => name);
  }

  /** Address of a shard's database. */
  databaseUrl(at = 0): string {
    return this.#plan.plan.shards[at]?.postgresUrl ?? '';
  }

  link(at = 0): ShardConnection {
    return (this.#running.get(this.names[at] ?? '') as { link: ShardConnection }).link;
  }

  async stop(at = 0): Promise<void> {
    const name = this.names[at] ?? '';
    const running = this.#running.get(name);
    this.#running.delete(name);
    running?.link.close();
    await running?.shard.stop();
  }

  async remove(): Promise<void> {
    for (const at of this.names.keys()) await this.stop(at);
    await this.#plan.remove();
  }

  transact(transaction: Transaction, asked = identity(), at = 0): Promise<TransactResponse> {
    return this.link(at).transact({ mapVersion: 0, identity: asked, describePrincipal: false, transaction }, 5000);
  }

  async create(person: Person, at = 0): Promise<TransactResponse> {
    const request = rpcEnvelope(await person.createRequest(Date.now()));
    return this.transact({ $case: 'createAccount', value: { account: person.address, request } }, identity(), at);
  }

  upload(
    device: TestDevice,
    container: string,
    envelopes: readonly EnvelopeOctets[],
    asked = identity(),
    more: Partial<Upload> = {},
  ) {
    const updates = [{ container, envelopes: envelopes.map(rpcEnvelope) }];
    const value = { principal: rpcPrincipal(device), updates, self: [], heads: false, ...more };
    return this.transact({ $case: 'upload', value }, asked);
  }

  /** Account and device listed. @returns the writer of the device catalog */
  async join(person: Person, device: TestDevice): Promise<TestWriter> {
    await this.create(person);
    const writer = new TestWriter('mmm_Device', person.accountUdf, person.admin);
    const drafts = [opening(), entry({ UniqueID: device.udf, Event: 'New' }, device.entry)];
    const { outcome } = await this.upload(device, 'mmm_Device', writer.write(drafts).envelopes);
    if (outcome?.status !== 201) throw new Error(`device refused: ${outcome?.error} ${outcome?.detail}`);
    return writer;
  }

  /** The whole answer to a Status. */
  statusAnswer(device: TestDevice, more: Partial<Status> = {}, deadlineMs = 5000): Promise<TransactResponse> {
    const value = {
      principal: rpcPrincipal(device),
      deviceUdf: '',
      profileMasterDigest: new Uint8Array(0),
      containers: [],
      known: [],
      heads: false,
      ...more,
    };
    const ask = { mapVersion: 0, identity: identity(), describePrincipal: true };
    return this.link().transact({ ...ask, transaction: { $case: 'status', value } }, deadlineMs);
  }

  async status(device: TestDevice, more: Partial<Status> = {}) {
    const { outcome, result } = await this.statusAnswer(device, more);
    if (result?.$case !== 'status') throw new Error(`no status: ${outcome?.error}`);
    return result.value;
  }

  async download(
    device: TestDevice,
    container: string,
    more: Partial<DownloadRequest> = {},
    selection: Partial<Selection> = {},
  ) {
    const request: DownloadRequest = {
      mapVersion: 0,
      deadlineMs: 5000,
      identity: identity(),
      principal: rpcPrincipal(device),
      selections: [{ container, filters: [], prove: false, ...selection }],
      entriesMax: 1000,
      payloadBytesMax: 8 * 1024 * 1024,
      header: true,
      payload: true,
      trailer: true,
      heads: false,
      describePrincipal: false,
      ...more,
    };
    const parts: NonNullable<DownloadPart['part']>[] = [];
    for await (const { part } of this.link().download(request)) if (part !== undefined) parts.push(part);
    const frames = parts.flatMap((part) => (part.$case === 'frames' ? part.value.envelopes : []));
    const proofs = parts.flatMap((part) => (part.$case === 'frames' ? part.value.proofs : []));
    return { parts, frames, proofs };
  }
}
