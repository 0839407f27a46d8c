/** How a command of `mesh-admin` reaches the shards: as an operator, by mutual TLS (S91). */
import { join } from 'node:path';
import type { Identity } from '@meshd/rpc/credentials';
import { RpcError } from '@meshd/rpc/errors';
import { type OperatedShards, withEveryShard } from '@meshd/rpc/operator';
import type { Command } from 'commander';
import { CommandError, type CommandIo, UsageError } from './command-io.js';
import { readOperatorSettings } from './environment.js';

/** Flags that say where the shards are, and as whom to come. */
export interface OperatorFlags {
  readonly data?: string;
  readonly shards?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

/** Adds the flags to a command. */
export function operatorOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'data folder of a provider that npm start runs: it says all of the following')
    .option('--shards <list>', 'host:port of a shard, or several with commas (default: MESHD_SHARDS)')
    .option('--cert <file>', "the operator's certificate (default: MESHD_RPC_CERT_FILE)")
    .option('--key <file>', 'its key (default: MESHD_RPC_KEY_FILE)')
    .option('--ca <file>', 'the authority of the services (default: MESHD_RPC_CA_FILE)');
}

interface OperatorPlace {
  readonly addresses: readonly string[];
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

/** What `npm start` writes into its data folder. */
interface ProviderFile {
  readonly operator?: {
    readonly shards: readonly string[];
    readonly certFile: string;
    readonly keyFile: string;
    readonly caFile: string;
  };
}

async function placeOf(io: CommandIo, flags: OperatorFlags): Promise<OperatorPlace> {
  if (flags.data !== undefined) return placeIn(io, flags.data);
  const settings = readOperatorSettings();
  const certFile = flags.cert ?? settings.certFile;
  const keyFile = flags.key ?? settings.keyFile;
  const caFile = flags.ca ?? settings.caFile;
  const addresses = (flags.shards ?? settings.shards ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter(Boolean);
  if (addresses.length === 0 || certFile === undefined || keyFile === undefined || caFile === undefined) {
    throw new UsageError(
      'where are the shards? give --data, or --shards, --cert, --key and --ca, or set MESHD_SHARDS and MESHD_RPC_CERT_FILE, _KEY_FILE, _CA_FILE',
    );
  }
  return { addresses, certFile, keyFile, caFile };
}

async function placeIn(io: CommandIo, folder: string): Promise<OperatorPlace> {
  const file = join(folder, 'provider.json');
  const octets = await io.readFile(file).catch(() => {
    throw new CommandError(`no provider runs on the data in ${folder} (there is no ${file}); start it with npm start`);
  });
  const { operator } = JSON.parse(Buffer.from(octets).toString('utf8')) as ProviderFile;
  if (operator === undefined) throw new CommandError(`${file} names no shards; start the provider again`);
  return { ...operator, addresses: operator.shards };
}

async function identityOf(io: CommandIo, { certFile, keyFile, caFile }: OperatorPlace): Promise<Identity> {
  const [certificate, key, authority] = await Promise.all(
    [certFile, keyFile, caFile].map(async (file) => Buffer.from(await io.readFile(file))),
  );
  return { certificate, key, authority } as Identity;
}

/** Runs `work` with all shards of the provider that the flags name. @throws UsageError, CommandError */
export async function withOperatedShards<T>(
  io: CommandIo,
  flags: OperatorFlags,
  work: (shards: OperatedShards) => Promise<T>,
): Promise<T> {
  const place = await placeOf(io, flags);
  try {
    return await withEveryShard({ identity: await identityOf(io, place), addresses: place.addresses }, work);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const advice = error.code === 'refused' ? '' : '; check --shards, and that the certificate is that of an operator';
    throw new CommandError(`${error.message}${advice}`);
  }
}
