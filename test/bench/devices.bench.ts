/** Devices of a person: what it takes to connect one, to fill one, and to find something on one. */
import { credentialKind } from '@meshd/client/catalog/kinds';
import { searchItems } from '@meshd/client/operations/catalog-items';
import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { slotOfAddress } from '@meshd/schema/address';
import { bulkLoad } from '@meshd/shard/testing/bulk-load';
import { type Figure, secondsOf } from './harness.ts';
import { benchProvider, say, undoAtEnd } from './provider/bench-provider.ts';
import { startChild } from './provider/child.ts';
import type { ConnectWork, DeviceCalls } from './provider/device-program.ts';

const connectMsMax = 300;
const entryCount = 10_000;
const container = 'mmm_Credential';
/** Slots of the first of two shards. */
const firstShardSlots = 1024;

let started: ReturnType<typeof startDevices> | undefined;

/** The provider, and a program with devices; started at the first call. */
function benchPeople() {
  started ??= startDevices();
  return started;
}

async function startDevices() {
  const provider = await benchProvider();
  const devices = startChild<DeviceCalls>('./device-program.ts');
  undoAtEnd(() => devices.stop());
  const { domain, ca } = provider.target;
  await devices.call('use', { url: provider.processes.url, domain, ca, folder: provider.folder });
  return { provider, devices };
}

/** A device that is connected by a PIN: its own work alone. */
export const connectPin: Figure = {
  ...{ name: 'connect-pin', unit: 'processorMilliseconds', target: 1, direction: 'at most' },
  limitIs: '300 ms of processor time, scrypt aside, and no signature made or checked twice',
  rounds: 7,
  async prepare() {
    const { devices } = await benchPeople();
    await devices.call('createAccount', 'connects');
    let last: ConnectWork | undefined;
    return {
      async round() {
        last = await devices.call('connectByPin', 'connects');
        if (last.doneTwice > 0) throw new Error(`${last.doneTwice} signature operations were done twice`);
        return { value: last.cpuMs, limit: connectMsMax };
      },
      details: () => ({ ...last }),
    };
  },
};

/** A device that synchronises for the first time: entries that were written one by one, each under a manifest of its own. */
export const firstSync: Figure = {
  ...{ name: 'first-sync-10000', unit: 'framesPerSecond', target: 0.5, direction: 'at least' },
  limitIs: 'Node alone: digests and signatures of the same frames, one after the other',
  async prepare() {
    const { provider, devices } = await benchPeople();
    const { domain } = provider.target;
    const name = Array.from({ length: 100 }, (_, at) => `first-${at}`).find(
      (each) => slotOfAddress(`${each}@${domain}`) < firstShardSlots,
    );
    const [shard] = provider.processes.plan.shards;
    if (name === undefined || shard === undefined) throw new Error('no account for the first shard');
    await devices.call('createAccount', name);
    const { address, seed, header, payload } = await devices.call('sampleOf', name);
    await provider.processes.stopOne(shard.name);
    say(`Writing a catalog of ${entryCount} entries`);
    const signer = signingKeyFromSeed(seed);
    const content = { header, payload };
    const plan = { url: shard.postgresUrl, address, container, frameCount: entryCount + 1, batchFrames: 1 };
    await bulkLoad({ ...plan, payloadBytes: payload.length + 1024, signer, content });
    await provider.processes.startOne(shard.name);
    await provider.settle();
    const rate = async (call: 'firstSync' | 'checkAlone') => {
      const { seconds, frameCount } = await devices.call(call, name);
      if (frameCount < entryCount) throw new Error(`${call}: ${frameCount} frames`);
      return frameCount / seconds;
    };
    return {
      async round(flip) {
        // The frames to check are those that were fetched, so the very first round cannot begin with them.
        const limitFirst = flip ? await rate('checkAlone') : undefined;
        const value = await rate('firstSync');
        return { value, limit: limitFirst ?? (await rate('checkAlone')) };
      },
      details: () => ({ entryCount, signaturesEach: 1 }),
    };
  },
};

const searchMsMax = 20;
const searches = ['shop', 'alice 4711', 'nowhere', 'HTTPS shop-99 user', 'e'];

/** A search in what a device has opened before. */
export const searchCredentials: Figure = {
  ...{ name: 'search-10000', unit: 'milliseconds', target: 1, direction: 'at most' },
  limitIs: '20 ms for the slowest of five searches in 10,000 passwords',
  rounds: 9,
  prepare() {
    const items = Array.from({ length: entryCount }, (_, at) => {
      const login = { Protocol: 'https', Service: `shop-${at}.example`, Username: `alice.user${at % 97}@example.com` };
      // As they come out of the catalog: encoded by one device, decoded by another.
      const fields = credentialKind.decode(credentialKind.encode({ ...login, Password: `secret-${at}` })) ?? {};
      return { key: credentialKind.keyOf(fields), fields, isWaiting: false };
    });
    const found: Record<string, number> = {};
    return {
      round() {
        const times = searches.map((text) => {
          return (
            1000 *
            secondsOf(() => {
              found[text] = searchItems(credentialKind, items, text).length;
            })
          );
        });
        return { value: Math.max(...times), limit: searchMsMax };
      },
      details: () => ({ entryCount, found }),
    };
  },
};
