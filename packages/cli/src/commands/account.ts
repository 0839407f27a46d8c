/** `mesh account`: make, watch, synchronise and delete the account of this home. */
import { homedir } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { accountStatus } from '@meshd/client/operations/account-status';
import { takeReplies } from '@meshd/client/operations/contact-exchange';
import { createAccount } from '@meshd/client/operations/create-account';
import { deleteAccount } from '@meshd/client/operations/delete-account';
import type { FetchFilter } from '@meshd/client/operations/fetch';
import type { PostedQueue } from '@meshd/client/operations/post-messages';
import { type SyncedContainer, type Synchronised, synchronise } from '@meshd/client/operations/sync';
import { inboundSpool } from '@meshd/schema/container-name';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { conflictText } from '../conflict-text.js';
import {
  addressArgument,
  caArgument,
  decisionArgument,
  type ServiceOptions,
  urlArgument,
  withEnvironment,
} from '../device-environment.js';
import { textTable } from '../table.js';
import { registerAccountCopyCommands } from './account-copy.js';
import { registerAccountKeyCommands } from './account-keys.js';
import { registerAccountMoveCommands } from './account-move.js';
import { noteReplies } from './contact-exchange.js';

/** Enough of a digest for people to compare at a glance; `--json` has all of it. */
const shownHexDigits = 16;
const shortHex = (octets: Uint8Array | undefined) =>
  octets === undefined ? '-' : `${Buffer.from(octets).toString('hex').slice(0, shownHexDigits)}…`;

/** As a person would type it. */
function shortPath(path: string): string {
  const below = relative(homedir(), path);
  return below.startsWith('..') || isAbsolute(below) ? path : join('~', below);
}

async function create(io: CommandIo, text: string, flags: ServiceOptions): Promise<void> {
  const address = addressArgument(text);
  const url = urlArgument(flags.url);
  const ca = await caArgument(io, flags.ca);
  const { state, profileMeshDigest } = await withEnvironment(io, (environment) =>
    createAccount(io.home, environment, { address, url, ca }),
  );
  const { accountUdf, meshUdf, deviceUdf } = state;
  const result = {
    address,
    url,
    account: accountUdf,
    mesh: meshUdf,
    device: deviceUdf,
    home: io.home,
    profileMeshDigest,
  };
  io.print(result, () =>
    [
      `${address} is yours; this device is its first`,
      `account ${accountUdf}`,
      `mesh    ${meshUdf}`,
      `device  ${deviceUdf}`,
      `keys and replicas are in ${shortPath(io.home)}: keep a copy, nobody else has these keys`,
      'or split what they follow from into shares for people to keep: mesh account escrow --shares 3 --quorum 2',
    ].join('\n'),
  );
}

async function status(io: CommandIo): Promise<void> {
  const { state, containers } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device, known) => ({
      state: known,
      containers: await accountStatus(device),
    })),
  );
  const result = {
    address: state.address,
    url: state.url,
    account: state.accountUdf,
    mesh: state.meshUdf,
    device: state.deviceUdf,
    containers: containers.map(({ container, frameCount, digest, localFrameCount }) => ({
      container,
      index: frameCount,
      digest,
      localIndex: localFrameCount,
    })),
  };
  io.print(result, () => {
    const rows = result.containers.map(({ container, index, localIndex, digest }) => {
      return [container, index, localIndex, shortHex(digest)];
    });
    const place = state.url === undefined ? '' : ` at ${state.url}`;
    return `${state.address}${place}\n${textTable(['container', 'frames', 'here', 'digest'], rows)}`;
  });
}

/** How a synchronised container is reported. */
export function syncedJson({ container, frameCount, digest, root, fetchedCount, uncoveredCount }: SyncedContainer) {
  return { container, index: frameCount, digest, root, fetched: fetchedCount, uncovered: uncoveredCount };
}

const entries = (count: number) => `${count} ${count === 1 ? 'entry' : 'entries'}`;

interface SyncFlags {
  readonly legacy?: boolean;
  readonly filter?: string;
  readonly conflicts?: string;
}

const filterWords: Readonly<Record<string, string>> = {
  superseded: 'Superseded',
  deleted: 'Deleted',
  read: 'Read',
  older: 'Older',
};

/** `superseded,deleted,read,older=DATE`: bodies that are not fetched. */
function filterArgument(text: string | undefined): FetchFilter | undefined {
  if (text === undefined) return undefined;
  const words: string[] = [];
  let olderThan: Date | undefined;
  for (const part of text.split(',')) {
    const [name = '', value] = part.trim().split('=', 2);
    const word = filterWords[name];
    const date = value === undefined ? undefined : new Date(value);
    const isRight = word !== undefined && (name === 'older') === (date !== undefined);
    if (!isRight || Number.isNaN(date?.getTime())) {
      throw new UsageError(`--filter takes superseded, deleted, read and older=DATE, not ${part.trim() || 'nothing'}`);
    }
    words.push(word);
    olderThan = date ?? olderThan;
  }
  return { words, olderThan };
}

/** People who have answered come with messages, and without any there is nothing to look for. */
const hasNewMessages = ({ containers }: Synchronised): boolean =>
  containers.some(({ container, fetchedCount }) => container === inboundSpool && fetchedCount > 0);

async function sync(io: CommandIo, flags: SyncFlags): Promise<void> {
  const filter = filterArgument(flags.filter);
  const decide = decisionArgument(io, flags.conflicts);
  const { synced, replies } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => {
      if (flags.legacy) device.allowLegacy();
      const result = await synchronise(device, { filter, decide });
      return { synced: result, replies: hasNewMessages(result) ? await takeReplies(device) : [] };
    }),
  );
  noteReplies(io, replies);
  const containers = synced.containers.map(syncedJson);
  const { placed, conflicts, waitingCount, failures } = synced.flushed;
  const uploaded = placed.map(({ container, name, frameIndex }) => ({ container, name, index: frameIndex }));
  const refused = failures.map(({ container, error }) => ({ container, reason: error.message }));
  // What the user has to look at is no success, though everything else went well.
  const { posted, waitingCount: unsentCount, interrupted } = synced.posted;
  const messages = { posted, waiting: unsentCount, reason: interrupted?.message };
  const isOpen = refused.length > 0 || unsentCount > 0 || posted.some(({ state }) => state === 'refused');
  if (isOpen || conflicts.some(({ choice }) => choice === 'later')) io.setExitCode(1);
  io.print({ containers, uploaded, conflicts, waiting: waitingCount, refused, messages }, () => {
    const rows = containers.map(({ container, index, fetched, digest, root }) => {
      return [container, index, fetched, shortHex(digest), shortHex(root)];
    });
    const table = textTable(['container', 'frames', 'fetched', 'digest', 'root'], rows);
    const sent = uploaded.length === 0 ? [] : [`${entries(uploaded.length)} that waited here uploaded`];
    const left = waitingCount === 0 ? [] : [`waiting to be uploaded: ${entries(waitingCount)}`];
    const reasons = refused.map(({ container, reason }) => `${container}: ${reason}`);
    return [table, ...sent, ...conflicts.map(conflictText), ...left, ...reasons, ...postedText(synced.posted)].join(
      '\n',
    );
  });
}

function postedText({ posted, waitingCount, interrupted }: PostedQueue): string[] {
  const lines = posted.map(({ id, recipient, state, reason }) =>
    state === 'sent' ? `${id} sent to ${recipient}` : `${id} to ${recipient} is refused: ${reason}`,
  );
  if (waitingCount === 0) return lines;
  return [...lines, `messages that still wait here: ${waitingCount} (${interrupted?.message ?? 'not tried'})`];
}

async function remove(io: CommandIo): Promise<void> {
  const { address, deleted } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device, state) => ({
      address: state.address,
      deleted: await deleteAccount(device),
    })),
  );
  io.print({ address, deleted }, deleted ? `${address} is deleted` : `the service no longer knew ${address}`);
}

/** Adds the group to the program. */
export function registerAccountCommands(program: Command, io: CommandIo): void {
  const account = commandGroup(program, 'account', "this device's account");
  account
    .command('create')
    .description('make an account, with this device as its first')
    .argument('<address>', 'NAME@DOMAIN')
    .option('--url <url>', 'https address of the service (default: as the DNS of DOMAIN says)')
    .option('--ca <file>', 'certificates (PEM) to trust instead of the usual ones')
    .action((address: string, flags: ServiceOptions) => create(io, address, flags));
  account
    .command('status')
    .description('what the service has and what this device has')
    .action(() => status(io));
  account
    .command('sync')
    .description('bring the replicas of all containers up to date, and upload and send what waits here')
    .option('--legacy', 'take containers without manifests too, whose order nothing proves')
    .option('--filter <list>', 'leave out bodies: superseded, deleted, read, older=DATE; fetched when they are needed')
    .option('--conflicts <choice>', 'where a deletion stands against a change: mine, theirs or later (default: ask)')
    .action((flags: SyncFlags) => sync(io, flags));
  registerAccountKeyCommands(account, io);
  registerAccountMoveCommands(account, io);
  registerAccountCopyCommands(account, io);
  account
    .command('delete')
    .description('delete the account at the service and everything of it in this home')
    .action(() => remove(io));
}
