/**
 * What the story is played on: two providers with a Redis of their own and a log in a file, and all that is listened to
 * meanwhile. Whoever plays tells the stage what was typed, so that it can be looked for in the end.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from '@meshd/dev/config';
import { findRedis } from '@meshd/dev/find-redis';
import { startRedis } from '@meshd/dev/redis';
import type { TestProvider } from '@meshd/dev/test-provider';
import { removeAtEnd } from '@meshd/dev/watchdog';
import { createLogger, type Logger } from '@meshd/telemetry/logger';
import { startTwoProviders } from '../outbound/two-providers.js';
import { databaseContents, folderContents, type Kept, RedisListener, redisContents } from './kept-by-service.js';
import { type Secret, textSecret, udfSecrets } from './secret-forms.js';
import { secretsOfHome } from './secrets-of-home.js';

/** For each step of the story, and for what goes before. */
export const stepMs = 90_000;
/** While messages are carried from one provider to another. */
export const patience = { timeout: 60_000, interval: 500 };

/** The stage, set. */
export interface Stage {
  /** Where alice lives. */
  readonly alpha: TestProvider;
  /** Where bob lives, and where alice moves. */
  readonly beta: TestProvider;
  /** Where both are, as the DNS would say it (`MESHD_DISCOVERY_OVERRIDES`), and a file with what is trusted there. */
  readonly overrides: string;
  readonly caFile: string;
  readonly redisUrl: string;
  /** What both providers log with, down to the least important. */
  readonly logger: Logger;
  /** Home of one of the devices, or another path for the player's files. */
  path(name: string): string;
  /** Remembers a text that nobody at the services may read, and gives it back. */
  secret(what: string, text: string): string;
  /** The same for a PIN, a share, or the key in a code. */
  secretUdf(what: string, text: string): string;
  /** Remembers what the home of a device keeps secret, as it is now. */
  rememberKeys(device: string): Promise<void>;
  readonly secrets: readonly Secret[];
  /** Everything that the services keep, and have written. */
  kept(): Promise<Kept[]>;
  stop(): Promise<void>;
}

/** Sets it. */
export async function setStage(): Promise<Stage> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    return await setParts(undo, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function setParts(undo: (() => Promise<unknown>)[], stop: () => Promise<void>): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'meshd-story-'));
  removeAtEnd(folder);
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const redisFolder = join(folder, 'redis');
  const program = await findRedis({ cache: join(cacheFolder, 'redis'), say: () => undefined });
  if (program === undefined) throw new Error('this test needs a Redis program on this machine');
  const redis = await startRedis({ redis: program, folder: redisFolder, password: randomBytes(16).toString('hex') });
  undo.push(() => redis.stop());
  const listener = await RedisListener.start(redis.url);
  undo.push(async () => listener.stop());
  const logFile = join(folder, 'providers.log');
  const write = (line: string) => appendFileSync(logFile, line);
  const logger = createLogger({ service: 'story', level: 'trace', destination: { write } });
  const two = await startTwoProviders({}, { backends: { redisUrl: redis.url }, logger });
  undo.push(() => two.stop());
  const { alpha, beta } = two;
  const overrides = [alpha, beta].map(({ domain, port }) => `${domain}=127.0.0.1:${port}`).join(',');
  const caFile = join(two.folder, 'both.pem');
  await writeFile(caFile, `${alpha.ca}\n${beta.ca}`);
  const secrets: Secret[] = [];
  return {
    ...{ alpha, beta, overrides, caFile, redisUrl: redis.url, logger, secrets, stop },
    path: (name) => join(two.folder, name),
    secret: (what, text) => {
      secrets.push(textSecret(what, text));
      return text;
    },
    secretUdf: (what, text) => {
      secrets.push(...udfSecrets(what, text));
      return text;
    },
    rememberKeys: async (device) => {
      const known = new Set(secrets.map(({ octets }) => Buffer.from(octets).toString('hex')));
      const found = await secretsOfHome(join(two.folder, device), device);
      secrets.push(...found.filter(({ octets }) => !known.has(Buffer.from(octets).toString('hex'))));
    },
    kept: async () => {
      const urls = [alpha, beta].flatMap(({ databases }) => [databases.directory, ...databases.shards]);
      const parts = await Promise.all([
        ...urls.map(databaseContents),
        redisContents(redis.url),
        ...[alpha, beta].map(({ plan }) => folderContents(plan.serviceFolder)),
        folderContents(redisFolder),
      ]);
      const log = { where: 'log of the providers', octets: await readFile(logFile) };
      return [...parts.flat(), listener.heard, log];
    },
  };
}
