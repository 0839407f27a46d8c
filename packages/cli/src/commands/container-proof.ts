/** `mesh container prove|check-proof|audit`: what a service has stated, and whether it keeps to it. */
import { withDevice } from '@meshd/client/device';
import { acknowledge, auditHome, type ReplicaState } from '@meshd/client/operations/audit';
import { checkProof, type ProvenFrame, proveFrame } from '@meshd/client/operations/prove';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { CommandError, type CommandIo } from '../command-io.js';
import { integerArgument, withEnvironment } from '../device-environment.js';
import { textTable } from '../table.js';

const shownHexDigits = 16;
const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex');
const shortHex = (octets: Uint8Array) => `${hex(octets).slice(0, shownHexDigits)}…`;

function proofJson(proven: ProvenFrame) {
  const { accountUdf, domain, serviceUdf, container, log, frameIndex, frameCount, root, statedMs } = proven;
  const { payloadDigest, uniqueId, event, signer } = proven;
  return {
    ...{ domain, service: serviceUdf, account: accountUdf, container, log, index: frameIndex },
    ...{ size: frameCount, root, stated: new Date(statedMs).toISOString() },
    ...{ payloadDigest, uniqueId, event, signer },
  };
}

function proofText(proven: ProvenFrame): string {
  const { domain, serviceUdf, accountUdf, container, frameIndex, frameCount, root, statedMs, signer } = proven;
  return [
    `frame ${frameIndex} of ${container} is under a root that ${domain} signed`,
    `service ${serviceUdf}`,
    `account ${accountUdf}`,
    `root    ${hex(root)} over ${frameCount} frames, stated ${new Date(statedMs).toISOString()}`,
    ...(signer === undefined ? [] : [`signer  ${signer}`]),
  ].join('\n');
}

async function prove(io: CommandIo, container: string, index: string, flags: { readonly out: string }): Promise<void> {
  const frameIndex = integerArgument('INDEX', index) ?? 0;
  const { file, proven } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => proveFrame(device, container, frameIndex)),
  );
  await io.writeFile(flags.out, file);
  // A proof on standard output is the only thing there.
  if (flags.out === '-') return;
  io.print({ ...proofJson(proven), file: flags.out }, () => `${proofText(proven)}\nwritten to ${flags.out}`);
}

async function check(io: CommandIo, path: string, flags: { readonly service?: string }): Promise<void> {
  const proven = await checkProof(await io.readFile(path));
  if (flags.service !== undefined && flags.service.toUpperCase() !== proven.serviceUdf) {
    throw new CommandError(`the proof is by the service ${proven.serviceUdf}, not by ${flags.service}`);
  }
  io.print(proofJson(proven), () => proofText(proven));
}

const stateText = ({ isIntact, signedHead }: ReplicaState) => {
  if (!isIntact) return 'damaged; mesh account sync mends it';
  if (signedHead === 'fork' || signedHead === 'other-log') return 'not what the service signed';
  if (signedHead === 'shorter') return 'ahead of the service';
  return signedHead === 'longer' ? 'behind the service' : 'as verified';
};

async function audit(io: CommandIo, flags: { readonly acknowledge?: boolean }): Promise<void> {
  const { evidence, replicas, headsMs, acknowledged } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => {
      const count = flags.acknowledge ? await acknowledge(device) : 0;
      return { ...(await auditHome(device)), acknowledged: count };
    }),
  );
  const open = evidence.filter(({ kind, acknowledgedMs }) => kind !== 'healed' && acknowledgedMs === undefined);
  const isDamaged = replicas.some(({ isIntact }) => !isIntact);
  if (open.length > 0 || isDamaged) io.setExitCode(1);
  const heads = headsMs === undefined ? undefined : new Date(headsMs).toISOString();
  io.print({ evidence, replicas, heads, acknowledged }, () => {
    const rows = replicas.map((state) => {
      const { container, frameCount, recomputedRoot, redactedCount, waitingCount } = state;
      return [container, frameCount, shortHex(recomputedRoot), redactedCount, waitingCount, stateText(state)];
    });
    const table = textTable(['container', 'frames', 'root', 'no body', 'waiting', 'state'], rows);
    const records = evidence.map(({ foundMs, kind, message, isProof, acknowledgedMs }) => {
      const marks = [isProof ? 'proof' : undefined, acknowledgedMs === undefined ? undefined : 'acknowledged'];
      const note = marks.filter((mark) => mark !== undefined).join(', ');
      return `${new Date(foundMs).toISOString()} ${kind}${note === '' ? '' : ` (${note})`}: ${message}`;
    });
    const summary = records.length === 0 ? ['no evidence against the service'] : records;
    return [table, ...summary, ...(heads === undefined ? [] : [`newest signed heads: ${heads}`])].join('\n');
  });
}

/** Adds to the group of the program. */
export function registerContainerProofCommands(program: Command, io: CommandIo): void {
  const container = commandGroup(program, 'container', "the account's containers, and container files");
  container
    .command('prove')
    .description('write a file that proves to anybody what the service has stated of a frame')
    .argument('<name>', 'name of the container')
    .argument('<index>', 'index of the frame')
    .requiredOption('--out <file>', 'where to write the proof; - is standard output')
    .action((name: string, index: string, flags: { readonly out: string }) => prove(io, name, index, flags));
  container
    .command('check-proof')
    .description('verify such a file, without asking anybody')
    .argument('<file>', 'the proof; - is standard input')
    .option('--service <udf>', 'the service that must have signed it')
    .action((path: string, flags: { readonly service?: string }) => check(io, path, flags));
  container
    .command('audit')
    .description('recompute every replica from disk, and print the evidence against the service')
    .option('--acknowledge', 'let writing go on in spite of the evidence, which is kept')
    .action((flags: { readonly acknowledge?: boolean }) => audit(io, flags));
}
