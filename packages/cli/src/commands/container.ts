/** `mesh container upload|download`: files as encrypted entries of the account's containers. */
import { basename, join } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { type DownloadedEntry, downloadContainer } from '@meshd/client/operations/download';
import { queueFiles, type UploadFile, uploadFiles } from '@meshd/client/operations/upload';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { conflictText } from '../conflict-text.js';
import { decisionArgument, integerArgument, withEnvironment } from '../device-environment.js';
import { textTable } from '../table.js';

/** Under what name standard input is filed. */
const standardInputName = 'stdin';
/** What file systems commonly allow for one name. */
const fileNameBytesMax = 255;
const fileMode = 0o600;

const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;

interface UploadFlags {
  readonly offline?: boolean;
  readonly conflicts?: string;
}

async function upload(io: CommandIo, container: string, paths: readonly string[], flags: UploadFlags): Promise<void> {
  const decide = decisionArgument(io, flags.conflicts);
  const files: UploadFile[] = [];
  for (const path of paths) {
    files.push({ name: path === '-' ? standardInputName : basename(path), content: await io.readFile(path) });
  }
  const twice = files.find(({ name }, at) => files.findIndex((other) => other.name === name) < at);
  if (twice !== undefined) throw new UsageError(`two files are called ${twice.name}; upload them one after the other`);
  if (flags.offline) return queue(io, container, files);
  const result = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => uploadFiles(device, container, files, decide)),
  );
  const { frameCount, digest, root, conflicts } = result;
  const entries = result.entries.map(({ name, uniqueId, frameIndex }) => ({ name, uniqueId, index: frameIndex }));
  io.print({ container, index: frameCount, digest, root, entries, conflicts }, () => {
    const [only] = entries;
    const what = entries.length === 1 && only !== undefined ? only.name : plural(entries.length, 'file');
    const stored = `${what} encrypted and stored in ${container}, which has ${frameCount} frames now`;
    return [stored, ...conflicts.map(conflictText)].join('\n');
  });
}

async function queue(io: CommandIo, container: string, files: readonly UploadFile[]): Promise<void> {
  const waiting = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => queueFiles(device, container, files)),
  );
  const queued = files.map(({ name }) => name);
  io.print({ container, queued, waiting }, () => {
    return `${plural(files.length, 'file')} encrypted; ${waiting} waiting for: mesh account sync`;
  });
}

/** A name from inside an entry is somebody's input: it never leaves the folder it is written to. */
function safeName(name: string, frameIndex: number): string {
  const isPlain = name === basename(name) && !/[\0/\\]/.test(name) && !['', '.', '..'].includes(name);
  return isPlain && Buffer.byteLength(name) <= fileNameBytesMax ? name : `entry-${frameIndex}`;
}

async function writeEntries(
  io: CommandIo,
  folder: string,
  entries: readonly DownloadedEntry[],
): Promise<ReadonlyMap<number, string>> {
  await io.makeFolder(folder);
  const files = new Map<number, string>();
  const taken = new Set<string>();
  for (const { frameIndex, name = '', content, current } of entries) {
    if (content === undefined || !current) continue;
    const wanted = safeName(name, frameIndex);
    const free = taken.has(wanted) ? `${frameIndex}-${wanted}` : wanted;
    taken.add(free);
    const path = join(folder, free);
    await io.writeFile(path, content, { mode: fileMode });
    files.set(frameIndex, path);
  }
  return files;
}

interface DownloadFlags {
  readonly min?: string;
  readonly max?: string;
  readonly out?: string;
  readonly legacy?: boolean;
}

async function download(io: CommandIo, container: string, flags: DownloadFlags): Promise<void> {
  const range = { min: integerArgument('--min', flags.min), max: integerArgument('--max', flags.max) };
  const result = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => {
      if (flags.legacy) device.allowLegacy();
      return downloadContainer(device, container, range);
    }),
  );
  const files = flags.out === undefined ? undefined : await writeEntries(io, flags.out, result.entries);
  const entries = result.entries.map((entry) => ({
    index: entry.frameIndex,
    event: entry.event,
    name: entry.name,
    bytes: entry.content?.length,
    current: entry.current,
    uniqueId: entry.uniqueId,
    // Either in files or here: what is decrypted must be had one way or the other.
    ...(files === undefined ? { content: entry.content } : { file: files.get(entry.frameIndex) }),
  }));
  const { frameCount, digest, root, isLegacy } = result;
  io.print({ container, index: frameCount, digest, root, legacy: isLegacy, entries }, () => {
    const rows = entries.map(({ index, event = '-', name = '-', bytes, current }) => {
      return [index, event, name, bytes ?? '-', current ? '' : 'replaced'];
    });
    const table = textTable(['frame', 'event', 'name', 'octets', ''], rows);
    const written = files === undefined ? '' : `\n${plural(files.size, 'file')} written to ${flags.out}`;
    const order = isLegacy ? '\nnothing proves the order of these entries' : '';
    return `${container}: ${frameCount} frames, all verified\n${table}${written}${order}`;
  });
}

/** Adds to the group of the program. */
export function registerContainerCommands(program: Command, io: CommandIo): void {
  const container = commandGroup(program, 'container', "the account's containers, and container files");
  container
    .command('upload')
    .description("encrypt files and append them to one of the account's containers")
    .argument('<name>', 'name of the container, for example my_Notes; made if it does not exist')
    .argument('<file...>', 'files; - is standard input')
    .option('--offline', 'only put them into the queue; the next mesh account sync uploads them')
    .option('--conflicts <choice>', 'where a deletion stands against a change: mine, theirs or later (default: ask)')
    .action((name: string, paths: string[], flags: UploadFlags) => upload(io, name, paths, flags));
  container
    .command('download')
    .description("verify one of the account's containers and decrypt its entries")
    .argument('<name>', 'name of the container')
    .option('--min <index>', 'first frame')
    .option('--max <index>', 'last frame')
    .option('--out <dir>', 'write the newest version of each file here')
    .option('--legacy', 'read a container without manifests, whose order nothing proves')
    .action((name: string, flags: DownloadFlags) => download(io, name, flags));
}
