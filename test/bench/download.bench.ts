/** Downloads of a hundred frames of 64 KB: how long until the last octet is there, and what they cost in memory. */
import pg from 'pg';
import type { Figure } from './harness.ts';
import { accountCount, type BenchProvider, benchProvider } from './provider/bench-provider.ts';
import type { Target } from './provider/post-socket.ts';

const frameCount = 100;
const frameBytes = 65_536;
/** An account that no other figure uploads to. */
const account = accountCount;
const downloadsPerRound = 8;
/** So many that their answers together are much more than what the collector leaves lying about for a while. */
const parallelReaders = 24;
/** Each then takes some six seconds for its answer: much longer than the provider needs. */
const slowBytesPerSecond = 2_000_000;

let prepared: Promise<{ containerId: number; databaseUrl: string; answerBytes: number }> | undefined;

/** Puts the frames into a container of their own, once for all figures here. */
async function large(provider: BenchProvider) {
  prepared ??= (async () => {
    const { load, target } = provider;
    await load.call('open', { accounts: account + 1, target });
    await load.call('prepareLargeFrames', { account, frameCount, frameBytes });
    await load.call('post', target);
    await load.call('prepareDownloads', { account, sockets: 1, each: 1 });
    const { answerBytes } = await load.call('post', target);
    await provider.settle();
    return { ...(await findContainer(provider)), answerBytes };
  })();
  return prepared;
}

/** The shard and the row of the container. */
async function findContainer({ shardDatabaseUrls }: BenchProvider) {
  for (const databaseUrl of shardDatabaseUrls) {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    const { rows } = await client.query<{ container_id: string }>(
      'SELECT container_id FROM frame WHERE octet_length(payload) = $1 LIMIT 1',
      [frameBytes],
    );
    await client.end();
    if (rows[0] !== undefined) return { databaseUrl, containerId: Number(rows[0].container_id) };
  }
  throw new Error('the large frames are in no shard');
}

/** One download after the other. */
export const downloadFrames: Figure = {
  name: 'download-100x64k',
  unit: 'milliseconds',
  target: 2.5,
  direction: 'at most',
  limitIs: 'bare TLS handler: reads the same rows, digests each once, sends as many octets',
  rounds: 7,
  async prepare() {
    const provider = await benchProvider();
    const { containerId, databaseUrl, answerBytes } = await large(provider);
    await provider.limit.call('serveDownload', { databaseUrl, containerId, indexMin: 2, answerBytes });
    const millisecondsAt = async (target: Target) => {
      const { seconds, requests } = await provider.load.call('post', target);
      return (1000 * seconds) / requests;
    };
    const ours = () => millisecondsAt(provider.target);
    const limit = () => millisecondsAt(provider.limitTarget('/download'));
    return {
      async round(flip) {
        await provider.load.call('prepareDownloads', { account, sockets: 1, each: downloadsPerRound });
        if (flip) return { limit: await limit(), value: await ours() };
        return { value: await ours(), limit: await limit() };
      },
      details: () => ({ answerBytes }),
    };
  },
};

const megabyte = 1_000_000;

/** How far the memory of a process grows above what it had before, looked at many times a second. */
function watchMemory(processes: BenchProvider['adminUrls']) {
  const read = async () => {
    const all = processes.map(async ({ url }) => {
      const text = await (await fetch(`${url}/metrics`)).text();
      return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]);
    });
    return Promise.all(all);
  };
  return {
    read,
    async peakDuring(work: () => Promise<unknown>): Promise<number[]> {
      let peaks = await read();
      let isOver = false;
      const over = work().finally(() => {
        isOver = true;
      });
      // thrown below, once the last look at the memory is over
      over.catch(() => {});
      while (!isOver) {
        const now = await read();
        peaks = peaks.map((peak, at) => Math.max(peak, now[at] ?? 0));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await over;
      return peaks;
    },
  };
}

/** Memory of the router and of the shard that has the frames while many download at the same time and read slowly. */
export const downloadMemory: Figure = {
  name: 'download-memory',
  unit: 'megabytes',
  target: 0.5,
  direction: 'at most',
  limitIs: 'the answers themselves: what a provider holds that makes them whole before it sends them',
  async prepare() {
    const provider = await benchProvider();
    const { answerBytes, databaseUrl } = await large(provider);
    const shard = `shard-${provider.shardDatabaseUrls.indexOf(databaseUrl)}`;
    const processes = provider.adminUrls.filter(({ name }) => name === 'router' || name === shard);
    const memory = watchMemory(processes);
    const before = await memory.read();
    let peaks = before;
    return {
      async round() {
        await provider.load.call('prepareDownloads', { account, sockets: parallelReaders, each: 1 });
        const work = () =>
          provider.load.call('postSlowly', { target: provider.target, bytesPerSecond: slowBytesPerSecond });
        peaks = await memory.peakDuring(work);
        const grown = peaks.map((peak, at) => Math.max(0, peak - (before[at] ?? 0)));
        return { value: Math.max(...grown) / megabyte, limit: (parallelReaders * answerBytes) / megabyte };
      },
      details: () => ({
        readers: parallelReaders,
        residentBytes: processes.map(({ name }, at) => ({ name, before: before[at], peak: peaks[at] })),
      }),
    };
  },
};
