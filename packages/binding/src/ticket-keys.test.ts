import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sealKeyMs, ticketMsMax } from '@meshd/limits/limits';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPageKey, type PageQuery, sealPageKey } from './page-key.js';
import { openBox, sealBox } from './seal.js';
import { loadTicketKeys, rotateTicketKeys, type TicketKeyRing, watchTicketKeys } from './ticket-keys.js';

const startMs = Date.UTC(2026, 0, 15, 12);
const hour = 3600_000;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meshd-keys-'));
});
afterEach(() => rm(directory, { recursive: true }));

const sealingId = (ring: TicketKeyRing, nowMs: number) => ring.sealing(nowMs)?.keyId;

describe('[S31] keys of tickets', () => {
  it('are made for this day and the next, in files that nobody else reads', async () => {
    const { made, removed, current } = await rotateTicketKeys(directory, startMs);
    expect([made.length, removed]).toEqual([2, []]);
    const names = await readdir(directory);
    expect(names.sort()).toEqual(made.map((id) => `${id}.json`).sort());
    expect((await stat(join(directory, names[0] as string))).mode & 0o777).toBe(0o600);
    const file = JSON.parse(await readFile(join(directory, `${current}.json`), 'utf8'));
    expect(Object.keys(file)).toEqual(['keyId', 'key', 'notBefore', 'notAfter']);
    const ring = await loadTicketKeys(directory);
    expect(Buffer.from(sealingId(ring, startMs) ?? '').toString('hex')).toBe(current);
  });

  it('change nothing when they are rotated again too soon', async () => {
    await rotateTicketKeys(directory, startMs);
    const again = await rotateTicketKeys(directory, startMs + hour);
    expect([again.made, again.removed]).toEqual([[], []]);
  });

  it('seal for a day each, and open until the last ticket has ended; then they are destroyed', async () => {
    await rotateTicketKeys(directory, startMs);
    const first = sealingId(await loadTicketKeys(directory), startMs) as Uint8Array;
    await rotateTicketKeys(directory, startMs + sealKeyMs);
    const ring = await loadTicketKeys(directory);
    const isFirst = (atMs: number) => Buffer.compare(sealingId(ring, atMs) ?? Buffer.alloc(1), first) === 0;
    expect([isFirst(startMs + sealKeyMs - 1), isFirst(startMs + sealKeyMs)]).toEqual([true, false]);
    expect(ring.opening(first, startMs + sealKeyMs + ticketMsMax - 1)).toBeDefined();
    expect(ring.opening(first, startMs + sealKeyMs + ticketMsMax)).toBeUndefined();
    const { removed } = await rotateTicketKeys(directory, startMs + sealKeyMs + ticketMsMax);
    expect(removed).toEqual([Buffer.from(first).toString('hex')]);
    expect(await readdir(directory)).not.toContain(`${removed[0]}.json`);
  });

  it('leave no moment without one, whenever within a day or so the next run comes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 26 }), { maxLength: 8 }), async (pausesHours) => {
        const folder = await mkdtemp(join(tmpdir(), 'meshd-keys-'));
        let nowMs = startMs;
        for (const pauseHours of pausesHours) {
          await rotateTicketKeys(folder, nowMs);
          const ring = await loadTicketKeys(folder);
          for (let at = 0; at <= pauseHours; at += 1) expect(ring.sealing(nowMs + at * hour)).toBeDefined();
          nowMs += pauseHours * hour;
        }
        await rm(folder, { recursive: true });
      }),
      { numRuns: 20 },
    );
  });

  it('begin anew after a long pause', async () => {
    await rotateTicketKeys(directory, startMs);
    const { made, removed } = await rotateTicketKeys(directory, startMs + 30 * sealKeyMs);
    expect([made.length, removed.length]).toEqual([2, 2]);
  });

  it('are followed while a process runs, and a file that is none does no harm to those before', async () => {
    const faults: unknown[] = [];
    await rotateTicketKeys(directory, startMs);
    const watch = await watchTicketKeys(directory, { pollMs: 20, onError: (error) => faults.push(error) });
    expect(watch.current().keys).toHaveLength(2);
    await rotateTicketKeys(directory, startMs + sealKeyMs);
    await expect.poll(() => watch.current().keys.length).toBe(3);
    await writeFile(join(directory, '0011223344556677.json'), '{"keyId":"0011223344556677"');
    await expect.poll(() => faults.length).toBeGreaterThan(0);
    expect(watch.current().keys).toHaveLength(3);
    watch.stop();
  });

  it('are none in a folder that is not there', async () => {
    expect((await loadTicketKeys(join(directory, 'nowhere'))).sealing(startMs)).toBeUndefined();
  });
});

describe('page keys', () => {
  const query: PageQuery = {
    ...{ account: 'alice@example.com', device: 'AAAA', container: 'mmm_Inbound', indexNext: 100, frameCount: 250 },
    parts: { header: true, payload: false, trailer: true },
    filters: ['Superseded'],
    expiresMs: startMs + hour,
  };

  it('open as what was sealed, and only as page keys of this provider', async () => {
    await rotateTicketKeys(directory, startMs);
    const ring = await loadTicketKeys(directory);
    const key = ring.sealing(startMs);
    if (key === undefined) throw new Error('no key');
    const keyOf = (id: Uint8Array) => ring.opening(id, startMs);
    const text = sealPageKey(key, 'MSERVICE', query);
    expect(openPageKey(keyOf, 'MSERVICE', text)).toEqual(query);
    expect(openPageKey(keyOf, 'MOTHER', text)).toBeUndefined();
    expect(openPageKey(keyOf, 'MSERVICE', `${text.slice(0, -2)}AA`)).toBeUndefined();
    for (const bad of ['', 'x', '!', 'AAAA']) expect(openPageKey(keyOf, 'MSERVICE', bad)).toBeUndefined();
    // [S02] a box of another purpose under the same key
    const ticket = sealBox('mesh-seal-1', key, 'MSERVICE', Buffer.from(JSON.stringify(query)), (n) => Buffer.alloc(n));
    expect(openBox('mesh-page-1', keyOf, 'MSERVICE', ticket)).toBeUndefined();
    expect(openPageKey(keyOf, 'MSERVICE', Buffer.from(ticket).toString('base64url'))).toBeUndefined();
  });
});
