/** `mesh hello`: who a service is and what it can do. */

import { loadCaOf } from '@meshd/client/account-state';
import { accountOf } from '@meshd/client/device';
import { helloService } from '@meshd/client/operations/hello';
import type { Command } from 'commander';
import type { CommandIo } from '../command-io.js';
import {
  caArgument,
  domainArgument,
  type ServiceOptions,
  urlArgument,
  withEnvironment,
} from '../device-environment.js';

type HelloFlags = ServiceOptions & { readonly forgetPin?: boolean };

/** What the home remembers of its account's service serves where the command line says nothing. */
async function serviceOf(io: CommandIo, domain: string, flags: HelloFlags) {
  const ca = await caArgument(io, flags.ca);
  const account = await accountOf(io.home);
  const isOwn = account?.address.endsWith(`@${domain}`) === true;
  const url = flags.url ?? (isOwn ? account?.url : undefined);
  return { domain, url: urlArgument(url), ca: ca ?? (isOwn ? await loadCaOf(io.home) : undefined) };
}

async function hello(io: CommandIo, address: string, flags: HelloFlags): Promise<void> {
  const domain = domainArgument(address);
  const service = await serviceOf(io, domain, flags);
  const answer = await withEnvironment(io, (environment) =>
    helloService(io.home, environment, { ...service, forgetPin: flags.forgetPin }),
  );
  const { message, features, firstUse } = answer;
  const { Major: major = 0, Minor: minor = 0, Encodings: encodings } = message.Version ?? {};
  const result = {
    domain,
    service: answer.serviceUdf,
    host: answer.hostUdf,
    version: `${major}.${minor}`,
    features,
    encodings: encodings?.flatMap(({ ID }) => ID ?? []) ?? [],
    status: message.Status,
    policy: message.PolicyAccount,
    upload: message.ConstraintsUpdate,
    post: message.ConstraintsPost,
    firstUse,
  };
  io.print(result, () =>
    [
      `${domain}: a Mesh ${result.version} service, verified${firstUse ? ' and remembered' : ', the one known before'}`,
      `service  ${result.service}`,
      `host     ${result.host}`,
      `features ${features.join(' ')}`,
    ].join('\n'),
  );
}

/** Adds the command to the program. */
export function registerHelloCommands(program: Command, io: CommandIo): void {
  program
    .command('hello')
    .description('ask a service who it is, verify the answer and remember its key')
    .argument('<address>', 'an account address or a domain')
    .option('--url <url>', 'https address of the service (default: as the DNS of DOMAIN says)')
    .option('--ca <file>', 'certificates (PEM) to trust instead of the usual ones')
    .option('--forget-pin', 'forget the key that the service had, and remember the one it has now')
    .action((address: string, flags: HelloFlags) => hello(io, address, flags));
}
