/** `mesh-admin service`: the keys of the provider's service and of its hosts (S26), and those of tickets (S31). */
import { type HostRole, hostRoles, initService, issueHost } from '@meshd/binding/host-files';
import { rotateTicketKeys } from '@meshd/binding/ticket-keys';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { domainArgument, integerArgument } from '../device-environment.js';
import { currentMs } from '../environment.js';

const dayMs = 24 * 3600 * 1000;

async function init(io: CommandIo, folder: string): Promise<void> {
  const { udf, made } = await initService(folder, { nowMs: currentMs() });
  io.print({ service: udf, made }, `service ${udf} ${made ? 'made' : 'is there already'} in ${folder}`);
}

interface IssueFlags {
  readonly domain: readonly string[];
  readonly role?: readonly string[];
  readonly days?: string;
}

function rolesOf(names: readonly string[] | undefined): readonly HostRole[] {
  if (names === undefined) return hostRoles;
  return names.map((name) => {
    const role = hostRoles.find((known) => known === name);
    if (role === undefined) throw new UsageError(`${name} is no role; the roles are ${hostRoles.join(', ')}`);
    return role;
  });
}

async function issue(io: CommandIo, folder: string, flags: IssueFlags): Promise<void> {
  const domains = flags.domain.map(domainArgument);
  const days = integerArgument('--days', flags.days);
  const life = days === undefined ? {} : { lifeMs: days * dayMs };
  const hosts: { role: HostRole; host: string; notAfter: string }[] = [];
  for (const role of rolesOf(flags.role)) {
    const { udf, notAfterMs } = await issueHost(folder, role, { domains, nowMs: currentMs(), ...life });
    hosts.push({ role, host: udf, notAfter: new Date(notAfterMs).toISOString() });
  }
  io.print({ domains, hosts }, () =>
    hosts.map(({ role, host, notAfter }) => `${role.padEnd(8)} ${host} until ${notAfter}`).join('\n'),
  );
}

async function ticketKeys(io: CommandIo, folder: string): Promise<void> {
  const { made, removed, current } = await rotateTicketKeys(folder, currentMs());
  io.print(
    { current, made, removed },
    `ticket key ${current} in force; ${made.length} made, ${removed.length} removed in ${folder}`,
  );
}

/** Adds the group to the program. */
export function registerAdminServiceCommands(program: Command, io: CommandIo): void {
  const service = commandGroup(program, 'service', 'keys of the service and connections of its hosts');
  service
    .command('init')
    .description('make the key and profile of the service, where they are missing')
    .argument('<folder>', "the folder `service` of the provider's data")
    .action((folder: string) => init(io, folder));
  service
    .command('issue')
    .description('make the hosts that are missing, and issue each a fresh connection; run it daily')
    .argument('<folder>', "the folder `service` of the provider's data, with the service's key")
    .requiredOption('--domain <domain...>', 'domains that the provider serves')
    .option('--role <role...>', `only these of ${hostRoles.join(', ')}`)
    .option('--days <n>', 'life of the connections in days, 7 at most (default: 7)')
    .action((folder: string, flags: IssueFlags) => issue(io, folder, flags));
  service
    .command('ticket-keys')
    .description('make the keys that seal tickets for this day and the next, and remove old ones; run it daily')
    .argument('<folder>', 'the folder that all routers read')
    .action((folder: string) => ticketKeys(io, folder));
}
