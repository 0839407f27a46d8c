/** `mesh container create|append|list|verify|digests`: DARE container files, without an account. */
import type { SigningKey } from '@meshd/crypto/ed448';
import {
  appendEnvelope,
  appendFrame,
  type ContainerType,
  containerTypes,
  emptyFile,
  type FileEntry,
  type FileState,
  type ReadContainer,
  readContainer,
} from '@meshd/dare/container-file';
import { memorySource } from '@meshd/dare/container-frame';
import { coreOfFrame, leafOfFrame } from '@meshd/dare/core';
import { type EnvelopeOctets, readEnvelope } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import { appendLeaf, emptyLog, root } from '@meshd/dare/log-tree';
import { apex, appendDare, chainDigest, emptyDareTree } from '@meshd/dare/merkle';
import { decodeBase64Url } from '@meshd/encoding/base64url';
import { EncodingError } from '@meshd/encoding/errors';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { commandGroup } from '../command-group.js';
import { CommandError, type CommandIo, UsageError } from '../command-io.js';
import type { CandidateKey } from '../profile-keys.js';
import { enclose, recipientOption, signingKeys, signOption } from './dare.js';

const base64Url = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url');

function kindArgument(text: string): ContainerType {
  const kind = containerTypes.find((type) => type.toLowerCase() === text.toLowerCase());
  if (kind === undefined) throw new InvalidArgumentError(`It is one of ${containerTypes.join(', ')}.`);
  return kind;
}

/** Adds the commands on container files to the group `mesh container`. */
export function registerContainerFileCommands(program: Command, io: CommandIo): void {
  const group = commandGroup(program, 'container', 'containers: of the account, and in files');
  group
    .command('create')
    .description('makes a container file')
    .argument('<file>', 'the file to make; one that exists is kept')
    .option('--kind <kind>', containerTypes.join(', '), kindArgument, 'Merkle')
    .option('--type <content-type>', 'media type of the container')
    .action((file: string, options: { kind: ContainerType; type?: string }) => create(io, file, options));
  group
    .command('append')
    .description('appends the content of files to a container file, a frame each; a torn end is cut off')
    .argument('<file>', 'the container file')
    .argument('<content...>', 'what to append, - = standard input')
    .addOption(signOption())
    .addOption(recipientOption())
    .option('--type <content-type>', 'media type of the content')
    .option('--envelope', 'the content is a DARE envelope and is appended as it is')
    .action((file: string, contents: string[], options: AppendOptions) => append(io, file, contents, options));
  group
    .command('list')
    .description('the frames of a container file')
    .argument('<file>', 'the container file, - = standard input')
    .action(async (file: string) => list(io, await open(io, file)));
  group
    .command('verify')
    .description('checks frames, indexes and digests of a container file; exits 1 if something is wrong')
    .argument('<file>', 'the container file, - = standard input')
    .action((file: string) => verify(io, file));
  group
    .command('digests')
    .description('tree or chain digests over a JSON array of payload digests')
    .addOption(new Option('--rule <rule>', 'which digests').choices(['merkle', 'chain']).makeOptionMandatory())
    .argument('<file>', 'JSON array of payload digests in base64url, - = standard input')
    .action((file: string, { rule }: { rule: 'merkle' | 'chain' }) => digests(io, file, rule));
}

/** Reads a container file; what is wrong with it becomes one line. */
async function open(io: CommandIo, file: string): Promise<ReadContainer> {
  const octets = await io.readFile(file);
  try {
    return readContainer(memorySource(octets));
  } catch (error) {
    if (error instanceof DareError || error instanceof EncodingError) {
      throw new CommandError(`${file} is no sound container file: ${error.message}`);
    }
    throw error;
  }
}

/** Frames are written at offsets of a file: there is no such thing in a stream. */
function refuseStream(file: string): void {
  if (file === '-') throw new UsageError('a container is written to a file: name one');
}

async function create(io: CommandIo, file: string, options: { kind: ContainerType; type?: string }): Promise<void> {
  refuseStream(file);
  const contentMeta = options.type === undefined ? {} : { cty: options.type };
  const { octets } = appendFrame(emptyFile(options.kind), { payload: new Uint8Array(0), contentMeta });
  await io.writeFile(file, octets, { exclusive: true });
  const result = { file, kind: options.kind, frameCount: 1, bytes: octets.length };
  io.print(result, `${file}: container of kind ${options.kind}`);
}

interface AppendOptions {
  readonly sign?: string[];
  readonly to?: CandidateKey[];
  readonly type?: string;
  readonly envelope?: boolean;
}

async function envelopeFor(
  io: CommandIo,
  content: string,
  keys: readonly SigningKey[],
  options: AppendOptions,
): Promise<EnvelopeOctets> {
  const octets = await io.readFile(content);
  if (options.envelope) return readEnvelope(octets, 'json-b');
  return enclose(octets, { keys, to: options.to ?? [], type: options.type, digest: false });
}

async function append(io: CommandIo, file: string, contents: string[], options: AppendOptions): Promise<void> {
  refuseStream(file);
  const keys = await signingKeys(io, options.sign ?? []);
  const { state, tornBytes } = await open(io, file);
  if (tornBytes > 0) io.note(`${file}: ${tornBytes} octets of a torn frame are cut off`);
  let next: FileState = state;
  const parts: Uint8Array[] = [];
  const frames: { index: number; offset: number; length: number }[] = [];
  for (const content of contents) {
    const appended = appendEnvelope(next, await envelopeFor(io, content, keys, options));
    frames.push({ index: next.frameCount, offset: next.size, length: appended.octets.length });
    parts.push(appended.octets);
    next = appended.state;
  }
  await io.writeAt(file, state.size, Buffer.concat(parts));
  const result = { file, frames, frameCount: next.frameCount, tornBytes };
  io.print(result, `${file}: frames ${frames[0]?.index} to ${next.frameCount - 1}`);
}

function described(entry: FileEntry): Record<string, unknown> {
  const { envelope, payloadDigest } = entry;
  const { header, trailer, contentMetaData: meta } = envelope;
  const optional = {
    contentType: meta?.cty,
    uniqueId: meta?.UniqueID,
    event: meta?.Event,
    treePosition: header.ContainerInfo?.TreePosition,
    treeDigest: trailer.TreeDigest ?? header.TreeDigest,
    chainDigest: trailer.ChainDigest ?? header.ChainDigest,
    encryption: header.enc,
  };
  return {
    index: entry.frameIndex,
    offset: entry.offset,
    length: entry.length,
    payloadLength: envelope.payload?.length ?? null,
    payloadDigest: base64Url(payloadDigest),
    signatures: envelope.signatures.map((one) => one.kid ?? ''),
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

function list(io: CommandIo, { entries, tornBytes }: ReadContainer): void {
  if (tornBytes > 0) io.note(`${tornBytes} octets of a torn frame at the end are left out`);
  io.print(entries.map(described), () =>
    entries
      .map(({ frameIndex, offset, length, envelope, payloadDigest }) => {
        const label = envelope.contentMetaData?.UniqueID ?? envelope.contentMetaData?.cty ?? '';
        return `${frameIndex}\t${offset}\t${length}\t${base64Url(payloadDigest).slice(0, 16)}…\t${label}`;
      })
      .join('\n'),
  );
}

// --- verify ---

/** What is wrong with a file that could be read: digests or positions by no rule. */
function faultOf(entries: readonly FileEntry[]): string | null {
  const digest = entries.find((entry) => entry.digestRule === 'other');
  if (digest !== undefined) return `tree or chain digest of frame ${digest.frameIndex} is wrong`;
  const position = entries.find((entry) => !entry.treePositionHolds);
  return position === undefined ? null : `TreePosition of frame ${position.frameIndex} is wrong`;
}

/** S44 root over the frames of a file. */
function logRoot(entries: readonly FileEntry[]): Uint8Array {
  const leaves = entries.map(({ frameIndex, envelope, payloadDigest }) =>
    leafOfFrame(frameIndex, coreOfFrame(envelope, payloadDigest), envelope.signatures),
  );
  return root(leaves.reduce(appendLeaf, emptyLog));
}

/** What `ContainerStatus.Digest` would be: by the container's kind (encoding 3.7). */
function lastDigest(state: FileState): Uint8Array | undefined {
  if (state.type === 'Chain') return state.chain;
  return state.type === 'Merkle' ? apex(state.tree) : undefined;
}

async function verify(io: CommandIo, file: string): Promise<void> {
  const octets = await io.readFile(file);
  let read: ReadContainer;
  try {
    read = readContainer(memorySource(octets));
  } catch (error) {
    if (!(error instanceof DareError || error instanceof EncodingError)) throw error;
    io.setExitCode(1);
    io.print({ valid: false, failure: error.message }, `not valid: ${error.message}`);
    return;
  }
  const { state, entries, tornBytes } = read;
  const failure = faultOf(entries);
  if (failure !== null) io.setExitCode(1);
  const digest = lastDigest(state);
  const result = {
    valid: failure === null,
    kind: state.type,
    frameCount: state.frameCount,
    tornBytes,
    digests: [...new Set(entries.map((entry) => entry.digestRule))],
    apex: digest === undefined ? null : base64Url(digest),
    root: base64Url(logRoot(entries)),
    failure,
  };
  const torn = tornBytes > 0 ? `, ${tornBytes} octets of a torn frame at the end` : '';
  io.print(
    result,
    `${failure === null ? 'valid' : `not valid: ${failure}`}: ${state.type}, ${state.frameCount} frames${torn}`,
  );
}

// --- digests ---

function payloadDigestsOf(octets: Uint8Array): Uint8Array[] {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(octets).toString('utf8'));
  } catch {
    throw new CommandError('the input is no JSON; it is an array of payload digests in base64url');
  }
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) {
    throw new CommandError('the input is a JSON array of payload digests in base64url');
  }
  return value.map(decodeBase64Url);
}

async function digests(io: CommandIo, file: string, rule: 'merkle' | 'chain'): Promise<void> {
  let tree = emptyDareTree;
  let chain: Uint8Array | undefined;
  const result = payloadDigestsOf(await io.readFile(file)).map((payloadDigest) => {
    if (rule === 'chain') {
      chain = chainDigest(chain, payloadDigest);
      return base64Url(chain);
    }
    const appended = appendDare(tree, payloadDigest);
    tree = appended.state;
    return base64Url(appended.treeDigest);
  });
  io.print(result, result.join('\n'));
}
