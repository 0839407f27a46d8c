/**
 * What must hold in whatever order things happen: replicas that write at the same time end with one history, and a
 * download in pages has every frame that was selected once, whatever is appended meanwhile.
 */
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import { appendFrame, noTrees } from '@meshd/client/frame';
import { openEnvelope } from '@meshd/dare/envelope';
import { apex } from '@meshd/dare/merkle';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import type { ConstraintsSelect } from '@meshd/schema/common';
import { entry, opening, TestWriter } from '@meshd/shard/testing/person';
import { array, assert, asyncProperty, boolean, integer, record } from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connected, type Joined, join, linkTo, upload } from '../permissions/people.js';

const testMs = 120_000;
let provider: TestProvider;
let link: MeshConnection;
let alice: Joined;

beforeAll(async () => {
  provider = await startTestProvider({ domains: ['example.com'] });
  link = linkTo(provider, { form: 'json-b', useTickets: true, features: ['ticket', 'page', 'entry'] });
  alice = await join(link, 'alice');
});
afterAll(async () => {
  await link?.close();
  await provider?.stop();
});

let containers = 0;
const nextContainer = () => `my_Store${++containers}`;

const call = (container: string, select: Partial<ConstraintsSelect> = {}, constraints: object = {}) =>
  link.call(
    'Download',
    { Account: alice.person.address, Select: [{ Container: container, ...select }], ConstraintsPost: constraints },
    [connected(alice.device)],
  );

/** Frames of a container as a reader from the beginning gets them. */
async function download(container: string) {
  const { message } = await call(container, {}, { MaxEntries: 1000 });
  return message.Updates?.[0]?.Envelopes ?? [];
}

/** One replica: writes on top of what it has seen, and fetches what others wrote when it is told that it is behind. */
class WritingReplica {
  readonly #writer: TestWriter;
  readonly #name: string;
  readonly written: string[] = [];

  constructor(container: string, name: string) {
    this.#writer = new TestWriter(container, alice.person.accountUdf, alice.device.signature);
    this.#name = name;
  }

  async write(frameCount: number): Promise<void> {
    const ids = Array.from({ length: frameCount }, (_, at) => `${this.#name} ${this.written.length + at}`);
    for (;;) {
      const drafts = ids.map((UniqueID) => entry({ UniqueID, Event: 'New' }));
      const isFirst = this.#writer.trees.log.frameCount === 0;
      const sealed = this.#writer.seal(isFirst ? [opening(), ...drafts] : drafts);
      const { status, statusExtended } = await upload(
        link,
        alice.person,
        alice.device,
        this.#writer.container,
        sealed.envelopes,
      );
      if (status === 201) {
        this.#writer.trees = { tree: sealed.tree, log: sealed.log };
        this.written.push(...ids);
        return;
      }
      expect([status, statusExtended]).toEqual([409, 12]);
      await this.catchUp();
    }
  }

  async catchUp(): Promise<void> {
    const frames = await download(this.#writer.container);
    this.#writer.trees = frames.reduce((trees, octets) => appendFrame(trees, octets).trees, noTrees);
  }

  get digest(): Uint8Array | undefined {
    return apex(this.#writer.trees.tree);
  }
}

describe('[R015] [R135] [R273] [S47] replicas that write at the same time', () => {
  it(
    'end with one history, the same for all, with every entry once',
    async () => {
      const step = record({
        replica: integer({ min: 0, max: 3 }),
        frames: integer({ min: 1, max: 5 }),
        waits: boolean(),
      });
      const property = asyncProperty(array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
        const container = nextContainer();
        const replicas = [0, 1, 2, 3].map((at) => new WritingReplica(container, `replica ${at}`));
        // A device does one thing after the other; what others do meanwhile is the interleaving.
        const running = replicas.map(() => Promise.resolve());
        for (const { replica, frames, waits } of steps) {
          running[replica] = (running[replica] as Promise<void>).then(() => replicas[replica]?.write(frames));
          if (waits) await running[replica];
        }
        await Promise.all(running);
        for (const replica of replicas) await replica.catchUp();
        const digests = replicas.map(({ digest }) => Buffer.from(digest ?? '').toString('hex'));
        expect(new Set(digests).size).toBe(1);
        const ids = (await download(container))
          .slice(1)
          .map((octets) => openEnvelope(octets).contentMetaData?.UniqueID);
        expect(ids.toSorted()).toEqual(replicas.flatMap(({ written }) => written).toSorted());
        // Each replica's own entries stand in the order in which it wrote them.
        for (const [at, { written }] of replicas.entries()) {
          expect(ids.filter((id) => id?.startsWith(`replica ${at} `))).toEqual(written);
        }
      });
      await assert(property, { numRuns: 12 });
    },
    testMs,
  );
});

describe('[R213] [R214] [R255] [R261] page keys', () => {
  it(
    'lead through every frame of the query once, and through none that was appended since',
    async () => {
      const query = record({
        frames: integer({ min: 1, max: 60 }),
        from: integer({ min: 0, max: 20 }),
        pages: array(integer({ min: 1, max: 13 }), { minLength: 1, maxLength: 8 }),
        appends: array(integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 8 }),
      });
      const property = asyncProperty(query, async ({ frames, from, pages, appends }) => {
        const container = nextContainer();
        const writer = new WritingReplica(container, 'writer');
        await writer.write(frames);
        const total = 1 + frames;
        const got: number[] = [];
        let select: Partial<ConstraintsSelect> = { IndexMin: from };
        for (let turn = 0; turn <= total; turn += 1) {
          const size = pages[turn % pages.length] ?? 1;
          const appended = appends[turn % appends.length] ?? 0;
          const [{ status, message }] = await Promise.all([
            call(container, select, { MaxEntries: size }),
            appended > 0 ? writer.write(appended) : undefined,
          ]);
          expect(status).toBe(201);
          const update = message.Updates?.[0];
          const indexes =
            update?.Envelopes?.map((octets) => openEnvelope(octets).header.ContainerInfo?.Index ?? -1) ?? [];
          expect(indexes.length).toBeLessThanOrEqual(size);
          got.push(...indexes);
          if (update?.PageKey === undefined) break;
          select = { PageKey: update.PageKey };
        }
        // The first answer may have come before or after what was appended with it: no further than that.
        const last = got.at(-1) ?? from - 1;
        expect(last).toBeGreaterThanOrEqual(Math.min(total, Math.max(from, total)) - 1);
        expect(last).toBeLessThan(total + (appends[0] ?? 0) + Math.max(0, from - total));
        expect(got).toEqual(Array.from({ length: Math.max(0, last - from + 1) }, (_, at) => from + at));
      });
      await assert(property, { numRuns: 12 });
    },
    testMs,
  );

  it('of another account, changed, or none at all: 410', async () => {
    const container = nextContainer();
    await new WritingReplica(container, 'writer').write(5);
    const { message } = await call(container, {}, { MaxEntries: 2 });
    const key = message.Updates?.[0]?.PageKey ?? '';
    expect(key).not.toBe('');
    const bob = await join(link, 'bob');
    const ask = async (PageKey: string, { person, device } = alice) => {
      const request = { Account: person.address, Select: [{ PageKey }] };
      return (await link.call('Download', request, [connected(device)])).status;
    };
    expect(await ask(key)).toBe(201);
    expect(await ask(key, bob)).toBe(410);
    const flipped = Buffer.from(key, 'base64url');
    flipped[60] = (flipped[60] ?? 0) ^ 1;
    for (const bad of [flipped.toString('base64url'), 'AAAA', '', '%']) expect(await ask(bad)).toBe(410);
  });
});
