/**
 * What must hold in whatever order things happen: devices that write at the same time end with one history, and a
 * download in pages has every frame that was selected once, whatever is appended meanwhile.
 */
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { entry } from '@meshd/shard/testing/person';
import { array, assert, asyncProperty, boolean, constantFrom, integer, option, record } from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { join, linkTo, list } from '../permissions/people.js';
import { PagedContainer } from './paged-container.js';
import { type DeviceOnline, download, WritingDevice } from './writing-device.js';

const testMs = 120_000;
const names = ['first', 'second', 'third', 'fourth'];
let provider: TestProvider;
let devices: DeviceOnline[];

beforeAll(async () => {
  // Bodies of deleted entries stay where they are: a body that is missing is one that was filtered.
  provider = await startTestProvider({ domains: ['example.com'], shard: { eraseEveryMs: 3600_000 } });
  const links = names.map(() =>
    linkTo(provider, { form: 'json-b', useTickets: true, features: ['ticket', 'page', 'entry', 'filter'] }),
  );
  const [link = linkTo(provider)] = links;
  const alice = await join(link, 'alice');
  const { person } = alice;
  devices = links.map((link, at) => ({ person, device: person.device(names[at]), link }));
  for (const { device } of devices.slice(1)) await list(link, alice, device);
});
afterAll(async () => {
  for (const { link } of devices ?? []) await link.close();
  await provider?.stop();
});

let containers = 0;
const nextContainer = () => `my_Store${++containers}`;
const deviceAt = (at: number) => devices[at % devices.length] as DeviceOnline;

describe('[R015] [R135] [R273] [S47] devices that write at the same time', () => {
  /** Further entries of a device, with names that tell whose they are. */
  const entriesOf = ({ online, written }: WritingDevice, count: number) =>
    Array.from({ length: count }, (_, at) =>
      entry({ UniqueID: `${online.device.name} ${written.length + at}`, Event: 'New' }),
    );

  it(
    'end with one history, the same for all, with every entry once',
    async () => {
      const step = record({
        device: integer({ min: 0, max: names.length - 1 }),
        frames: integer({ min: 1, max: 5 }),
        waits: boolean(),
      });
      const property = asyncProperty(array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const container = nextContainer();
        const copies = devices.map((each) => new WritingDevice(each, container, devices));
        // All want to open it. After that a device does one thing after the other; what others do is the interleaving.
        const running = copies.map((copy) => copy.write(entriesOf(copy, 1)));
        for (const { device, frames, waits } of steps) {
          const copy = copies[device] as WritingDevice;
          running[device] = (running[device] as Promise<void>).then(() => copy.write(entriesOf(copy, frames)));
          if (waits) await running[device];
        }
        await Promise.all(running);
        await Promise.all(copies.map((copy) => copy.catchUp()));
        const [{ digests, entries } = { digests: '', entries: [] }, ...others] = await Promise.all(
          copies.map((copy) => copy.readAnew()),
        );
        for (const other of others) expect(other).toEqual({ digests, entries });
        // What each carried from write to write is what one sees who comes anew.
        expect(copies.map((copy) => copy.digests)).toEqual(copies.map(() => digests));
        expect(entries).toHaveLength(copies.reduce((sum, { written }) => sum + written.length, 0));
        // Each device's own entries stand under its own manifests, in the order in which it wrote them.
        for (const { online, written } of copies) {
          const own = entries.filter(({ signer }) => signer === online.device.signature.publicKey.udf);
          expect(own.map(({ id }) => id)).toEqual(written);
        }
      });
      await assert(property, { numRuns: 12 });
    },
    testMs,
  );
});

describe('[R213] [R214] [R255] [R261] page keys', () => {
  const query = record({
    frames: integer({ min: 1, max: 60 }),
    changes: array(record({ key: integer({ min: 0, max: 9 }), deletes: boolean() }), { minLength: 1, maxLength: 12 }),
    from: integer({ min: 0, max: 20 }),
    to: option(integer({ min: 0, max: 70 }), { nil: undefined }),
    filter: constantFrom([], ['Superseded'], ['Deleted'], ['Superseded', 'Deleted'], ['Older']),
  });

  it(
    'lead through every frame of the query once, and through none that was appended since',
    async () => {
      const reading = record({
        queries: array(query, { minLength: 1, maxLength: 2 }),
        pages: array(integer({ min: 1, max: 13 }), { minLength: 1, maxLength: 8 }),
        appends: array(integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 8 }),
      });
      const property = asyncProperty(reading, async ({ queries, pages, appends }) => {
        // Others write than the one who reads.
        const stores = queries.map((each, at) => new PagedContainer(nextContainer(), each, deviceAt(1 + at)));
        await Promise.all(stores.map((store, at) => store.append(queries[at]?.frames ?? 0)));
        // Every page brings a frame, if it is only one.
        const turnsMax = stores.reduce((sum, { frameCount }) => sum + frameCount + (appends[0] ?? 0), 1);
        for (let turn = 0; turn < turnsMax; turn += 1) {
          const asked = stores.filter(({ select }) => select !== undefined);
          if (asked.length === 0) break;
          const before = asked.map(({ frameCount }) => frameCount);
          const size = pages[turn % pages.length] ?? 1;
          const appended = appends[turn % appends.length] ?? 0;
          const selects = asked.flatMap(({ select }) => select ?? []);
          const [{ status, message }] = await Promise.all([
            download(deviceAt(0), selects, { MaxEntries: size }),
            ...stores.map((store) => store.append(appended)),
          ]);
          expect(status).toBe(201);
          const updates = message.Updates ?? [];
          expect(updates.map(({ Container }) => Container)).toEqual(asked.map(({ container }) => container));
          expect(updates.flatMap(({ Envelopes }) => Envelopes ?? []).length).toBeLessThanOrEqual(size);
          for (const [at, update] of updates.entries()) asked[at]?.take(update, before[at] ?? 0);
        }
        for (const store of stores) store.requireWhole();
      });
      await assert(property, { numRuns: 12 });
    },
    testMs,
  );

  it('of another account or device, changed, or none at all: 410', async () => {
    const container = nextContainer();
    await new WritingDevice(deviceAt(0), container, devices).write(
      Array.from({ length: 5 }, (_, at) => entry({ UniqueID: `entry ${at}`, Event: 'New' })),
    );
    const { message } = await download(deviceAt(0), [{ Container: container }], { MaxEntries: 2 });
    const key = message.Updates?.[0]?.PageKey ?? '';
    expect(key).not.toBe('');
    const { link } = deviceAt(0);
    const bob = await join(link, 'bob');
    const ask = async (PageKey: string, by = deviceAt(0)) => (await download(by, [{ PageKey }], {})).status;
    expect(await ask(key)).toBe(201);
    expect(await ask(key, deviceAt(1))).toBe(410);
    expect(await ask(key, { ...bob, link })).toBe(410);
    const flipped = Buffer.from(key, 'base64url');
    flipped[60] = (flipped[60] ?? 0) ^ 1;
    for (const bad of [flipped.toString('base64url'), 'AAAA', '', '%']) expect(await ask(bad)).toBe(410);
  });
});
