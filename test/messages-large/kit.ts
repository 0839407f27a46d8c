/** Two providers, alice at one and bob at the other; both know each other's cards, and reach alice's provider over a line that can be cut. */

import { fail } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { type ClientEnvironment, systemEnvironment } from '@meshd/client/environment';
import { allowContact } from '@meshd/client/operations/contacts';
import { createAccount } from '@meshd/client/operations/create-account';
import { type FetchedLarge, fetchLarge } from '@meshd/client/operations/fetch-large';
import { listMessages } from '@meshd/client/operations/messages';
import { type LargeSent, sendLarge } from '@meshd/client/operations/send-large';
import type { TestProvider } from '@meshd/dev/test-provider';
import { waitFor } from '@meshd/dev/wait';
import pg from 'pg';
import { CuttingProxy } from '../cuts/cutting-proxy.js';
import { startTwoProviders, type TwoProviders } from '../outbound/two-providers.js';

/** Somebody with an account and a home. */
export interface Correspondent {
  readonly address: string;
  readonly home: string;
}

/** The two of them. */
export class LargeKit {
  readonly two: TwoProviders;
  /** To alice's provider. */
  readonly proxy: CuttingProxy;
  readonly folder: string;
  readonly alice: Correspondent;
  readonly bob: Correspondent;
  /** Pauses pass at once: what is counted is work. */
  readonly environment: ClientEnvironment = { ...systemEnvironment(), pause: async () => undefined };
  #files = 0;

  private constructor(two: TwoProviders, proxy: CuttingProxy, folder: string) {
    this.two = two;
    this.proxy = proxy;
    this.folder = folder;
    this.alice = { address: `alice@${two.alpha.domain}`, home: join(folder, 'alice') };
    this.bob = { address: `bob@${two.beta.domain}`, home: join(folder, 'bob') };
  }

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<LargeKit> {
    const two = await startTwoProviders({ 'alpha.test': settings, 'beta.test': settings });
    const proxy = await CuttingProxy.start(two.alpha.port);
    const kit = new LargeKit(two, proxy, await mkdtemp(join(tmpdir(), 'meshd-large-')));
    const { alice, bob, environment } = kit;
    await mkdir(join(kit.folder, 'out'));
    await createAccount(alice.home, environment, { address: alice.address, url: proxy.url, ca: two.alpha.ca });
    await createAccount(bob.home, environment, { address: bob.address, url: two.beta.url, ca: two.beta.ca });
    await introduce(alice, bob, environment);
    await introduce(bob, alice, environment);
    return kit;
  }

  async stop(): Promise<void> {
    await this.proxy.stop();
    await this.two.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A file with random content. */
  async file(bytes: number, content: Uint8Array = randomBytes(bytes)): Promise<{ path: string; content: Uint8Array }> {
    const path = join(this.folder, `file-${++this.#files}`);
    await writeFile(path, content);
    return { path, content };
  }

  /** Where something may be put. */
  place(): string {
    return join(this.folder, 'out', `place-${++this.#files}`);
  }

  send(path: string, more: Partial<Parameters<typeof sendLarge>[2]> = {}): Promise<LargeSent> {
    return sendLarge(this.alice.home, this.environment, { recipients: [this.bob.address], path, ...more });
  }

  /** Until the message of a sending has come to bob. */
  async arrived({ messages }: LargeSent): Promise<string> {
    const id = messages[0]?.id ?? fail('nothing was sent');
    const look = async (): Promise<true | undefined> => {
      const box = await withDevice(this.bob.home, this.environment, (device) => listMessages(device, 'inbound'));
      return box.messages.some((message) => message.id === id) ? true : undefined;
    };
    await waitFor(look, { what: 'the message', deadlineMs: 30_000 });
    return id;
  }

  /** Fetches as bob, from alice's provider. */
  fetch(id: string, path: string): Promise<FetchedLarge> {
    return fetchLarge(this.bob.home, this.environment, { id, path, url: this.proxy.url, ca: this.two.alpha.ca });
  }

  /** Runs a statement on every shard of alice's provider; rows of all. */
  async onShards<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return onShardsOf<Row>(this.two.alpha, text, values);
  }
}

/** Runs a statement on every shard of a provider; rows of all. */
export async function onShardsOf<Row extends pg.QueryResultRow>(
  { databases }: Pick<TestProvider, 'databases'>,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const rows = await Promise.all(
    databases.shards.map(async (connectionString) => {
      const client = new pg.Client({ connectionString });
      await client.connect();
      try {
        return (await client.query<Row>(text, values)).rows;
      } finally {
        await client.end();
      }
    }),
  );
  return rows.flat();
}

/** Lets `who` take everything from `friend`, and know his keys. */
async function introduce(who: Correspondent, friend: Correspondent, environment: ClientEnvironment): Promise<void> {
  const card = await withDevice(friend.home, environment, async ({ session }) => session.identity.profileAccount);
  const { address } = friend;
  await withDevice(who.home, environment, (device) => allowContact(device, { address, permissions: ['*'], card }));
}

/** Whether a file has this content. */
export async function hasContent(path: string, content: Uint8Array): Promise<boolean> {
  return Buffer.compare(await readFile(path), content) === 0;
}
