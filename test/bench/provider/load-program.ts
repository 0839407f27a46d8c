/** The load: accounts and their devices, requests that they sign beforehand, and the sockets over which they post them. */
import { join } from 'node:path';
import { systemEnvironment } from '@meshd/client/environment';
import { Home } from '@meshd/client/home';
import { createAccount } from '@meshd/client/operations/create-account';
import { Session } from '@meshd/client/session';
import { serveCalls } from './child.ts';
import { type LoadResult, postAll } from './post-all.ts';
import { PostSocket, type Target } from './post-socket.ts';
import { type FrameSizes, UploadChain } from './upload-chain.ts';

/** Uploads to be prepared for each of some accounts. */
export interface UploadPlan {
  readonly accounts: number;
  readonly requestsPerAccount: number;
  readonly framesPerRequest: number;
  readonly payloadBytes: number;
}

const container = 'bench_Notes';
/** Between the starts of two slow readers. */
const startMs = 50;
const retryMs = 1000;
const environment = systemEnvironment();
let service: { url: string; domain: string; ca: string; folder: string } | undefined;
const chains: UploadChain[] = [];
/** Prepared requests, those of one account in order. */
let prepared: Uint8Array[][] = [];

/** Makes accounts over the network as people do, until there are so many. */
async function ensureAccounts(count: number): Promise<void> {
  while (chains.length < count) {
    const address = `load-${chains.length}@${known().domain}`;
    const folder = join(known().folder, address);
    const { state } = await createAccount(folder, environment, { address, ...known() });
    const session = await Session.open(new Home(folder), environment, state);
    chains.push(new UploadChain(session, known().domain, container));
  }
}

function known() {
  if (service === undefined) throw new Error('the service is not known yet');
  return service;
}

/** Posts what was prepared, the requests of one account one after the other, all accounts at the same time. */
const post = (target: Target): Promise<LoadResult> => postAll(prepared, target);

async function prepareUploads(plan: UploadPlan): Promise<FrameSizes> {
  const { accounts, requestsPerAccount, framesPerRequest, payloadBytes } = plan;
  await ensureAccounts(accounts);
  prepared = [];
  for (const chain of chains.slice(0, accounts)) {
    const bodies: Uint8Array[] = [];
    for (let at = 0; at < requestsPerAccount; at += 1) bodies.push(await chain.next(framesPerRequest, payloadBytes));
    prepared.push(bodies);
    // Signing is long work; the parent must not take this program for dead.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return (chains[0] as UploadChain).sample;
}

/** Repeats what was refused for want of time, as clients do: on a busy machine so many readers can be too many. */
async function again<T>(ask: () => Promise<T>, attemptsLeft = 5): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (attemptsLeft === 0) throw error;
    await new Promise((resolve) => setTimeout(resolve, retryMs));
    return again(ask, attemptsLeft - 1);
  }
}

const calls = {
  /** Where the accounts are to be, and the folder for their homes. */
  async use(options: { url: string; domain: string; ca: string; folder: string }) {
    service = options;
  },

  /** Makes accounts and opens a container in each. */
  async open({ accounts, target }: { accounts: number; target: Target }) {
    const first = chains.length;
    await ensureAccounts(accounts);
    prepared = await Promise.all(chains.slice(first).map(async (chain) => [await chain.open()]));
    await post(target);
  },

  /** Signs uploads; returns what one frame weighs. */
  prepareUploads,

  /** Signs one upload of large frames by one account. */
  async prepareLargeFrames(large: { account: number; frameCount: number; frameBytes: number }) {
    prepared = [[await (chains[large.account] as UploadChain).next(large.frameCount, large.frameBytes)]];
  },

  /** Signs downloads by one account of everything in its container after the opening upload. */
  async prepareDownloads({ account, sockets, each }: { account: number; sockets: number; each: number }) {
    const chain = chains[account] as UploadChain;
    const requests = () => Promise.all(Array.from({ length: each }, () => chain.download()));
    prepared = await Promise.all(Array.from({ length: sockets }, requests));
  },

  /** Posts what was prepared; it stays prepared, for the next. */
  post,

  /** Posts it so that the answers are read slowly. */
  async postSlowly({ target, bytesPerSecond }: { target: Target; bytesPerSecond: number }) {
    const all = await Promise.all(
      prepared.map(async ([body], at) => {
        // One after the other: what is measured is reading, not the rush at the door.
        await new Promise((resolve) => setTimeout(resolve, at * startMs));
        const socket = await PostSocket.open(target);
        const { bodyBytes } = await again(() => socket.postSlowly(body as Uint8Array, bytesPerSecond));
        socket.close();
        return bodyBytes;
      }),
    );
    return all.reduce((sum, bytes) => sum + bytes, 0);
  },
};

/** What the bench asks of the load. */
export type LoadCalls = typeof calls;

serveCalls(calls);
