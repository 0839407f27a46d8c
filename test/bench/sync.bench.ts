/** Devices that come back: what their tickets save, what a long container costs them, and how little "nothing new" takes. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeRequestId } from '@meshd/binding/request-id';
import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { connectShard } from '@meshd/rpc/shard-client';
import { slotOfAddress } from '@meshd/schema/address';
import { mediaTypeJsonB } from '@meshd/schema/features';
import { bulkLoad } from '@meshd/shard/testing/bulk-load';
import pg from 'pg';
import type { Figure, Measurement } from './harness.ts';
import { type BenchProvider, benchProvider } from './provider/bench-provider.ts';
import { type Child, startChild } from './provider/child.ts';
import type { LoadResult } from './provider/post-all.ts';
import type { SyncCalls } from './provider/sync-program.ts';

let started: Promise<{ provider: BenchProvider; devices: Child<SyncCalls> }> | undefined;
let child: Child<SyncCalls> | undefined;

/** The provider and the devices with tickets. */
function benchDevices() {
  started ??= (async () => {
    const provider = await benchProvider();
    const devices = startChild<SyncCalls>('./sync-program.ts');
    child = devices;
    const { domain, ca } = provider.target;
    const url = provider.processes.url;
    await devices.call('use', { url, domain, ca, folder: join(provider.folder, 'device-homes') });
    return { provider, devices };
  })();
  return started;
}

/** Ends the devices. */
export async function stopBenchDevices(): Promise<void> {
  await child?.stop();
}

const jsonB = ({ target }: BenchProvider) => ({ ...target, mediaType: mediaTypeJsonB });
const perSecond = ({ requests, seconds }: LoadResult) => requests / seconds;
const millisecondsEach = ({ requests, seconds }: LoadResult) => (1000 * seconds) / requests;

/** By turns: whoever went first goes second the next time. */
function rounds(value: () => Promise<number>, limit: () => Promise<number>): Measurement['round'] {
  return async (flip) => {
    if (flip) {
      const first = await limit();
      return { limit: first, value: await value() };
    }
    const first = await value();
    return { value: first, limit: await limit() };
  };
}

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, at) => `${prefix}-${at}`);

const statusMembers = names('ticket', 64);
const statusEach = 400;

/** Statuses under tickets beside signed ones, both in JSON-B. */
export const statusTicket: Figure = {
  name: 'status-ticket',
  unit: 'requestsPerSecond',
  target: 4,
  direction: 'at least',
  limitIs: 'the same Status signed by the device and answered with a signature',
  async prepare() {
    const { provider, devices } = await benchDevices();
    await devices.call('open', statusMembers);
    const rate = async (proof: 'ticket' | 'signature') => {
      await devices.call('prepareStatus', { names: statusMembers, each: statusEach, proof });
      return perSecond(await devices.call('post', jsonB(provider)));
    };
    return {
      round: rounds(
        () => rate('ticket'),
        () => rate('signature'),
      ),
    };
  },
};

const uploadMembers = names('upload', 64);
const uploadContainer = 'bench_Notes';
const payloadBytes = 2048;

/** Uploads of one frame under tickets: the one signature left is that of the manifest. */
export const uploadSingleTicket: Figure = {
  name: 'upload-single-ticket',
  unit: 'framesPerSecond',
  target: 0.6,
  direction: 'at least',
  limitIs: 'bare TLS handler: one Ed448 verification, the same row, one commit a request',
  async prepare() {
    const { provider, devices } = await benchDevices();
    await devices.call('open', uploadMembers);
    const plan = { names: uploadMembers, container: uploadContainer, each: 200, payloadBytes };
    const { opened: bodies, sample: row } = await devices.call('prepareUploads', plan);
    await devices.call('postThese', { bodies, target: jsonB(provider) });
    await devices.call('post', jsonB(provider));
    const { limitDatabaseUrl: databaseUrl } = provider;
    await provider.limit.call('serveUpload', { databaseUrl, signaturesPerRequest: 1, row });
    let last: LoadResult | undefined;
    const ours = async () => {
      await provider.settle();
      last = await devices.call('post', jsonB(provider));
      return perSecond(last);
    };
    const limit = async () => {
      await provider.settle();
      return perSecond(await devices.call('post', provider.limitTarget('/upload')));
    };
    const round = rounds(ours, limit);
    return {
      async round(flip) {
        await devices.call('prepareUploads', plan);
        return round(flip);
      },
      details: () => ({ answerMs: last?.milliseconds }),
    };
  },
};

const longCount = 1_000_000;
const shortCount = 1000;
const longContainer = 'bench_Long';

let longOnes: Promise<{ long: string; short: string; shard: string }> | undefined;

/** Two accounts of one shard, one with a container of a million frames, one with a thousand. */
function longContainers() {
  longOnes ??= (async () => {
    const { provider, devices } = await benchDevices();
    const { plan } = provider.processes;
    // Shards begin with equal shares of the slots; the first has the lower ones.
    const candidates = names('long', 100).filter((name) => slotOfAddress(`${name}@${provider.target.domain}`) < 1024);
    const [long = '', short = ''] = candidates;
    await devices.call('open', [long, short]);
    const shard = plan.shards[0];
    if (shard === undefined) throw new Error('no shard');
    await provider.processes.stopOne(shard.name);
    console.error(`· Writing a container of ${longCount} frames`);
    for (const [name, frameCount] of [
      [long, longCount],
      [short, shortCount],
    ] as const) {
      const { address, seed } = await devices.call('identityOf', name);
      const signer = signingKeyFromSeed(seed);
      await bulkLoad({ url: shard.postgresUrl, address, container: longContainer, frameCount, signer });
    }
    await analyse(shard.postgresUrl);
    await provider.processes.startOne(shard.name);
    await untilServed(provider, devices, [long, short]);
    await provider.settle();
    return { long, short, shard: shard.name };
  })();
  return longOnes;
}

/** So that plans are made for what is there; Postgres would do so by itself a minute later. */
async function analyse(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('VACUUM ANALYZE frame');
  await client.end();
}

async function untilServed(provider: BenchProvider, devices: Child<SyncCalls>, served: string[]): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await devices.call('prepareStatus', { names: served, each: 1, proof: 'ticket' });
      await devices.call('post', jsonB(provider));
      return;
    } catch (error) {
      if (attempt === 60) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

/** What Status costs in an account with a long container. */
export const statusMillion: Figure = {
  name: 'status-million',
  unit: 'millisecondsPerRequest',
  target: 1.1,
  direction: 'at most',
  limitIs: 'Status of an account whose container has 1,000 frames',
  rounds: 9,
  async prepare() {
    const { provider, devices } = await benchDevices();
    const { long, short } = await longContainers();
    const cost = (name: string) => async () => {
      await devices.call('prepareStatus', { names: [name], each: 300, proof: 'ticket' });
      return millisecondsEach(await devices.call('post', jsonB(provider)));
    };
    return { round: rounds(cost(long), cost(short)), details: () => ({ frameCount: longCount }) };
  },
};

const pageFrames = 100;

/** What a page costs at the end of a long container. */
export const downloadPageMillion: Figure = {
  name: 'download-page-million',
  unit: 'millisecondsPerPage',
  target: 1.15,
  direction: 'at most',
  limitIs: 'the page that ends at frame 1,000 of the same container',
  rounds: 9,
  async prepare() {
    const { provider, devices } = await benchDevices();
    const { long: name } = await longContainers();
    const cost = (end: number) => async () => {
      const range = { from: end - pageFrames, to: end - 1 };
      await devices.call('prepareDownloads', { name, container: longContainer, ...range, each: 100 });
      return millisecondsEach(await devices.call('post', jsonB(provider)));
    };
    return { round: rounds(cost(longCount), cost(shortCount)), details: () => ({ framesPerPage: pageFrames }) };
  },
};

/** A frame of a long container with its path to the root, asked of the shard itself. */
export const proofMillion: Figure = {
  name: 'proof-million',
  unit: 'millisecondsPerProof',
  target: 1,
  direction: 'at most',
  limitIs: 'five milliseconds',
  async prepare() {
    const { provider, devices } = await benchDevices();
    const { long, shard } = await longContainers();
    const { plan } = provider.processes;
    const { certFile, keyFile } = plan.certificates.internal.router;
    const files = [certFile, keyFile, plan.certificates.internalCaFile].map((file) => readFile(file));
    const [certificate, key, authority] = (await Promise.all(files)) as [Buffer, Buffer, Buffer];
    const link = connectShard({
      address: `127.0.0.1:${plan.shards[0]?.rpcPort}`,
      identity: { certificate, key, authority },
    });
    const who = await devices.call('identityOf', long);
    const { header, payload, trailer } = who.connection;
    const connection = { header, payload: payload ?? undefined, trailer: trailer ?? undefined };
    const principal = { account: who.address, key: who.key, connectionDigest: who.connectionDigest, connection };
    let pathLength = 0;
    const ask = async (index: number, prove: boolean) => {
      const selection = { container: longContainer, indexMin: index, indexMax: index, filters: [], prove };
      const parts = link.download({
        ...{ mapVersion: 0, deadlineMs: 5000, principal, selections: [selection], entriesMax: 1 },
        ...{ payloadBytesMax: 65_536, header: true, payload: true, trailer: true, heads: false },
        identity: { id: makeRequestId(Date.now(), systemRandom), payloadDigest: systemRandom(64) },
        describePrincipal: false,
      });
      for await (const { part } of parts) {
        if (part?.$case === 'frames') pathLength = part.value.proofs[0]?.inclusion.length ?? 0;
      }
      if (prove && pathLength === 0) throw new Error('the shard proved nothing');
    };
    const adminUrl = provider.adminUrls.find(({ name }) => name === shard)?.url ?? '';
    const proofs = 200;
    /** Mean time at the shard, by its own figures. */
    const cost = async (prove: boolean) => {
      const before = await downloadsOf(adminUrl);
      for (let at = 0; at < proofs; at += 1) await ask(1 + ((at * 7919 * 613) % (longCount - 1)), prove);
      const after = await downloadsOf(adminUrl);
      return (1000 * (after.seconds - before.seconds)) / (after.count - before.count);
    };
    let withoutProofMs = 0;
    return {
      async round() {
        withoutProofMs = await cost(false);
        return { value: await cost(true), limit: 5 };
      },
      details: () => ({ pathLength, frameCount: longCount, withoutProofMs }),
      stop: async () => link.close(),
    };
  },
};

/** What a shard counted of downloads so far. */
async function downloadsOf(adminUrl: string): Promise<{ seconds: number; count: number }> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const read = (what: string) => {
    const line = text
      .split('\n')
      .find((each) => each.includes(`shard_request_seconds_${what}{`) && each.includes('"download"'));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  return { seconds: read('sum'), count: read('count') };
}

const largeMember = 'large';
const largeContainer = 'bench_Large';
const largeFrames = { frameCount: 100, frameBytes: 65_536 };
const downloadsPerRound = 8;

/** The newest hundred messages of 64 KB in JSON-B. */
export const downloadNewestJsonB: Figure = {
  name: 'download-newest-jsonb',
  unit: 'milliseconds',
  target: 1.8,
  direction: 'at most',
  limitIs: 'bare TLS handler: reads the same rows, digests each once, sends as many octets',
  async prepare() {
    const { provider, devices } = await benchDevices();
    await devices.call('open', [largeMember]);
    await devices.call('prepareLargeFrames', { name: largeMember, container: largeContainer, ...largeFrames });
    await devices.call('post', jsonB(provider));
    await provider.settle();
    const range = { from: 2, to: 1 + largeFrames.frameCount };
    const plan = { name: largeMember, container: largeContainer, ...range, each: 1 };
    await devices.call('prepareDownloads', plan);
    const { answerBytes } = await devices.call('post', jsonB(provider));
    const found = await findContainer(provider, largeContainer);
    await provider.limit.call('serveDownload', { ...found, indexMin: range.from, answerBytes });
    const ours = async () => millisecondsEach(await devices.call('post', jsonB(provider)));
    const limit = async () => millisecondsEach(await devices.call('post', provider.limitTarget('/download')));
    const round = rounds(ours, limit);
    return {
      async round(flip) {
        await devices.call('prepareDownloads', { ...plan, each: downloadsPerRound });
        return round(flip);
      },
      details: () => ({ answerBytes, payloadBytes: largeFrames.frameCount * largeFrames.frameBytes }),
    };
  },
};

/** The shard and the row of a container that only one account has. */
async function findContainer({ shardDatabaseUrls }: BenchProvider, name: string) {
  for (const databaseUrl of shardDatabaseUrls) {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    const { rows } = await client.query<{ id: string }>('SELECT id FROM container WHERE name = $1', [name]);
    await client.end();
    if (rows[0] !== undefined) return { databaseUrl, containerId: Number(rows[0].id) };
  }
  throw new Error(`${name} is in no shard`);
}

const resyncBytesMax = 2048;

/** A device that is in step asks whether there is anything new. */
export const resyncUnchanged: Figure = {
  name: 'resync-unchanged',
  unit: 'octetsBothWays',
  target: 1,
  direction: 'at most',
  limitIs: '2,048 octets of HTTP bodies in one request',
  async prepare() {
    const { devices } = await benchDevices();
    await devices.call('open', ['resync']);
    let last = await devices.call('resync', 'resync');
    return {
      async round() {
        last = await devices.call('resync', 'resync');
        if (last.requests !== 1) throw new Error(`${last.requests} requests instead of one`);
        return { value: last.sentBytes + last.receivedBytes, limit: resyncBytesMax };
      },
      details: () => ({ ...last }),
    };
  },
};
