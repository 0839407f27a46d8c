/** `mesh account export|import`: an account as a folder of files, and what is in such a folder in an account. */
import { resolve } from 'node:path';
import type { CopyList } from '@meshd/client/account-copy';
import { withDevice } from '@meshd/client/device';
import { exportAccount } from '@meshd/client/operations/export-account';
import { checkCopy, importAccount } from '@meshd/client/operations/import-account';
import type { Command } from 'commander';
import type { CommandIo } from '../command-io.js';
import { withEnvironment } from '../device-environment.js';
import { textTable } from '../table.js';

async function exportTo(io: CommandIo, folder: string): Promise<void> {
  const path = resolve(folder);
  const { key, containers, unchangedCount } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => exportAccount(device, path)),
  );
  const copied = containers.map(({ container, frameCount, digest, root }) => ({
    ...{ container, frames: frameCount, digest, root },
  }));
  io.print({ folder: path, key, containers: copied, unchanged: unchangedCount }, () =>
    [
      textTable(
        ['container', 'frames'],
        copied.map(({ container, frames }) => [container, frames]),
      ),
      `the account is in ${path}`,
      `its key: ${key}`,
      'write the key down and keep it elsewhere: with both anybody reads everything, with the folder alone nobody does',
    ].join('\n'),
  );
}

interface ImportFlags {
  readonly key: string;
  readonly replace?: boolean;
  readonly check?: boolean;
}

function listJson({ address, accountUdf, meshUdf, exportedMs }: CopyList) {
  return { address, account: accountUdf, mesh: meshUdf, exported: new Date(exportedMs).toISOString() };
}

async function importFrom(io: CommandIo, folder: string, flags: ImportFlags): Promise<void> {
  const path = resolve(folder);
  if (flags.check === true) {
    const { list } = await checkCopy(path, flags.key);
    const frames = list.containers.reduce((sum, { frameCount }) => sum + frameCount, 0);
    io.print(
      { copy: listJson(list), containers: list.containers.length, frames },
      `the copy of ${list.address} is whole: ${frames} frames in ${list.containers.length} containers`,
    );
    return;
  }
  const { list, containers, leftOut } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) =>
      importAccount(device, { folder: path, exportKey: flags.key, replace: flags.replace }),
    ),
  );
  const rows = containers.map(({ container, addedCount, sameCount, keptCount }) => ({
    ...{ container, added: addedCount, same: sameCount, kept: keptCount },
  }));
  io.print({ copy: listJson(list), containers: rows, leftOut }, () =>
    [
      textTable(
        ['container', 'added', 'the same here', 'other here, kept'],
        rows.map(({ container, added, same, kept }) => [container, added, same, kept]),
      ),
      ...(rows.some(({ kept }) => kept > 0) ? ['to take what the copy has in their place: --replace'] : []),
      ...(leftOut.length === 0 ? [] : [`of the other account, and only in the copy: ${leftOut.join(', ')}`]),
    ].join('\n'),
  );
}

/** Adds the commands to the group `account`. */
export function registerAccountCopyCommands(account: Command, io: CommandIo): void {
  account
    .command('export')
    .description('copy the whole account into a folder, every frame as it is')
    .argument('<folder>', 'made if it does not exist; with a copy of this account in it, what differs is written')
    .addHelpText('after', '\nExample: mesh account export /media/stick/alice')
    .action((folder: string) => exportTo(io, folder));
  account
    .command('import')
    .description('put the entries of such a copy into the account of this device, whichever that is')
    .argument('<folder>', 'as mesh account export has made it')
    .requiredOption('--key <key>', 'E…, as mesh account export has shown it')
    .option('--replace', 'entries that are here with other content give way')
    .option('--check', 'only see whether the copy is whole; needs no account')
    .addHelpText('after', '\nExample: mesh account import /media/stick/alice --key EBXX-…')
    .action((folder: string, flags: ImportFlags) => importFrom(io, folder, flags));
}
