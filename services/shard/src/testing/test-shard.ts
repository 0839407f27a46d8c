import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HostIdentity, initService, issueHost, loadHostIdentity } from '@meshd/binding/host-files';
import { systemRandom } from '@meshd/crypto/random';
import { largeBytesPerAccountMax } from '@meshd/limits/large';
import type { Registration } from '../account-policy.js';
import { OfferTurns } from '../connect/offers.js';
import type { ShardContext } from '../context.js';
import { AccountHeads } from '../heads.js';
import { IdentityNotices, writeIdentityNotice } from '../message/identity-notices.js';
import { IncidentTally } from '../message/incident-tally.js';
import { SendingDomains } from '../message/offers.js';
import { type SitePolicy, sitePolicyDefault } from '../message/site-policy.js';
import { Destinations } from '../outbox/destinations.js';
import { PostRates } from '../outbox/post-rates.js';
import { recordIncident, serviceAccount } from '../service-records.js';
import { StatusWaits } from '../status-waits.js';
import { type CreateAccountResult, createAccount } from '../transactions/create-account.js';
import { type UploadRequest, type UploadResult, type UploadUpdate, upload } from '../transactions/upload.js';
import { noWakeUps } from '../wake-ups.js';
import { MemoryStore } from './memory-store.js';
import { entry, opening, type Person, type TestDevice, TestWriter } from './person.js';

/** A shard without rpc and database, its clock in the test's hand. */
export class TestShard {
  nowMs = 1_767_225_600_000;
  registration: Registration = 'open';
  site: SitePolicy = sitePolicyDefault;
  /** Domains that are served here. */
  readonly domains = new Set(['example.com']);
  readonly store = new MemoryStore(() => this.nowMs);
  #context: ShardContext | undefined;
  #requestCount = 0;

  /** Makes service and host; call it once. */
  async start(): Promise<this> {
    const directory = await mkdtemp(join(tmpdir(), 'meshd-shard-'));
    await initService(directory, { nowMs: this.nowMs });
    await issueHost(directory, 'shard', { nowMs: this.nowMs, domains: ['example.com'] });
    const host = await loadHostIdentity(join(directory, 'shard'));
    await rm(directory, { recursive: true });
    const service = { udf: host.serviceUdf, offlineKey: new Uint8Array(57), profile: host.profileService };
    await this.store.ensureService(() => serviceAccount(service, this.nowMs, systemRandom));
    this.#context = {
      store: this.store,
      host: () => host,
      clock: () => this.nowMs,
      random: systemRandom,
      registration: this.registration,
      heads: new AccountHeads(() => host),
      waits: new StatusWaits(),
      domains: this.domains,
      site: this.site,
      sendingDomains: new SendingDomains(),
      offerTurns: new OfferTurns(),
      incidents: new IncidentTally((incident) => {
        const maker = { host, nowMs: this.nowMs, random: systemRandom };
        return recordIncident(this.context.store, maker, incident);
      }),
      identityNotices: new IdentityNotices((change) => {
        const maker = { host, nowMs: this.nowMs, random: systemRandom };
        return writeIdentityNotice(this.context.store, maker, change);
      }),
      destinations: new Destinations(() => this.context.store.outbox),
      postRates: new PostRates(),
      largeBytesMax: largeBytesPerAccountMax,
      wakeUps: noWakeUps,
    };
    return this;
  }

  get context(): ShardContext {
    const { registration, site } = this;
    return { ...(this.#context as ShardContext), registration, site };
  }

  /** The host whose key signs what the service makes. */
  get host(): HostIdentity {
    return this.context.host();
  }

  async create(person: Person): Promise<CreateAccountResult> {
    return createAccount(this.context, person.address, await person.createRequest(this.nowMs));
  }

  /** An upload under a fresh request identity. */
  upload(
    device: Pick<TestDevice, 'principal'>,
    updates: readonly Partial<UploadUpdate>[],
    identity = this.identity(),
    more: Partial<UploadRequest> = {},
  ): Promise<UploadResult> {
    const whole = updates.map((update) => ({
      container: 'mmm_Credential',
      index: undefined,
      digest: undefined,
      envelopes: [],
      ...update,
    }));
    const request = { principal: device.principal, identity, updates: whole, self: [], heads: false, ...more };
    return upload(this.context, request);
  }

  identity() {
    this.#requestCount += 1;
    const id = new Uint8Array(24).fill(0);
    id[23] = this.#requestCount % 256;
    id[22] = Math.floor(this.#requestCount / 256);
    return { id, payloadDigest: systemRandom(64) };
  }

  /** Makes the account and lists its first device, which administers it. */
  async join(person: Person, device: TestDevice): Promise<TestWriter> {
    await this.create(person);
    const writer = new TestWriter('mmm_Device', person.accountUdf, person.admin);
    const { envelopes } = writer.write([opening(), entry({ UniqueID: device.udf, Event: 'New' }, device.entry)]);
    const result = await this.upload(device, [{ container: 'mmm_Device', envelopes }]);
    if ('faults' in result) throw new Error(`device refused: ${result.faults[0]?.detail}`);
    return writer;
  }
}
