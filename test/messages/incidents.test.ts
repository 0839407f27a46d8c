/** What routers refuse stands among the incidents of a shard, however often it is tried as a few records (R030, S70, S71). */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domain, draftOf, type Foreign, type ForeignService, openForeign } from './foreign-kit.js';

const refusalsPerMinute = 5;
let foreign: Foreign;
let evil: ForeignService;
let database: pg.Client;

beforeAll(async () => {
  const requesterLimits = { refusalsPerMinute, countLoopback: true };
  foreign = await openForeign(['alpha.test', 'evil.test'], { router: { requesterLimits } });
  evil = foreign.services[1] as ForeignService;
  database = new pg.Client({ connectionString: foreign.wire.provider.databases.shards[0] });
  await database.connect();
}, 400_000);
afterAll(async () => {
  await database?.end();
  await foreign?.stop();
});

/** Incidents of a kind, oldest first. */
async function incidents(kind: string): Promise<{ readonly Account?: string; readonly Detail: string }[]> {
  const { rows } = await database.query(
    `SELECT payload FROM frame WHERE encode(payload, 'escape') LIKE '%"IncidentReport"%' ORDER BY frame_index`,
  );
  const reports = rows.map(({ payload }) => JSON.parse(payload.toString('utf8')).IncidentReport);
  return reports.filter((report) => report.Kind === kind);
}

const waiting = { timeout: 30_000, interval: 100 };
const times = <T>(count: number, work: () => Promise<T>) => Promise.all(Array.from({ length: count }, work));

describe('[R030] what a router refuses', () => {
  it('[S70] a host that speaks for another domain: one record of where it came from, however often it tries', async () => {
    const alice = foreign.services[0]?.person('alice');
    const to = [`nobody@${domain}`];
    const spoof = async () => {
      const Message = [draftOf(alice as NonNullable<typeof alice>, { to })];
      const { status, statusExtended } = await evil.post({ Accounts: to, Message });
      expect([status, statusExtended]).toEqual([403, 5]);
    };
    await times(20, spoof);
    await expect.poll(() => incidents('host-refused'), waiting).toHaveLength(1);
    expect((await incidents('host-refused'))[0]?.Detail).toBe(
      'source 127.0.0.1: the host does not speak for alpha.test',
    );
    await times(20, spoof);
    expect(await incidents('host-refused')).toHaveLength(1);
  });

  it('[R175] a source that is barred for abuse: one record', async () => {
    const statuses = await times(4 * refusalsPerMinute, async () => (await foreign.wire.ask('{')).httpStatus);
    expect(new Set(statuses)).toEqual(new Set([400, 429]));
    await expect.poll(() => incidents('requester-barred'), waiting).toHaveLength(1);
    const [barred] = await incidents('requester-barred');
    expect(barred?.Detail).toMatch(/^source 127\.0\.0\.1: refused more than \d+ times in a minute/);
    expect(await incidents('host-refused')).toHaveLength(1);
  });
});
