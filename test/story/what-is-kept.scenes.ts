/**
 * What the services have of the person whose story was told: nothing that she typed and no private key, wherever it is looked
 * for; and by the same search all that they must have.
 */
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { alice } from './by-command-line.scenes.js';
import type { Kept } from './kept-by-service.js';
import { secretFinder, textSecret } from './secret-forms.js';
import { type Stage, stepMs } from './stage.js';

/** What the services can read, and why they must, or may. */
const readable: readonly (readonly [what: string, text: string, why: string])[] = [
  ['her address', alice.address, 'messages are carried to it (semantics 2.1)'],
  ['her friend’s address', 'bob@beta.test', 'messages are carried to it, and taken from it if she knows him (S71)'],
  ['names of her catalogs', 'mmm_Credential', 'a device asks for them by name (semantics 5)'],
  ['what a device says of itself', 'desk lamp 0815', 'stands in its profile, which is public (schema 3)'],
  ['what a device is called', 'kitchen tablet', 'CatalogedDevice.Name; the device catalog is read by the service'],
  ['what a device may', 'mmm_Network', 'the service refuses the rest (semantics 3)'],
  ['her name in a first request', alice.name, 'goes in clear, signed: the key of a stranger is not known (R161)'],
  ['the subject of a first request', alice.subject, 'goes in clear with it (R161)'],
];

/** Registers the search; what it searches for is known when the story has been told. */
export function searchWhatIsKept(stage: () => Stage): void {
  describe('of all that she typed and all her keys', () => {
    const mark = `planted-${randomBytes(9).toString('hex')}`;
    let kept: Kept[];

    beforeAll(async () => {
      await plant(stage(), mark);
      kept = await stage().kept();
    }, stepMs);

    const placesOf = (what: string, text: string): string[] => {
      const find = secretFinder([textSecret(what, text)]);
      return kept.filter(({ octets }) => find(octets).length > 0).map(({ where }) => where);
    };

    it('[R313] [S60] the services keep nothing that can be read: in Postgres, Redis, jobs, logs and files', () => {
      const { secrets } = stage();
      expect(secrets.length).toBeGreaterThan(300);
      const find = secretFinder(secrets);
      const found = kept.flatMap(({ where, octets }) => find(octets).map((what) => `${what} in ${where}`));
      expect(found).toEqual([]);
    });

    it('what was put there to be found is found everywhere: in each database, kind of key, job, log and file', () => {
      const places = placesOf('mark', mark);
      const { alpha, beta } = stage();
      const databases = [alpha, beta].flatMap(({ databases: { directory, shards } }) => [directory, ...shards]);
      expect(places.filter((where) => where === 'table planted')).toHaveLength(databases.length);
      for (const kind of kinds) expect(places).toContain(`Redis planted:${kind}`);
      expect(places).toContain('what was said to Redis');
      expect(places).toContain('log of the providers');
    });

    it('jobs are among it: their data say where something waits, and no more', () => {
      expect(placesOf('a destination', 'beta.test')).toContain('what was said to Redis');
    });

    it.each(readable)('the services know %s (%s): %s', (what, text) => {
      expect(placesOf(what, text).filter((where) => where.startsWith('table '))).not.toEqual([]);
    });
  });
}

const kinds = ['string', 'hash', 'list', 'set', 'zset', 'stream'] as const;

/** Puts a text into every kind of store, each time in another form. */
async function plant({ alpha, beta, redisUrl, logger }: Stage, mark: string): Promise<void> {
  const nested = Buffer.from(JSON.stringify({ inner: Buffer.from(mark).toString('base64url') })).toString('base64');
  for (const { databases } of [alpha, beta]) {
    for (const connectionString of [databases.directory, ...databases.shards]) {
      const client = new pg.Client({ connectionString });
      await client.connect();
      await client.query('CREATE TABLE planted (octets bytea)');
      await client.query('INSERT INTO planted VALUES ($1)', [Buffer.from(nested)]);
      await client.end();
    }
  }
  const redis = new Redis(redisUrl);
  await redis.set('planted:string', nested);
  await redis.hset('planted:hash', 'data', JSON.stringify({ mark }));
  await redis.rpush('planted:list', mark);
  await redis.sadd('planted:set', Buffer.from(mark).toString('hex'));
  await redis.zadd('planted:zset', 1, mark);
  await redis.xadd('planted:stream', '*', 'mark', mark);
  await redis.quit();
  logger.debug({ mark: Buffer.from(mark).toString('base64') }, 'planted');
}
