/** Uploads, from the octets on the wire to the commit and back: one frame at a time, and a hundred under one manifest. */
import type { Figure } from './harness.ts';
import { accountCount, type BenchProvider, benchProvider } from './provider/bench-provider.ts';
import type { LoadResult } from './provider/post-all.ts';
import type { Target } from './provider/post-socket.ts';

const payloadBytes = 2048;
/** The request's and the manifest's: as many as the provider verifies for an upload of a connected device. */
const signaturesPerRequest = 2;
const single = { accounts: accountCount, requestsPerAccount: 50, framesPerRequest: 1, payloadBytes };
/** Fewer at a time: one source may have 32 MiB of bodies on the way, and the body of a batch has half a megabyte. */
const batch = { accounts: 16, requestsPerAccount: 3, framesPerRequest: 100, payloadBytes };

/** Posts what was prepared, after everything written before is on disk. */
async function post(provider: BenchProvider, target: Target): Promise<LoadResult> {
  await provider.settle();
  return provider.load.call('post', target);
}

const framesPerSecond = ({ requests, seconds }: LoadResult, framesPerRequest: number): number =>
  (requests * framesPerRequest) / seconds;

/** Uploads of one frame, whose requests were signed beforehand and whose answers nobody verifies. */
export const uploadSingle: Figure = {
  name: 'upload-single',
  unit: 'framesPerSecond',
  target: 0.35,
  direction: 'at least',
  limitIs: 'bare TLS handler: as many Ed448 verifications, the same row, one commit a request',
  async prepare() {
    const provider = await benchProvider();
    // Processes that have just started are still being compiled: a round of the same work lets them settle.
    const row = await provider.load.call('prepareUploads', single);
    await post(provider, provider.target);
    const { limitDatabaseUrl: databaseUrl } = provider;
    await provider.limit.call('serveUpload', { databaseUrl, signaturesPerRequest, row });
    const last: { ours?: LoadResult; limit?: LoadResult } = {};
    const measureOurs = async () => {
      last.ours = await post(provider, provider.target);
    };
    const measureLimit = async () => {
      last.limit = await post(provider, provider.limitTarget('/upload'));
    };
    return {
      async round(flip) {
        await provider.load.call('prepareUploads', single);
        for (const turn of flip ? [measureLimit, measureOurs] : [measureOurs, measureLimit]) await turn();
        const { ours, limit } = last as Required<typeof last>;
        return { value: framesPerSecond(ours, 1), limit: framesPerSecond(limit, 1) };
      },
      details: () => ({ answerMs: last.ours?.milliseconds, answerMsOfLimit: last.limit?.milliseconds }),
    };
  },
};

/** Uploads of a hundred frames under one manifest, beside uploads of one. */
export const uploadBatch: Figure = {
  name: 'upload-batch',
  unit: 'framesPerSecond',
  target: 5,
  direction: 'at least',
  limitIs: 'uploads of one frame by the same provider',
  async prepare() {
    const provider = await benchProvider();
    let last: LoadResult | undefined;
    const measureSingle = async () => {
      await provider.load.call('prepareUploads', { ...single, requestsPerAccount: 25 });
      return framesPerSecond(await post(provider, provider.target), 1);
    };
    const measureBatch = async () => {
      await provider.load.call('prepareUploads', batch);
      last = await post(provider, provider.target);
      return framesPerSecond(last, batch.framesPerRequest);
    };
    return {
      async round(flip) {
        if (flip) return { limit: await measureSingle(), value: await measureBatch() };
        return { value: await measureBatch(), limit: await measureSingle() };
      },
      details: () => ({ framesPerBatch: batch.framesPerRequest, answerMs: last?.milliseconds }),
    };
  },
};
