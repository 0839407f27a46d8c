/** `mesh key`: key files and the import check. */
import { type Curve, curveFacts } from '@meshd/crypto/curves';
import { CryptoError } from '@meshd/crypto/errors';
import { type KeyFile, keyFileOfSeed, readKeyFile, writeKeyFile } from '@meshd/crypto/key-file';
import { udfOfKey } from '@meshd/crypto/key-udf';
import { checkRawKey, generateSeedOf } from '@meshd/crypto/raw-key';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { curveArgument, withPublicArgument } from './key-arguments.js';

/** Adds `mesh key …` to the program. */
export function registerKeyCommands(program: Command, io: CommandIo): void {
  const group = commandGroup(program, 'key', 'key files and checks of public keys');
  group
    .command('new')
    .description('makes a key pair and writes it to a file that its owner alone can read')
    .argument('<file>', 'the file to make; one that exists is kept')
    .option('--curve <curve>', Object.keys(curveFacts).join(', '), curveArgument, 'Ed448')
    .action((file: string, { curve }: { curve: Curve }) => makeKey(io, file, curve));
  group
    .command('show')
    .description('the public side of a key file')
    .argument('<file>', 'the key file, - = standard input')
    .action(async (file: string) => printKey(io, readKeyFile(await io.readFile(file))));
  const check = group
    .command('check')
    .description('whether a public key may be used; exits 1 where it is refused')
    .argument('<curve>', Object.keys(curveFacts).join(', '), curveArgument);
  withPublicArgument(check).action((curve: Curve, raw: Uint8Array) => checkKey(io, curve, raw));
}

async function makeKey(io: CommandIo, file: string, curve: Curve): Promise<void> {
  if (file === '-') throw new UsageError('key new writes a file: name one');
  const key = keyFileOfSeed(curve, generateSeedOf(curve));
  await io.writeFile(file, writeKeyFile(key), { mode: 0o600, exclusive: true });
  printKey(io, key);
}

function printKey(io: CommandIo, { curve, publicRaw, udf }: KeyFile): void {
  const publicText = Buffer.from(publicRaw).toString('base64url');
  io.print({ curve, public: publicText, udf }, `${udf}\n${curve} ${publicText}`);
}

function checkKey(io: CommandIo, curve: Curve, raw: Uint8Array): void {
  try {
    checkRawKey(curve, raw);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    io.print({ accepted: false, reason: error.message }, `refused: ${error.message}`);
    io.setExitCode(1);
    return;
  }
  const udf = udfOfKey(curve, raw);
  io.print({ accepted: true, udf }, `usable: ${udf}`);
}
