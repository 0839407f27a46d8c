/** Large files: `mesh message send --large`, `mesh message fetch`, `mesh message large`. */
import { withDevice } from '@meshd/client/device';
import { fetchLarge } from '@meshd/client/operations/fetch-large';
import { largeFiles, withdrawLarge } from '@meshd/client/operations/large-files';
import { sendLarge } from '@meshd/client/operations/send-large';
import type { Command } from 'commander';
import { type CommandIo, UsageError } from '../command-io.js';
import { caArgument, type ServiceOptions, urlArgument, withEnvironment } from '../device-environment.js';
import { currentMs } from '../environment.js';
import { textTable } from '../table.js';

const dayMs = 86_400_000;
const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');
const isoTime = (timeMs: number): string => new Date(timeMs).toISOString();

function keptUntil(days: string | undefined): number | undefined {
  if (days === undefined) return undefined;
  if (!/^[1-9]\d{0,3}$/.test(days)) throw new UsageError(`--keep takes a number of days, not ${days}`);
  return currentMs() + Number(days) * dayMs;
}

/** Stores a file at the own service and tells the recipients. */
export async function sendLargeFile(
  io: CommandIo,
  recipients: readonly string[],
  path: string,
  days: string | undefined,
): Promise<void> {
  if (path === '-') throw new UsageError('--large takes a file: standard input cannot be read again after a cut');
  const keptUntilMs = keptUntil(days);
  const { stored, messages } = await withEnvironment(io, (environment) =>
    sendLarge(io.home, environment, { recipients, path, keptUntilMs }),
  );
  const { bytes, digest, expiresMs, locator, name } = stored;
  const sent = messages.map(({ id, recipient, isEncrypted, frameIndex }) => ({
    ...{ id, recipient, encrypted: isEncrypted, index: frameIndex },
  }));
  const large = {
    identifier: locator.identifier,
    name,
    octets: bytes,
    digest: hex(digest),
    expires: isoTime(expiresMs),
  };
  io.print({ messages: sent, large }, () =>
    [
      `${name}, ${bytes} octets, is stored until ${isoTime(expiresMs)}`,
      ...sent.map(({ id, recipient }) => `to ${recipient}: mesh message status ${id}`),
    ].join('\n'),
  );
}

async function fetchFile(io: CommandIo, id: string, flags: ServiceOptions & { readonly out?: string }): Promise<void> {
  const url = urlArgument(flags.url);
  const ca = await caArgument(io, flags.ca);
  const fetched = await withEnvironment(io, (environment) =>
    fetchLarge(io.home, environment, { id, path: flags.out, url, ca }),
  );
  const { path, bytes, digest, resumedBytes } = fetched;
  io.print({ file: path, octets: bytes, digest: hex(digest), resumed: resumedBytes }, () => {
    const before = resumedBytes === 0 ? '' : `, ${resumedBytes} of them fetched before`;
    return `${path}: ${bytes} octets${before}, verified`;
  });
}

async function keptFiles(io: CommandIo, { withdraw }: { readonly withdraw?: string }): Promise<void> {
  const { files, bytesUsed, bytesMax } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => {
      if (withdraw !== undefined) await withdrawLarge(device, withdraw);
      return largeFiles(device);
    }),
  );
  const told = files.map(({ identifier, bytes, storedBytes, expiresMs }) => {
    return { identifier, octets: bytes, stored: storedBytes, expires: isoTime(expiresMs) };
  });
  io.print({ files: told, octetsUsed: bytesUsed, octetsMax: bytesMax }, () => {
    const rows = told.map(({ identifier, octets, stored, expires }) => [identifier, `${octets}`, `${stored}`, expires]);
    const table = rows.length === 0 ? [] : [textTable(['identifier', 'octets', 'stored', 'until'], rows)];
    return [...table, `${bytesUsed} of ${bytesMax} octets used`].join('\n');
  });
}

/** Adds the commands to the group `message`. */
export function registerLargeCommands(message: Command, io: CommandIo): void {
  message
    .command('fetch')
    .description('fetch the large file that a message tells of, from the service of its sender')
    .argument('<id>', 'identifier of the message, as mesh message list shows it')
    .option('--out <file>', 'where to put it (default: its own name, in this folder)')
    .option('--url <url>', "https address of the sender's service, where its domain does not say it")
    .option('--ca <file>', 'certificates (PEM) to trust there instead of the usual ones')
    .action((id: string, flags: ServiceOptions & { readonly out?: string }) => fetchFile(io, id, flags));
  message
    .command('large')
    .description('large files that your service keeps for others to fetch')
    .option('--withdraw <identifier>', 'take one back: nobody can fetch it any more')
    .action((flags: { readonly withdraw?: string }) => keptFiles(io, flags));
}
