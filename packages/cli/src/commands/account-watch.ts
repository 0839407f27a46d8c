/** `mesh account watch`: every change made on another device, as soon as it is made. */
import type { SyncedContainer } from '@meshd/client/operations/sync';
import { watchAccount } from '@meshd/client/operations/watch';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { withEnvironment } from '../device-environment.js';
import { syncedJson } from './account.js';

const line = ({ container, frameCount, fetchedCount }: SyncedContainer) =>
  `${container}: ${fetchedCount} new, ${frameCount} frames, verified`;

/** Ctrl-C and the end of a terminal end the watch in good order. */
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function untilSignal<T>(work: (end: AbortController) => Promise<T>): Promise<T> {
  const end = new AbortController();
  const stop = () => end.abort();
  for (const signal of endingSignals) process.on(signal, stop);
  try {
    return await work(end);
  } finally {
    for (const signal of endingSignals) process.off(signal, stop);
  }
}

/** One document a run: under `--json` the first change ends the watch. */
async function watchOnce(io: CommandIo): Promise<void> {
  let found: readonly SyncedContainer[] = [];
  await untilSignal((end) =>
    withEnvironment(io, (environment) =>
      watchAccount(io.home, environment, {
        signal: end.signal,
        onWatching: () => io.note('watching'),
        onLost: (reason) => io.note(reason),
        onChange: (changed) => {
          found = changed;
          end.abort();
        },
      }),
    ),
  );
  const containers = found.map(syncedJson);
  io.print({ containers }, () => found.map(line).join('\n'));
}

async function watch(io: CommandIo): Promise<void> {
  await untilSignal((end) =>
    withEnvironment(io, (environment) =>
      watchAccount(io.home, environment, {
        signal: end.signal,
        onWatching: (isAgain) => io.note(isAgain ? 'watching again' : 'watching; Ctrl-C ends it'),
        onLost: (reason) => io.note(reason),
        onChange: (changed) => {
          for (const each of changed) io.print(syncedJson(each), line(each));
        },
      }),
    ),
  );
}

/** Adds to the group of the program. */
export function registerAccountWatchCommands(program: Command, io: CommandIo): void {
  commandGroup(program, 'account', "this device's account")
    .command('watch')
    .description('fetch, verify and tell of every change as soon as it is made')
    .option('--once', 'end with the first change; needed with --json')
    .action((flags: { readonly once?: boolean }) => {
      if (io.json && !flags.once) throw new UsageError('--json prints one document; give --once as well');
      return flags.once ? watchOnce(io) : watch(io);
    });
}
