import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { systemEnvironment } from '@meshd/client/environment';
import { accountStatus } from '@meshd/client/operations/account-status';
import { createAccount } from '@meshd/client/operations/create-account';
import { downloadContainer } from '@meshd/client/operations/download';
import { syncAccount } from '@meshd/client/operations/sync';
import { uploadFiles } from '@meshd/client/operations/upload';
import { freePorts } from '@meshd/dev/ports';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const container = 'my_Notes';
const entryCount = 1000;
/** Small enough that the two replicas take many turns. */
const turnSize = 50;
const testMs = 240_000;
const environment = systemEnvironment();

let folder: string;
let provider: ProviderProcesses;
let removePlan: () => Promise<void>;
/** Two replicas that write, and one that begins empty. */
let homes: readonly [string, string, string];

const nameOf = (entry: number) => `entry-${entry}`;
const contentOf = (entry: number) => Buffer.from(`content of entry ${entry}, ${'x'.repeat(entry % 300)}`);

function uploadTurn(home: string, from: number) {
  const files = Array.from({ length: turnSize }, (_, at) => ({
    name: nameOf(from + at),
    content: contentOf(from + at),
  }));
  return withDevice(home, environment, (device) => uploadFiles(device, container, files));
}

/** What a replica holds after a synchronisation, and what the service says of it. */
async function view(home: string) {
  return withDevice(home, environment, async (device) => {
    const synced = await syncAccount(device);
    const statuses = await accountStatus(device);
    return synced.map(({ container: name, frameCount, digest, root }) => {
      const status = statuses.find((each) => each.container === name);
      const hex = (octets: Uint8Array | undefined) => octets && Buffer.from(octets).toString('hex');
      return {
        name,
        frameCount,
        digest: hex(digest),
        root: hex(root),
        service: hex(status?.digest),
        serviceCount: status?.frameCount,
      };
    });
  });
}

/** All replicas agree with each other and with the service, in every container. */
async function expectAgreement(): Promise<Awaited<ReturnType<typeof view>>> {
  const views = await Promise.all(homes.map(view));
  for (const each of views[0] ?? []) {
    expect(each.digest).toBe(each.service);
    expect(each.frameCount).toBe(each.serviceCount);
  }
  expect(views[1]).toEqual(views[0]);
  expect(views[2]).toEqual(views[0]);
  return views[0] ?? [];
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-replicas-'));
  const { plan, remove } = await makeTestPlan({ domains: ['mesh.localhost'] });
  removePlan = remove;
  const [port = 0] = await freePorts(1);
  provider = new ProviderProcesses({ ...plan, port }, join(folder, 'logs'));
  await provider.start();
  homes = [join(folder, 'one'), join(folder, 'two'), join(folder, 'three')];
  const ca = await readFile(plan.certificates.caFile, 'utf8');
  await createAccount(homes[0], environment, { address: 'alice@mesh.localhost', url: provider.url, ca });
  for (const copy of homes.slice(1)) await cp(homes[0], copy, { recursive: true });
  await rm(join(homes[2], 'containers'), { recursive: true });
}, testMs);

afterAll(async () => {
  await provider?.stop();
  await removePlan?.();
  await rm(folder, { recursive: true, force: true });
}, testMs);

describe('[R003] [R015] three replicas of one account', () => {
  it(
    'take turns in uploading 1,000 entries',
    async () => {
      for (let from = 0; from < entryCount; from += turnSize) {
        const writer = (from / turnSize) % 2 === 0 ? homes[0] : homes[1];
        const { frameCount } = await uploadTurn(writer, from);
        expect(frameCount).toBe(1 + from + turnSize);
      }
    },
    testMs,
  );

  it(
    'get the same entries into an empty one',
    async () => {
      const { entries } = await withDevice(homes[2], environment, (device) => downloadContainer(device, container));
      expect(entries).toHaveLength(entryCount);
      const found = new Map(entries.map(({ name, content }) => [name, content]));
      for (let entry = 0; entry < entryCount; entry += 1) {
        expect(Buffer.from(found.get(nameOf(entry)) ?? [])).toEqual(contentOf(entry));
      }
    },
    testMs,
  );

  it(
    'agree with each other and with the service, also after every process was restarted',
    async () => {
      const before = await expectAgreement();
      expect(before.find(({ name }) => name === container)?.frameCount).toBe(entryCount + 1);
      await provider.stop();
      await provider.start();
      expect(await expectAgreement()).toEqual(before);
    },
    testMs,
  );

  it(
    'go on where they were: both write at the same time, and nothing is lost',
    async () => {
      const files = (who: string) => [{ name: `late-${who}`, content: Buffer.from(who) }];
      await Promise.all(
        ['a', 'b'].map((who, at) =>
          withDevice(homes[at] as string, environment, (device) => uploadFiles(device, container, files(who))),
        ),
      );
      const after = await expectAgreement();
      expect(after.find(({ name }) => name === container)?.frameCount).toBe(entryCount + 3);
    },
    testMs,
  );
});
