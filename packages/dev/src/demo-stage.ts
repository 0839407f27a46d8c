/**
 * Where the demo takes place: a folder of its own, a DNS server, and two providers that know nothing of each other but what
 * the DNS says, each with its own router, shards, outbound worker, Postgres and Redis. Everything is gone when it stops.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureCertificates } from './certificates.js';
import { dropDatabases } from './databases.js';
import { type DnsServer, startDnsServer } from './dns-server.js';
import type { ZoneRecord } from './dns-zone.js';
import { type LocalProvider, startLocalProvider } from './local-provider.js';
import { freePorts } from './ports.js';
import { databaseNames } from './provider-plan.js';
import { removeAtEnd } from './watchdog.js';

/** One provider of the demo. */
export interface StagedProvider {
  readonly domain: string;
  readonly port: number;
  readonly data: string;
  readonly local: LocalProvider;
}

/** The stage, set. */
export interface Stage {
  readonly dns: DnsServer;
  readonly records: readonly ZoneRecord[];
  readonly alpha: StagedProvider;
  readonly beta: StagedProvider;
  /** Where people's files and homes are. */
  readonly people: string;
  /** Name of the file in `people` with both authorities. */
  readonly caName: string;
  stop(): Promise<void>;
}

/** What {@link setStage} needs. */
export interface StageOptions {
  readonly postgresUrl?: string | undefined;
  readonly redisUrl?: string | undefined;
  readonly nowMs: number;
  readonly say: (text: string) => void;
  /** Called when something ended that the demo cannot do without. */
  readonly onFailure: (reason: string) => void;
}

/** Reserved names (RFC 6761): nobody else has them. */
const domains = ['alpha.test', 'beta.test'] as const;
const caName = 'ca.pem';

/** Starts everything. @throws Error; what had been started is stopped */
export async function setStage(options: StageOptions): Promise<Stage> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const step of undo.splice(0).reverse()) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  try {
    return await startParts(options, undo, stop);
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

async function startParts(
  options: StageOptions,
  undo: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'meshd-demo-'));
  removeAtEnd(folder);
  undo.push(() => rm(folder, { recursive: true, force: true }));
  // Postgres may have to run as another user, who must be able to pass.
  await chmod(folder, 0o755);
  const people = join(folder, 'people');
  await mkdir(people, { mode: 0o700 });
  const dataOf = (domain: string) => join(folder, domain);
  const certificates = await Promise.all(
    domains.map((domain) => ensureCertificates(join(dataOf(domain), 'tls'), [domain], options.nowMs)),
  );
  const authorities = await Promise.all(certificates.map(({ caFile }) => readFile(caFile, 'utf8')));
  await writeFile(join(people, caName), authorities.join('\n'));
  const ports = await freePorts(domains.length);
  const records = domains.flatMap((domain, at) => recordsOf(domain, ports[at] as number));
  const dns = await startDnsServer({ records });
  undo.push(() => dns.stop());
  const outboundSettings = {
    MESHD_DISCOVERY_SERVERS: dns.address,
    // Private addresses are refused unless an operator says otherwise; here everything is on one machine.
    MESHD_DISCOVERY_ALLOW: '127.0.0.0/8',
    MESHD_PEER_CA_FILE: join(people, caName),
  };
  const start = async (domain: string, port: number): Promise<StagedProvider> => {
    const data = dataOf(domain);
    const say = (text: string) => options.say(`${domain}: ${text}`);
    const { postgresUrl, redisUrl, onFailure } = options;
    const local = await startLocalProvider({
      ...{ domains: [domain], port, data, postgresUrl, redisUrl, outboundSettings, say },
      onFailure: (reason) => onFailure(`${domain}: ${reason}`),
    });
    undo.push(() => removeData(local, data));
    undo.push(() => local.stop());
    return { domain, port, data, local };
  };
  // One after the other: both may have to fetch the same programs.
  const alpha = await start(domains[0], ports[0] as number);
  const beta = await start(domains[1], ports[1] as number);
  return { dns, records, alpha, beta, people, caName, stop };
}

/** What the DNS says of a provider (draft 4): where it is, and how to speak with it. */
function recordsOf(domain: string, port: number): ZoneRecord[] {
  const name = `_mmm._tcp.${domain}`;
  const target = `host.${domain}`;
  return [
    { name, type: 'SRV', data: { priority: 0, weight: 0, port, target } },
    { name, type: 'TXT', data: ['path=/.well-known/mmm'] },
    { name: target, type: 'A', data: '127.0.0.1' },
  ];
}

/** What does not lie in the demo's folder: databases on somebody's server, a cluster where Postgres can reach it. */
async function removeData(local: LocalProvider, data: string): Promise<void> {
  const { backends, layout, processes } = local;
  const { id } = JSON.parse(await readFile(join(data, 'local-secrets.json'), 'utf8')) as { id: string };
  if (backends.postgres.program === undefined) {
    await dropDatabases(backends.postgres.url, databaseNames(`meshd_${id}`, processes.plan.shards.length));
  }
  if (!layout.postgres.startsWith(layout.data)) await rm(layout.postgres, { recursive: true, force: true });
}
