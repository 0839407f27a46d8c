/**
 * Two whole providers for the figures of messages: alpha, whose people send, and beta, whose people receive. Each has its
 * own router, shard, outbound worker, keys and databases, all processes of their own; they know nothing of each other
 * but what a real DNS server says. Postgres and Redis are one server each, since the machine is one.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureServerCertificate } from '@meshd/dev/certificates';
import { dropDatabases } from '@meshd/dev/databases';
import { type DnsServer, startDnsServer } from '@meshd/dev/dns-server';
import type { ZoneRecord } from '@meshd/dev/dns-zone';
import { freePorts } from '@meshd/dev/ports';
import { databaseNames, planProvider } from '@meshd/dev/provider-plan';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import type { ProviderPlan } from '@meshd/dev/service-settings';
import { mediaTypeJsonB, wellKnownPath } from '@meshd/schema/features';
import pg from 'pg';
import { benchBackends, say, undoAtEnd } from './bench-provider.ts';
import { type Child, startChild } from './child.ts';
import type { MessageCalls } from './message-program.ts';
import type { Target } from './post-socket.ts';

/** One of the two. */
export interface MessageProvider {
  readonly domains: readonly string[];
  readonly url: string;
  readonly port: number;
  /** Certificate of its authority, PEM. */
  readonly ca: string;
  readonly target: Target;
  readonly processes: ProviderProcesses;
  readonly plan: ProviderPlan;
}

/** The two, and who writes to whom. */
export interface TwoProviders {
  readonly alpha: MessageProvider;
  readonly beta: MessageProvider;
  /** People of both, and the sockets over which they post. */
  readonly people: Child<MessageCalls>;
  /** Says where a domain is: the port of the loopback interface. */
  setPlace(domain: string, port: number): Promise<void>;
  setPlaces(places: ReadonlyMap<string, number>): Promise<void>;
  /** Removed at the end; an authority in {@link sinkAuthority} of it is trusted by both workers. */
  readonly folder: string;
}

/** Beta answers to both names; a figure may lead one of them over a slow link. */
export const betaDomains = ['beta.test', 'slow.test'] as const;
/** Folder of the authority of services that stand in for others. */
export const sinkAuthority = 'sink-authority';
/** The two share the machine's cores: a second shard would only be another process that waits for them. */
const shardCount = 1;
const ttlSeconds = 3600;

let shared: Promise<TwoProviders> | undefined;

/** Starts everything at the first call. */
export function twoProviders(): Promise<TwoProviders> {
  shared ??= start();
  return shared;
}

/** SRV and address of a domain that is at a port of the loopback interface. */
function placeRecords([domain, port]: readonly [string, number]): ZoneRecord[] {
  const target = `host.${domain}`;
  return [
    { name: `_mmm._tcp.${domain}`, type: 'SRV', ttl: ttlSeconds, data: { priority: 0, weight: 0, port, target } },
    { name: target, type: 'A', ttl: ttlSeconds, data: '127.0.0.1' },
  ];
}

async function start(): Promise<TwoProviders> {
  const { folder, postgresUrl, redisUrl } = await benchBackends();
  const dns: DnsServer = await startDnsServer({ records: [] });
  undoAtEnd(() => dns.stop());
  const sinks = await ensureServerCertificate(join(folder, sinkAuthority), 'sinks', ['sinks.test'], Date.now());
  const plans = [];
  for (const [name, domains] of [
    ['alpha', ['alpha.test']],
    ['beta', betaDomains],
  ] as const) {
    const databasePrefix = `bench_${name}_${randomBytes(4).toString('hex')}`;
    undoAtEnd(() => dropDatabases(postgresUrl, databaseNames(databasePrefix, shardCount)));
    plans.push(
      await planProvider({
        ...{ domains, port: (await freePorts(1))[0] as number, registration: 'open', postgresUrl, redisUrl },
        ...{ serviceFolder: join(folder, name, 'service'), tlsFolder: join(folder, name, 'tls'), databasePrefix },
        ...{ shardCount, logLevel: 'info', nowMs: Date.now() },
      }),
    );
  }
  const caFiles = [...plans.map(({ certificates }) => certificates.caFile), sinks.caFile];
  const authorities = await Promise.all(caFiles.map((file) => readFile(file, 'utf8')));
  const peerCaFile = join(folder, 'peers.pem');
  await writeFile(peerCaFile, authorities.join('\n'));
  const settings = {
    MESHD_DISCOVERY_SERVERS: dns.address,
    MESHD_DISCOVERY_ALLOW: '127.0.0.0/8',
    MESHD_PEER_CA_FILE: peerCaFile,
  };
  say('Starting two providers, each with router, shard and outbound worker');
  const [alpha, beta] = (await Promise.all(
    plans.map(async (plan, at) => {
      const processes = new ProviderProcesses(plan, join(folder, plan.domains[0] as string, 'logs'), {
        settings: { outbound: settings },
      });
      await processes.start();
      undoAtEnd(() => processes.stop());
      processes.onUnexpectedEnd = (name, _end, tail) => say(`${name} ended:\n${tail}`);
      const ca = authorities[at] as string;
      const target = { port: plan.port, domain: plan.domains[0] as string, path: wellKnownPath, ca };
      return {
        ...{ domains: plan.domains, url: processes.url, port: plan.port, ca, processes, plan },
        target: { ...target, mediaType: mediaTypeJsonB },
      };
    }),
  )) as [MessageProvider, MessageProvider];
  const places = new Map<string, number>();
  for (const provider of [alpha, beta]) for (const domain of provider.domains) places.set(domain, provider.port);
  const setPlaces = async (changed: ReadonlyMap<string, number>): Promise<void> => {
    for (const [domain, port] of changed) places.set(domain, port);
    await dns.setZone({ records: [...places].flatMap(placeRecords), negativeTtl: ttlSeconds });
  };
  await setPlaces(new Map());
  const people = startChild<MessageCalls>('./message-program.ts');
  undoAtEnd(() => people.stop());
  const described = [alpha, beta].map(({ url, ca, domains }) => ({ url, ca, domain: domains[0] as string }));
  await people.call('use', { alpha: described[0] as never, beta: described[1] as never, folder });
  return {
    ...{ alpha, beta, people, folder, setPlaces },
    setPlace: (domain, port) => setPlaces(new Map([[domain, port]])),
  };
}

/** Connections on which a provider's databases are asked while a figure runs. */
export class Looks {
  readonly #clients: pg.Client[];

  private constructor(clients: pg.Client[]) {
    this.#clients = clients;
  }

  static async open({ plan }: MessageProvider): Promise<Looks> {
    const clients = plan.shards.map(({ postgresUrl }) => new pg.Client({ connectionString: postgresUrl }));
    await Promise.all(clients.map((client) => client.connect()));
    undoAtEnd(() => Promise.all(clients.map((client) => client.end())));
    return new Looks(clients);
  }

  /** The rows of a query at all shards together. */
  async rows<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const results = await Promise.all(this.#clients.map((client) => client.query<Row>(text, [...values])));
    return results.flatMap(({ rows }) => rows);
  }

  /** Frames in the inbound spools of accounts, by address; committed, so of a message that will not get lost. */
  async inbound(addresses: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.rows<{ address: string; frames: string }>(
      `SELECT a.address, c.frame_count AS frames FROM account AS a JOIN container AS c ON c.account_id = a.id
        WHERE a.address = ANY ($1) AND c.name = 'mmm_Inbound'`,
      [addresses],
    );
    return new Map(rows.map(({ address, frames }) => [address, Number(frames)]));
  }

  /** Deliveries that are not in a final state, by a pattern of `LIKE` for their domains. */
  async waiting(domain: string): Promise<number> {
    const text = 'SELECT count(*) FROM outbox WHERE domain LIKE $1';
    const rows = await this.rows<{ count: string }>(text, [domain]);
    return rows.reduce((sum, { count }) => sum + Number(count), 0);
  }
}
