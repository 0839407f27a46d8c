/**
 * Finds a Redis server program on this machine, or brings one.
 *
 * No npm package ships one. Debian's package `redis-tools` holds the very binary (it is the same file under several
 * names, and `redis-server` is one of them), without the service that installing `redis-server` would start. Root
 * installs it; everybody else downloads the packages into the cache of this working tree and unpacks them there.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, readdir, rename, symlink } from 'node:fs/promises';
import { arch } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { plainEnvironment } from './config.js';

const run = promisify(execFile);

/** A Redis server that can be started. */
export interface RedisProgram {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where it came from, for people. */
  readonly source: string;
}

/** What {@link findRedis} needs. */
export interface FindRedisOptions {
  /** Folder for what is downloaded; kept for the next time. */
  readonly cache: string;
  /** Told when something long begins. */
  readonly say: (text: string) => void;
}

/** A package manager that hangs must not hang us. */
const packageManagerMsMax = 180_000;
/** A program says at once which version it is, unless the machine has very much to do. */
const versionMsMax = 30_000;
const packages = ['redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1'];

/**
 * Looks on the path, then in the cache, then asks Debian's package manager.
 *
 * @returns undefined when there is none to be had this way
 */
export async function findRedis(options: FindRedisOptions): Promise<RedisProgram | undefined> {
  for (const name of ['redis-server', 'valkey-server']) {
    const command = await onPath(name);
    if (command !== undefined) return { command, env: plainEnvironment(), source: command };
  }
  const cached = await unpacked(options.cache);
  if (cached !== undefined) return cached;
  const tool = await onPath('redis-check-rdb');
  if (tool !== undefined) return link(options.cache, tool, plainEnvironment(), 'Debian package redis-tools');
  if ((await onPath('apt-get')) === undefined) return undefined;
  return (await installed(options)) ?? (await downloaded(options));
}

async function onPath(name: string): Promise<string | undefined> {
  const path = plainEnvironment().PATH ?? '';
  for (const folder of [...path.split(delimiter), '/usr/local/bin', '/usr/bin', '/usr/sbin']) {
    const file = join(folder, name);
    if (folder !== '' && (await isExecutable(file))) return file;
  }
  return undefined;
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** As root: the machine's own package manager, its lists brought up to date first. */
async function installed({ cache, say }: FindRedisOptions): Promise<RedisProgram | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  say('Installing redis-tools with apt-get');
  const env = { ...plainEnvironment(), DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, timeout: packageManagerMsMax };
  try {
    await run('apt-get', ['update', '-qq'], options);
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'redis-tools'], options);
  } catch (error) {
    say(`apt-get did not install it: ${firstLine(error)}`);
    return undefined;
  }
  return link(cache, '/usr/bin/redis-check-rdb', plainEnvironment(), 'Debian package redis-tools');
}

/** Without root: lists and packages in folders of ours. */
async function downloaded({ cache, say }: FindRedisOptions): Promise<RedisProgram | undefined> {
  say('Downloading redis-tools with apt-get');
  const folder = join(cache, 'apt');
  await mkdir(join(folder, 'state/lists/partial'), { recursive: true });
  await mkdir(join(folder, 'cache/archives/partial'), { recursive: true });
  const places = [
    `Dir::State=${folder}/state`,
    `Dir::Cache=${folder}/cache`,
    'Dir::State::status=/var/lib/dpkg/status',
  ];
  const common = places.flatMap((place) => ['-o', place]);
  const options = { cwd: folder, env: plainEnvironment(), timeout: packageManagerMsMax };
  try {
    await run('apt-get', [...common, 'update', '-qq'], options);
    await run('apt-get', [...common, 'download', '-qq', ...packages], options);
    for (const file of await readdir(folder)) {
      if (file.endsWith('.deb')) await run('dpkg-deb', ['-x', file, join(cache, 'root')], options);
    }
  } catch (error) {
    say(`apt-get did not download it: ${firstLine(error)}`);
    return undefined;
  }
  return unpacked(cache);
}

/** What an earlier download left. */
async function unpacked(cache: string): Promise<RedisProgram | undefined> {
  const binary = join(cache, 'root/usr/bin/redis-check-rdb');
  if (!(await isExecutable(binary))) return undefined;
  const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[arch() as 'x64' | 'arm64'] ?? '';
  const env = { ...plainEnvironment(), LD_LIBRARY_PATH: join(cache, 'root/usr/lib', triplet) };
  return link(cache, binary, env, 'Debian package redis-tools, unpacked');
}

/** The binary decides by the name it is called under what it is; so it gets that name, and is asked whether it agrees. */
async function link(
  cache: string,
  binary: string,
  env: Record<string, string>,
  source: string,
): Promise<RedisProgram | undefined> {
  const command = join(cache, 'redis-server');
  await mkdir(cache, { recursive: true });
  // Others may look for it at the same time: for none of them it is ever away.
  const made = `${command}.${randomBytes(6).toString('hex')}`;
  await symlink(binary, made);
  await rename(made, command);
  try {
    const { stdout } = await run(command, ['--version'], { env, timeout: versionMsMax });
    return stdout.includes('Redis server') ? { command, env, source } : undefined;
  } catch {
    return undefined;
  }
}

function firstLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return (stderr ?? '').split('\n').find((line) => line.trim() !== '') ?? message;
}
