/** `mesh udf`: names of content, keys and nonces, seeds and shares. Text in, text out; no account is touched. */

import { deriveKeySeed } from '@meshd/crypto/key-seed';
import { oidUdf, udfOfKey } from '@meshd/crypto/key-udf';
import { systemRandom } from '@meshd/crypto/random';
import { publicOfSeed } from '@meshd/crypto/raw-key';
import { recoverSecret, splitSecret } from '@meshd/crypto/secret-share';
import { authenticatorUdf, contentDigestUdf, earlIdentifier, earlUrl, parseUdf } from '@meshd/crypto/udf';
import { AddressError, canonicalDomain } from '@meshd/schema/address';
import { type Command, InvalidArgumentError } from 'commander';
import { commandGroup } from '../command-group.js';
import type { CommandIo } from '../command-io.js';
import { curveArgument, withPublicArgument } from './key-arguments.js';

const base64Url = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url');
const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

function integerArgument(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It is a whole number.');
  return Number(text);
}

/** A host name goes into a URL: nothing that would change the URL's meaning is let through. */
function domainArgument(text: string): string {
  try {
    return canonicalDomain(text);
  } catch (error) {
    if (error instanceof AddressError) throw new InvalidArgumentError('It is a host name.');
    throw error;
  }
}

/** Adds `mesh udf …` to the program. */
export function registerUdfCommands(program: Command, io: CommandIo): void {
  const group = commandGroup(program, 'udf', 'Uniform Data Fingerprints: make, read, derive, split');
  registerDigest(group, io);
  registerAuthenticator(group, io);
  registerNames(group, io);
  registerDerive(group, io);
  registerShares(group, io);
}

function registerDigest(group: Command, io: CommandIo): void {
  group
    .command('digest')
    .description('the content digest of a file')
    .argument('<file>', 'the file, - = standard input')
    .requiredOption('--type <content-type>', 'media type of the content, part of what is digested')
    .option('--bits <n>', 'precision in bits, a multiple of 20', integerArgument)
    .option('--sha3', 'SHA-3-512 in place of SHA-2-512')
    .action(async (file: string, options: { type: string; bits?: number; sha3?: boolean }) => {
      const udf = contentDigestUdf({
        data: await io.readFile(file),
        contentType: options.type,
        algorithm: options.sha3 ? 'sha3-512' : 'sha2-512',
        ...(options.bits !== undefined && { bits: options.bits }),
      });
      io.print({ udf }, udf);
    });
}

function registerAuthenticator(group: Command, io: CommandIo): void {
  group
    .command('authenticator')
    .description('the authenticator of a file under a key text')
    .argument('<file>', 'the file, - = standard input')
    .requiredOption('--type <content-type>', 'media type of the content, part of what is authenticated')
    .requiredOption('--key <udf>', 'the key, taken exactly as written')
    .option('--bits <n>', 'precision in bits, a multiple of 20', integerArgument)
    .action(async (file: string, options: { type: string; key: string; bits?: number }) => {
      const udf = authenticatorUdf({
        data: await io.readFile(file),
        contentType: options.type,
        keyText: options.key,
        ...(options.bits !== undefined && { bits: options.bits }),
      });
      io.print({ udf }, udf);
    });
}

function registerNames(group: Command, io: CommandIo): void {
  const key = group
    .command('key')
    .description('the fingerprint of a public key, and the key itself as a UDF')
    .argument('<curve>', 'Ed448, Ed25519, X448 or X25519', curveArgument);
  withPublicArgument(key).action((curve: ReturnType<typeof curveArgument>, raw: Uint8Array) => {
    const [udf, oid] = [udfOfKey(curve, raw), oidUdf(curve, raw)];
    io.print({ udf, oid }, `${udf}\n${oid}`);
  });
  group
    .command('parse')
    .description('what a UDF says')
    .argument('<udf>', 'the UDF; case and dashes are free')
    .action((text: string) => {
      const { typeId, data, canonical } = parseUdf(text);
      io.print({ typeId, dataHex: hex(data), canonical }, `${canonical}\ntype ${typeId}, data ${hex(data)}`);
    });
  group
    .command('earl')
    .description('identifier and address of an encrypted, authenticated resource locator')
    .argument('<udf>', 'the encryption key (E…)')
    .requiredOption('--domain <domain>', 'where it is published', domainArgument)
    .action((text: string, { domain }: { domain: string }) => {
      const result = { identifier: earlIdentifier(text), url: earlUrl(text, domain) };
      io.print(result, `${result.identifier}\n${result.url}`);
    });
}

function registerDerive(group: Command, io: CommandIo): void {
  group
    .command('derive')
    .description('the key pair that a seed gives')
    .argument('<udf>', 'the seed (Z…)')
    .requiredOption('--curve <curve>', 'Ed448, Ed25519, X448 or X25519', curveArgument)
    .action((text: string, { curve }: { curve: ReturnType<typeof curveArgument> }) => {
      const seed = deriveKeySeed(text, curve);
      const publicText = base64Url(publicOfSeed(curve, seed));
      io.print({ curve, seedHex: hex(seed), public: publicText }, `${curve} public ${publicText}\nseed ${hex(seed)}`);
    });
}

function registerShares(group: Command, io: CommandIo): void {
  group
    .command('split')
    .description('splits an encryption key into shares')
    .argument('<udf>', 'the encryption key (E…)')
    .requiredOption('--shares <n>', 'how many shares are made, up to 16', integerArgument)
    .requiredOption('--quorum <k>', 'how many of them recover the key, 2 to 15', integerArgument)
    .action((text: string, options: { shares: number; quorum: number }) => {
      const shares = splitSecret(text, options.shares, options.quorum, systemRandom);
      io.print({ shares }, shares.join('\n'));
    });
  group
    .command('recover')
    .description('recovers an encryption key from its shares')
    .argument('<share...>', 'as many shares as the quorum says')
    .action((shares: string[]) => {
      const udf = recoverSecret(shares);
      io.print({ udf }, udf);
    });
}
