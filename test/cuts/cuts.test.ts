/**
 * Lines that break: uploads and downloads by the client, through a proxy that cuts the connection after every so many
 * octets, in both directions. Nothing is lost, nothing is there twice, and it does not take for ever.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { type ClientEnvironment, systemEnvironment } from '@meshd/client/environment';
import { ClientError } from '@meshd/client/errors';
import { createAccount } from '@meshd/client/operations/create-account';
import { downloadContainer } from '@meshd/client/operations/download';
import { type Flushed, flushPending } from '@meshd/client/operations/flush';
import { syncAccount } from '@meshd/client/operations/sync';
import { queueFiles, uploadFiles } from '@meshd/client/operations/upload';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cut, CuttingProxy, type Direction } from './cutting-proxy.js';

const testMs = 240_000;
/** One upload or download over a line that breaks once must be over by then, on a machine with other work. */
const onceMsMax = 15_000;

let provider: TestProvider;
let proxy: CuttingProxy;
let folder: string;
let home: string;
/** Pauses pass at once: what is counted is work. */
const environment: ClientEnvironment = { ...systemEnvironment(), pause: async () => undefined };

beforeAll(async () => {
  provider = await startTestProvider({ domains: ['mesh.localhost'] });
  proxy = await CuttingProxy.start(provider.port);
  folder = await mkdtemp(join(tmpdir(), 'meshd-cuts-'));
  home = join(folder, 'home');
  await createAccount(home, environment, { address: 'alice@mesh.localhost', url: proxy.url, ca: provider.ca });
});
afterAll(async () => {
  await proxy?.stop();
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});

let homes = 0;
/** The same device without any replica. */
async function freshHome(): Promise<string> {
  const copy = join(folder, `fresh-${++homes}`);
  await cp(home, copy, { recursive: true });
  await rm(join(copy, 'containers'), { recursive: true, force: true });
  return copy;
}

const contentOf = (name: string) => Buffer.from(`content of ${name} `.repeat(20));
const heavyContent = (name: string) => Buffer.alloc(100_000, name);
type ContentOf = typeof contentOf;
const filesOf = (names: readonly string[], content: ContentOf = contentOf) =>
  names.map((name) => ({ name, content: content(name) }));

function upload(container: string, names: readonly string[], content?: ContentOf) {
  return withDevice(home, environment, (device) => uploadFiles(device, container, filesOf(names, content)));
}

/** Leaves the sending to later runs. */
function queue(container: string, names: readonly string[]) {
  return withDevice(home, environment, (device) => queueFiles(device, container, filesOf(names)));
}

/** What a later run does: looks how things stand, and sends what waits. */
function resume() {
  return withDevice(home, environment, async (device) => {
    await syncAccount(device);
    return flushPending(device);
  });
}

/** Whether all that waited is placed, without having met anything of somebody else. */
function isEmptied({ conflicts, failures, waitingCount }: Flushed): boolean {
  expect({ conflicts, failures }).toEqual({ conflicts: [], failures: [] });
  return waitingCount === 0;
}

async function within<T>(limitMs: number, work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await work();
  expect(performance.now() - begun).toBeLessThan(limitMs);
  return result;
}

/** Every entry once, with its content, and nothing else. */
async function expectEntries(
  container: string,
  names: readonly string[],
  expected: ContentOf = contentOf,
): Promise<void> {
  proxy.reset(() => undefined);
  const fresh = await freshHome();
  const { entries, frameCount } = await withDevice(fresh, environment, (device) =>
    downloadContainer(device, container),
  );
  expect(entries.map(({ name }) => name)).toEqual(names);
  for (const { name = '', content } of entries) expect(Buffer.from(content ?? '').equals(expected(name))).toBe(true);
  expect(frameCount).toBe(1 + names.length);
  await rm(fresh, { recursive: true });
}

/** Points in a stream of so many octets, at most `count`, ends included. */
const pointsIn = (octets: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => 1 + Math.floor((at * (octets - 1)) / (count - 1)));

/** From a few octets to the whole stream, each some times the one before. */
const lengthsUpTo = (octets: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => Math.round(300 * (octets / 300) ** (at / (count - 1))));

const onlyFirst = (cut: Cut) => (connection: number) => (connection === 0 ? cut : undefined);
const everyTime = (cut: Cut) => () => cut;

describe('[R135] [R192] an upload over a line that breaks', () => {
  for (const direction of ['up', 'down'] as const satisfies readonly Direction[]) {
    it(
      `anywhere on the way ${direction}: each entry is there once`,
      async () => {
        const container = `my_Once${direction}`;
        const names: string[] = [];
        const run = async (cutOf: (connection: number) => Cut | undefined) => {
          const added = [`entry ${names.length}`, `entry ${names.length + 1}`];
          proxy.reset(cutOf);
          const result = await within(onceMsMax, () => upload(container, added));
          names.push(...added);
          expect(result.frameCount).toBe(1 + names.length);
        };
        await run(() => undefined);
        await run(() => undefined);
        const octets = proxy.passed[direction];
        let cuts = 0;
        for (const point of pointsIn(octets, 13)) {
          await run(onlyFirst({ direction, octets: point }));
          cuts += proxy.cutCount;
        }
        expect(cuts).toBeGreaterThan(10);
        await expectEntries(container, names);
      },
      testMs,
    );

    it(
      `of several large entries, anywhere on the way ${direction}: each is there once`,
      async () => {
        const container = `my_Heavy${direction}`;
        const names: string[] = [];
        const run = async (cutOf: (connection: number) => Cut | undefined) => {
          const added = [0, 1, 2].map((at) => `heavy ${names.length + at}`);
          proxy.reset(cutOf);
          await within(onceMsMax, () => upload(container, added, heavyContent));
          names.push(...added);
        };
        await run(() => undefined);
        await run(() => undefined);
        const octets = proxy.passed[direction];
        let cuts = 0;
        for (const point of pointsIn(octets, 6)) {
          await run(onlyFirst({ direction, octets: point }));
          cuts += proxy.cutCount;
        }
        expect(cuts).toBeGreaterThan(3);
        await expectEntries(container, names, heavyContent);
      },
      testMs,
    );

    it(
      `after every N octets on the way ${direction}, for many N, run after run: nothing is lost and nothing is there twice`,
      async () => {
        const container = `my_EveryN${direction}`;
        const names = ['begin', 'begun'];
        for (const name of names) {
          proxy.reset(() => undefined);
          await upload(container, [name]);
        }
        let cuts = 0;
        for (const octets of lengthsUpTo(1.5 * proxy.passed[direction], 9)) {
          const name = `entry ${names.length}`;
          await queue(container, [name]);
          names.push(name);
          proxy.reset(everyTime({ direction, octets }));
          let isDone = false;
          for (let at = 0; at < 3 && !isDone; at += 1) isDone = await resume().then(isEmptied, () => false);
          cuts += proxy.cutCount;
          proxy.reset(() => undefined);
          if (!isDone) expect(isEmptied(await resume())).toBe(true);
        }
        expect(cuts).toBeGreaterThan(12);
        await expectEntries(container, names);
      },
      testMs,
    );

    it(
      `every time on the way ${direction}, until the device gives up: a later run sends what waits, once`,
      async () => {
        const container = `my_Later${direction}`;
        const names: string[] = ['begin'];
        proxy.reset(() => undefined);
        await upload(container, names);
        proxy.reset(() => undefined);
        await upload(container, ['begun']);
        names.push('begun');
        const octets = proxy.passed[direction];
        for (const point of pointsIn(octets, 7)) {
          const name = `entry ${names.length}`;
          proxy.reset(everyTime({ direction, octets: point }));
          const failure = await within(2 * onceMsMax, () =>
            upload(container, [name]).then(
              () => undefined,
              (error: unknown) => error,
            ),
          );
          if (failure !== undefined) expect(failure).toMatchObject({ code: 'unavailable' });
          expect(failure === undefined || failure instanceof ClientError).toBe(true);
          proxy.reset(() => undefined);
          const flushed = await resume();
          expect(flushed).toMatchObject({ conflicts: [], failures: [], waitingCount: 0 });
          const isThere = failure === undefined || flushed.placed.some((place) => place.name === name);
          // Where not even Hello got through, nothing was begun: the user begins again.
          if (!isThere) await upload(container, [name]);
          names.push(name);
        }
        await expectEntries(container, names);
      },
      testMs,
    );
  }
});

describe('[R216] [R261] a download over a line that breaks', () => {
  const container = 'my_Large';
  const sizes = [10, 300_000, 40_000, 40_000, 500_000, 10, 40_000];
  const nameAt = (at: number) => `large ${at}`;
  const largeContent = (at: number) => Buffer.alloc(sizes[at] ?? 0, nameAt(at));

  beforeAll(async () => {
    proxy.reset(() => undefined);
    for (const [at] of sizes.entries()) {
      const files = [{ name: nameAt(at), content: largeContent(at) }];
      await withDevice(home, environment, (device) => uploadFiles(device, container, files));
    }
  }, testMs);

  async function expectLarge(fresh: string): Promise<void> {
    const { entries, frameCount } = await withDevice(fresh, environment, (device) =>
      downloadContainer(device, container),
    );
    expect(frameCount).toBe(1 + sizes.length);
    expect(entries.map(({ name }) => name)).toEqual(sizes.map((_, at) => nameAt(at)));
    for (const [at, { content }] of entries.entries()) {
      expect(Buffer.from(content ?? '').equals(largeContent(at))).toBe(true);
    }
  }

  for (const direction of ['up', 'down'] as const satisfies readonly Direction[]) {
    it(
      `anywhere on the way ${direction}: every frame comes once`,
      async () => {
        proxy.reset(() => undefined);
        const whole = await freshHome();
        await expectLarge(whole);
        const octets = proxy.passed[direction];
        await rm(whole, { recursive: true });
        let cuts = 0;
        for (const point of pointsIn(octets, 7)) {
          const fresh = await freshHome();
          proxy.reset(onlyFirst({ direction, octets: point }));
          await within(onceMsMax, () => expectLarge(fresh));
          cuts += proxy.cutCount;
          await rm(fresh, { recursive: true });
        }
        expect(cuts).toBeGreaterThan(5);
      },
      testMs,
    );
  }

  for (const direction of ['up', 'down'] as const satisfies readonly Direction[]) {
    it(
      `after every N octets on the way ${direction}, for many N, run after run: every frame comes once`,
      async () => {
        proxy.reset(() => undefined);
        const whole = await freshHome();
        await expectLarge(whole);
        const length = proxy.passed[direction];
        await rm(whole, { recursive: true });
        let cuts = 0;
        for (const octets of lengthsUpTo(length, 6)) {
          const fresh = await freshHome();
          proxy.reset(everyTime({ direction, octets }));
          let isDone = false;
          for (let at = 0; at < 3 && !isDone; at += 1) {
            isDone = await withDevice(fresh, environment, (device) => syncAccount(device)).then(
              () => true,
              (error: unknown) => {
                expect(error).toMatchObject({ code: 'unavailable' });
                return false;
              },
            );
          }
          cuts += proxy.cutCount;
          proxy.reset(() => undefined);
          await expectLarge(fresh);
          // What was here already does not come again.
          if (isDone) expect(proxy.passed.down).toBeLessThan(100_000);
          await rm(fresh, { recursive: true });
        }
        expect(cuts).toBeGreaterThan(12);
      },
      testMs,
    );
  }

  it(
    'after every 250,000 octets: payloads larger than that come in slices',
    async () => {
      const fresh = await freshHome();
      proxy.reset(everyTime({ direction: 'down', octets: 250_000 }));
      await within(4 * onceMsMax, async () => {
        // A device that gave up goes on where it was.
        for (let run = 0; run < 5; run += 1) {
          const done = await withDevice(fresh, environment, (device) => syncAccount(device)).then(
            () => true,
            (error: unknown) => {
              expect(error).toMatchObject({ code: 'unavailable' });
              return false;
            },
          );
          if (done) break;
        }
      });
      expect(proxy.cutCount).toBeGreaterThan(2);
      proxy.reset(() => undefined);
      await expectLarge(fresh);
      // Nothing but what is said of heads and keys came again.
      expect(proxy.passed.down).toBeLessThan(100_000);
      await rm(fresh, { recursive: true });
    },
    testMs,
  );

  it(
    'so often that the device gives up each time: it goes on where it was',
    async () => {
      const fresh = await freshHome();
      let runs = 0;
      let cuts = 0;
      for (let isDone = false; !isDone && runs < 20; runs += 1) {
        // Ever again some octets get through, and then nothing for as long as anybody would try.
        proxy.reset((connection) => ({ direction: 'down', octets: connection < 9 ? 250_000 : 100 }));
        isDone = await withDevice(fresh, environment, (device) => syncAccount(device)).then(
          () => true,
          () => false,
        );
        cuts += proxy.cutCount;
      }
      expect(runs).toBeLessThan(20);
      expect(runs).toBeGreaterThan(1);
      expect(cuts).toBeGreaterThan(9);
      proxy.reset(() => undefined);
      await expectLarge(fresh);
      await rm(fresh, { recursive: true });
    },
    testMs,
  );
});
