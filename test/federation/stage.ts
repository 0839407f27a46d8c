/**
 * The stage of the federation tests, one for a test run: the provider under test, a DNS server by which it finds peers, and
 * the authority of the peers' certificates. Set up by the runner; nothing of it starts before a test asks for it.
 *
 * The provider is that of the environment (README.md), or one of our own with all its processes. Tests talk to the stage
 * over HTTP, since each runs in a process of its own: `POST /` starts it and tells what there is, `PUT /zone/NAME` sets what
 * the DNS says of a peer, `GET /asked/QUESTION` how often it was asked, `POST /retry/DOMAIN` and `POST /drop/DOMAIN` have
 * an operator do that, where the provider is ours.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ensureServerCertificate } from '@meshd/dev/certificates';
import { type DnsServer, startDnsServer } from '@meshd/dev/dns-server';
import type { Zone } from '@meshd/dev/dns-zone';
import { freePorts } from '@meshd/dev/ports';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import type { ProviderPlan } from '@meshd/dev/service-settings';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { removeAtEnd } from '@meshd/dev/watchdog';
import { parseHostPort } from '@meshd/process/setting';
import { roleName } from '@meshd/rpc/credentials';
import { connectShard } from '@meshd/rpc/shard-client';
import type { TestProject } from 'vitest/node';

/** What a test is told of the stage. */
export interface StageReport {
  /** Domain, base URL and certificate authority (a file) of the provider under test. */
  readonly domain: string;
  readonly url: string;
  readonly caFile: string;
  /** Folder of the authority by which it trusts peers. */
  readonly peerAuthority: string;
  /** Whether it is ours: what only our operators can do, can be done. */
  readonly isOurs: boolean;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Base URL of the stage. */
    federationStage: string;
  }
}

/** The provider under test, as the environment names it. */
const given = {
  url: process.env.MESHD_FEDERATION_URL,
  domain: process.env.MESHD_FEDERATION_DOMAIN ?? 'alpha.test',
  caFile: process.env.MESHD_FEDERATION_CA_FILE ?? '',
  dns: process.env.MESHD_FEDERATION_DNS ?? '',
  peerAuthority: process.env.MESHD_FEDERATION_PEER_AUTHORITY,
};

/** Where peers are: this machine, and of it only what peers are given. */
const peerAddress = '127.0.0.1';
const operatorMsMax = 5000;

class Stage {
  readonly #undo: (() => Promise<unknown>)[] = [];
  readonly #zones = new Map<string, Zone>();
  #dns: DnsServer | undefined;
  #plan: ProviderPlan | undefined;
  #report: Promise<StageReport> | undefined;

  start(): Promise<StageReport> {
    this.#report ??= this.#start();
    return this.#report;
  }

  async #start(): Promise<StageReport> {
    const folder = await mkdtemp(join(tmpdir(), 'meshd-federation-'));
    removeAtEnd(folder);
    this.#undo.push(() => rm(folder, { recursive: true, force: true }));
    const peerAuthority = given.peerAuthority ?? join(folder, 'authority');
    // So that the authority is there before anybody is told to trust it.
    const { caFile } = await ensureServerCertificate(peerAuthority, 'nobody', ['nobody.invalid'], Date.now());
    const port = given.url === undefined ? 0 : (parseHostPort(given.dns)?.port ?? 0);
    this.#dns = await startDnsServer({ records: [] }, port);
    this.#undo.push(() => this.#dns?.stop() ?? Promise.resolve());
    if (given.url !== undefined) {
      return { domain: given.domain, url: given.url, caFile: given.caFile, peerAuthority, isOurs: false };
    }
    return { ...(await this.#ownProvider(this.#dns.address, caFile)), peerAuthority, isOurs: true };
  }

  async #ownProvider(dnsAddress: string, peerCaFile: string) {
    const { plan: planned, folder, remove } = await makeTestPlan({ domains: [given.domain] });
    this.#undo.push(remove);
    const [port] = (await freePorts(1)) as [number];
    this.#plan = { ...planned, port };
    const outbound = {
      MESHD_DISCOVERY_SERVERS: dnsAddress,
      MESHD_DISCOVERY_ALLOW: peerAddress,
      MESHD_PEER_CA_FILE: peerCaFile,
    };
    const processes = new ProviderProcesses(this.#plan, join(folder, 'logs'), { settings: { outbound } });
    this.#undo.push(() => processes.stop());
    await processes.start();
    return { domain: given.domain, url: processes.url, caFile: planned.certificates.caFile };
  }

  async setZone(name: string, zone: Zone): Promise<void> {
    this.#zones.set(name, zone);
    const zones = [...this.#zones.values()];
    await this.#dns?.setZone({
      records: zones.flatMap(({ records }) => records),
      faults: Object.assign({}, ...zones.map(({ faults }) => faults)),
      negativeTtl: 1,
    });
  }

  async asked(question: string): Promise<number> {
    return (await this.#dns?.asked(question)) ?? 0;
  }

  /** What an operator asks of every shard; nobody where the provider is not ours. */
  async operate(action: string, domain: string): Promise<void> {
    if (this.#plan === undefined) return;
    const { certificates, shards } = this.#plan;
    const internal = dirname(certificates.internalCaFile);
    const files = await ensureServerCertificate(internal, 'operator', [roleName('operator')], Date.now());
    const [certificate, key, authority] = await Promise.all(
      [files.certFile, files.keyFile, files.caFile].map((file) => readFile(file)),
    );
    const identity = { certificate, key, authority } as Parameters<typeof connectShard>[0]['identity'];
    for (const { rpcPort } of shards) {
      const shard = connectShard({ address: `${peerAddress}:${rpcPort}`, identity });
      try {
        const value = { domain, action, all: false };
        const ask = { mapVersion: 0, identity: undefined, describePrincipal: false };
        await shard.transact({ ...ask, transaction: { $case: 'changeDestination', value } }, operatorMsMax);
      } finally {
        shard.close();
      }
    }
  }

  async stop(): Promise<void> {
    await this.#report?.catch(() => undefined);
    for (const step of this.#undo.splice(0).reverse()) await step();
  }
}

/** Puts the stage up, empty. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stage = new Stage();
  const server = createServer((request, response) => {
    answer(stage, request)
      .then((body) => ({ status: 200, body }))
      .catch((error: Error) => ({ status: 500, body: { error: error.stack } }))
      .then(({ status, body }) => {
        response.writeHead(status, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify(body ?? {}));
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  project.provide('federationStage', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    server.closeAllConnections();
    server.close();
    await stage.stop();
  };
}

async function answer(stage: Stage, request: IncomingMessage): Promise<unknown> {
  const [, verb = '', name = ''] = decodeURIComponent(request.url ?? '').split('/');
  if (request.method === 'POST' && verb === '') return stage.start();
  if (request.method === 'PUT' && verb === 'zone') return stage.setZone(name, JSON.parse(await textOf(request)));
  if (request.method === 'GET' && verb === 'asked') return { count: await stage.asked(name) };
  if (request.method === 'POST' && (verb === 'retry' || verb === 'drop')) return stage.operate(verb, name);
  throw new Error(`the stage does not know ${request.method} ${request.url}`);
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request as AsyncIterable<Buffer>) text += part.toString('utf8');
  return text;
}
