/**
 * Lines that break while a large file is on its way, at many places of both legs: it is continued where it was, and nothing
 * goes over the line twice but a slice.
 */
import { rm } from 'node:fs/promises';
import { largePlainBytes } from '@meshd/limits/large';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Direction } from '../cuts/cutting-proxy.js';
import { hasContent, LargeKit } from './kit.js';

const testMs = 240_000;
const bytes = 3 * largePlainBytes + 777;
let kit: LargeKit;
beforeAll(async () => {
  kit = await LargeKit.start();
});
afterAll(() => kit?.stop());

/** Points in a stream, from its first octets to its last. */
const pointsIn = (octets: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => 1 + Math.floor((at * (octets - 1)) / (count - 1)));

const directions: readonly Direction[] = ['up', 'down'];

describe('[R158] a line that breaks once', () => {
  it(
    'while a file is sent, after any number of octets, costs a slice at most',
    async () => {
      const measured = await kit.file(bytes);
      kit.proxy.reset(() => undefined);
      await kit.send(measured.path);
      const whole = { ...kit.proxy.passed };
      for (const direction of directions) {
        for (const octets of pointsIn(whole[direction], 5)) {
          const { path, content } = await kit.file(bytes);
          kit.proxy.reset((connection) => (connection === 0 ? { direction, octets } : undefined));
          const sending = await kit.send(path);
          expect(kit.proxy.passed.up, `${direction} ${octets}`).toBeLessThan(whole.up + 2.2 * largePlainBytes);
          kit.proxy.reset(() => undefined);
          const place = kit.place();
          await kit.fetch(await kit.arrived(sending), place);
          expect(await hasContent(place, content), `${direction} ${octets}`).toBe(true);
        }
      }
    },
    testMs,
  );

  it(
    'while a file is fetched, after any number of octets, costs two slices at most',
    async () => {
      const { path, content } = await kit.file(bytes);
      kit.proxy.reset(() => undefined);
      const id = await kit.arrived(await kit.send(path));
      const place = kit.place();
      kit.proxy.reset(() => undefined);
      await kit.fetch(id, place);
      const whole = { ...kit.proxy.passed };
      for (const direction of directions) {
        for (const octets of pointsIn(whole[direction], 5)) {
          await rm(place);
          kit.proxy.reset((connection) => (connection === 0 ? { direction, octets } : undefined));
          await kit.fetch(id, place);
          expect(kit.proxy.passed.down, `${direction} ${octets}`).toBeLessThan(whole.down + 3.3 * largePlainBytes);
          expect(await hasContent(place, content), `${direction} ${octets}`).toBe(true);
        }
      }
    },
    testMs,
  );
});

describe('[R158] a line that breaks again and again', () => {
  it(
    'lets a file through in the end, sent by run after run, each from where the last one came to',
    async () => {
      const { path, content } = await kit.file(bytes);
      kit.proxy.reset(() => ({ direction: 'up', octets: Math.floor(1.3 * largePlainBytes) }));
      let runs = 0;
      const send = async (): Promise<Awaited<ReturnType<LargeKit['send']>>> => {
        runs += 1;
        return kit.send(path).catch((error) => {
          if (runs >= 12 || error.code !== 'unavailable') throw error;
          return send();
        });
      };
      const sending = await send();
      expect(kit.proxy.cutCount).toBeGreaterThan(1);
      expect(
        await kit.onShards('SELECT 1 FROM large_file WHERE identifier = $1', [sending.stored.locator.identifier]),
      ).toHaveLength(1);
      const id = await kit.arrived(sending);
      const place = kit.place();
      kit.proxy.reset(() => ({ direction: 'down', octets: Math.floor(0.6 * largePlainBytes) }));
      await kit.fetch(id, place);
      expect(kit.proxy.cutCount).toBeGreaterThan(3);
      expect(await hasContent(place, content)).toBe(true);
    },
    testMs,
  );
});
