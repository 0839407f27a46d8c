/** `mesh dare`: envelopes in files: verify, make, open. No account is touched. */
import { type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { CryptoError } from '@meshd/crypto/errors';
import { readKeyFile } from '@meshd/crypto/key-file';
import { systemRandom } from '@meshd/crypto/random';
import { type Decrypted, decryptEnvelope, isEncrypted } from '@meshd/dare/decrypt';
import { encryptEnvelope } from '@meshd/dare/encrypt';
import {
  checkPayloadDigest,
  type DareEnvelope,
  digestOf,
  type EnvelopeOctets,
  makeEnvelope,
  openEnvelope,
  readEnvelope,
  writeEnvelope,
} from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import { decryptionKeyFromSeed, type RecipientKey } from '@meshd/dare/recipients';
import { headerWith, signEnvelope } from '@meshd/dare/sign';
import { isStoredObjectSignature } from '@meshd/dare/verify';
import { EncodingError } from '@meshd/encoding/errors';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject, JsonValue } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { commandGroup } from '../command-group.js';
import { CommandError, type CommandIo, UsageError } from '../command-io.js';
import { type EnvelopeVerdict, judgeEnvelope, type VerifyKeys } from '../dare-verdict.js';
import { type CandidateKey, candidateKey, profileKeys, vouchingKeys } from '../profile-keys.js';
import { curveArgument, publicArgument } from './key-arguments.js';

/** Content types whose text may be padded with spaces (S60) and is trimmed again when opened. */
const jsonTypes = new Set(['application/json', 'application/mmm']);

/** `CURVE:BASE64URL` as it stands on the command line. */
function keyParts(text: string): { curve: ReturnType<typeof curveArgument>; octets: Uint8Array } {
  const colon = text.indexOf(':');
  if (colon < 0) throw new InvalidArgumentError('It is CURVE:BASE64URL.');
  return { curve: curveArgument(text.slice(0, colon)), octets: publicArgument(text.slice(colon + 1)) };
}

function keyArgument(text: string): CandidateKey {
  const { curve, octets } = keyParts(text);
  try {
    return candidateKey(curve, octets);
  } catch (error) {
    if (error instanceof CryptoError) throw new InvalidArgumentError(`The key is refused: ${error.message}.`);
    throw error;
  }
}

const collect =
  <T>(read: (text: string) => T) =>
  (text: string, before: T[] = []): T[] => [...before, read(text)];

/** `--sign KEYFILE`, any number of times. */
export function signOption(): Option {
  return new Option('--sign <keyfile>', 'sign with this key file; may be repeated').argParser(collect(String));
}

/** `--to CURVE:PUBLIC`, any number of times. */
export function recipientOption(): Option {
  const description = 'encrypt to this key, CURVE:BASE64URL; may be repeated';
  return new Option('--to <curve:public>', description).argParser(collect(keyArgument));
}

/** Adds `mesh dare …` to the program. */
export function registerDareCommands(program: Command, io: CommandIo): void {
  const group = commandGroup(program, 'dare', 'DARE envelopes in files: verify, encode, decode');
  group
    .command('verify')
    .description('checks digest and signatures of an envelope, or of every envelope in a message; exits 1 if one fails')
    .argument('<file>', 'the envelope, - = standard input')
    .option('--key <curve:public>', 'a key to trust, CURVE:BASE64URL; may be repeated', collect(keyArgument))
    .option('--ignore-kid', 'try the given keys whatever name the signature gives')
    .action((file: string, options: { key?: CandidateKey[]; ignoreKid?: boolean }) => verify(io, file, options));
  group
    .command('encode')
    .description('puts the content of a file into an envelope, signed and encrypted as asked for')
    .argument('<file>', 'the content, - = standard input')
    .addOption(signOption())
    .addOption(recipientOption())
    .option('--type <content-type>', 'media type of the content')
    .option('--out <file>', 'write the envelope here instead of standard output')
    .action((file: string, options: EncodeOptions) => encode(io, file, options));
  group
    .command('decode')
    .description('takes the content out of an envelope, decrypting it if need be')
    .argument('<file>', 'the envelope, - = standard input')
    .option('--private <curve:seed>', 'the key to decrypt with, CURVE:BASE64URL', keyParts)
    .option('--out <file>', 'write the content here instead of standard output')
    .action((file: string, options: DecodeOptions) => decode(io, file, options));
}

// --- verify ---

interface NamedVerdict extends EnvelopeVerdict {
  /** The message's member that holds the envelope. */
  readonly member: string;
}

async function verify(
  io: CommandIo,
  file: string,
  options: { key?: CandidateKey[]; ignoreKid?: boolean },
): Promise<void> {
  if (options.ignoreKid && options.key === undefined)
    throw new UsageError('--ignore-kid needs --key: say which to try');
  const keys: VerifyKeys = { given: options.key ?? [], ignoreKid: options.ignoreKid === true };
  const octets = await io.readFile(file);
  const verdict = judgeFile(octets, keys);
  if (!verdict.valid) io.setExitCode(1);
  io.print(verdict, () => (verdict.envelopes ?? [verdict]).map(describe).join('\n'));
}

type FileVerdict = EnvelopeVerdict & { readonly envelopes?: readonly NamedVerdict[] };

function judgeFile(octets: Uint8Array, keys: VerifyKeys): FileVerdict {
  const unreadable = (failure: string): FileVerdict => ({ valid: false, payloadDigest: null, signatures: [], failure });
  try {
    // The reader of JSON-B takes JSON as well, so that nobody has to say which it is.
    const message = messageOf(octets);
    return message === undefined ? judgeEnvelope(readEnvelope(octets, 'json-b'), keys) : judgeMessage(message, keys);
  } catch (error) {
    if (error instanceof DareError || error instanceof EncodingError) return unreadable(error.message);
    throw error;
  }
}

/** The members of a message (one tagged object); undefined for an envelope. */
function messageOf(octets: Uint8Array): JsonObject | undefined {
  const value = parseJson(octets, { binary: true });
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array)
    return undefined;
  const [body] = Object.values(value);
  return body !== undefined && body !== null && typeof body === 'object' && !Array.isArray(body)
    ? (body as JsonObject)
    : {};
}

/** Judges every envelope of a message; the profiles in it vouch for what stands beside them, as in CreateAccount. */
function judgeMessage(message: JsonObject, keys: VerifyKeys): FileVerdict {
  const members = Object.entries(message).filter(([, value]) => Array.isArray(value) && isEnvelopeLike(value));
  if (members.length === 0) throw new DareError('shape', 'the message holds no envelope');
  const found = members.map(([member, value]) => {
    const octets = readEnvelope(writeJson(value));
    return { member, octets, own: profileKeys(octets.payload) };
  });
  const envelopes = found.map(({ member, octets, own }) => {
    const beside = found.filter((other) => other.member !== member).map((other) => other.own);
    return { member, ...judgeEnvelope(octets, { ...keys, vouching: vouchingKeys(own.tag, beside) }) };
  });
  const bad = envelopes.find((one) => !one.valid);
  return {
    valid: bad === undefined,
    payloadDigest: envelopes[0]?.payloadDigest ?? null,
    signatures: envelopes.flatMap((one) => one.signatures),
    failure: bad === undefined ? null : `${bad.member}: ${bad.failure}`,
    envelopes,
  };
}

function isEnvelopeLike(value: JsonValue[]): boolean {
  const [header] = value;
  return typeof header === 'object' && header !== null && !Array.isArray(header) && !(header instanceof Uint8Array);
}

function describe(verdict: EnvelopeVerdict & { readonly member?: string }): string {
  const lines = verdict.signatures.map(
    ({ kid, valid, trusted }) => `  ${kid}  ${valid ? 'valid' : 'not valid'}, ${trusted ? 'trusted' : 'not trusted'}`,
  );
  const result = verdict.valid ? 'valid' : `not valid: ${verdict.failure}`;
  const head = verdict.member === undefined ? result : `${verdict.member}: ${result}`;
  return [head, ...(verdict.payloadDigest === null ? [] : [`  digest ${verdict.payloadDigest}`]), ...lines].join('\n');
}

// --- encode ---

interface EncodeOptions {
  readonly sign?: string[];
  readonly to?: CandidateKey[];
  readonly type?: string;
  readonly out?: string;
}

function recipientOf(key: CandidateKey): RecipientKey {
  const { curve, raw, udf } = key;
  if (curve === 'Ed448') return { raw, udf };
  if (curve === 'Ed25519') return { raw, udf, curve };
  throw new UsageError(`nothing is encrypted to ${curve} keys; use Ed448`);
}

/** Signing keys from key files. Throws {@link CommandError} for a key that signs no envelopes. */
export async function signingKeys(io: CommandIo, files: readonly string[]): Promise<SigningKey[]> {
  return Promise.all(
    files.map(async (file) => {
      const key = readKeyFile(await io.readFile(file));
      if (key.curve !== 'Ed448')
        throw new CommandError(`${file} holds an ${key.curve} key; envelopes are signed with Ed448`);
      return signingKeyFromSeed(key.seed);
    }),
  );
}

/** How content is enclosed. */
export interface EncloseOptions {
  readonly keys: readonly SigningKey[];
  readonly to: readonly CandidateKey[];
  readonly type?: string | undefined;
  /** State the digest of content that is neither signed nor encrypted; the kind of a container decides for itself. */
  readonly digest: boolean;
}

/** An envelope around content, signed and encrypted as asked for. Shared with `mesh container append`. */
export function enclose(plain: Uint8Array, options: EncloseOptions): EnvelopeOctets {
  const { keys, to, type } = options;
  const typed = type === undefined ? {} : { contentType: type };
  if (to.length > 0) {
    const pad = type !== undefined && jsonTypes.has(type);
    return encryptEnvelope({ plain, recipients: to.map(recipientOf), random: systemRandom, pad, keys, ...typed });
  }
  if (keys.length > 0) return signEnvelope({ payload: plain, keys, ...typed });
  return makeEnvelope({
    header: headerWith({}, undefined, type),
    payload: plain,
    trailer: options.digest ? { PayloadDigest: digestOf(plain) } : undefined,
  });
}

async function encode(io: CommandIo, file: string, options: EncodeOptions): Promise<void> {
  const keys = await signingKeys(io, options.sign ?? []);
  const envelope = enclose(await io.readFile(file), { keys, to: options.to ?? [], type: options.type, digest: true });
  const text = Buffer.from(writeEnvelope(envelope)).toString('utf8');
  if (options.out === undefined || options.out === '-') {
    io.print(JSON.parse(text), text);
    return;
  }
  await io.writeFile(options.out, Buffer.from(`${text}\n`));
  const result = { file: options.out, bytes: text.length, signers: keys.map((key) => key.publicKey.udf) };
  io.print(result, `${options.out}: envelope of ${text.length} octets`);
}

// --- decode ---

interface DecodeOptions {
  readonly private?: ReturnType<typeof keyParts>;
  readonly out?: string;
}

async function decode(io: CommandIo, file: string, options: DecodeOptions): Promise<void> {
  const opened = openEnvelope(readEnvelope(await io.readFile(file), 'json-b'));
  checkPayloadDigest(opened);
  const encrypted = isEncrypted(opened);
  const { plain, annotations } = encrypted ? decrypt(opened, options.private) : plainOf(opened);
  const type = opened.contentMetaData?.cty;
  const content = encrypted && type !== undefined && jsonTypes.has(type) ? withoutPadding(plain) : plain;
  const about = {
    contentType: type ?? null,
    bytes: content.length,
    encrypted,
    kids: opened.signatures.map((entry) => entry.kid ?? ''),
    annotations: annotations().map((octets) => Buffer.from(octets).toString('base64url')),
  };
  if (options.out !== undefined && options.out !== '-') {
    await io.writeFile(options.out, content);
    io.print({ file: options.out, ...about }, `${options.out}: ${content.length} octets`);
  } else if (io.json) io.print({ ...about, content: Buffer.from(content).toString('base64url') }, '');
  else await io.writeFile('-', content);
  // Said when it is done: where it fails, the reason is the one line on standard error.
  io.note(
    `content of ${content.length} octets${type === undefined ? '' : `, ${type}`}; signatures are not checked here`,
  );
}

function plainOf(opened: DareEnvelope): Decrypted {
  return { plain: opened.payload as Uint8Array, annotations: () => [] };
}

function decrypt(opened: DareEnvelope, key: DecodeOptions['private']): Decrypted {
  if (key === undefined) throw new CommandError('the content is encrypted; give the key with --private CURVE:SEED');
  const own = decryptionKeyFromSeed(key.curve, key.octets);
  // A file that somebody opens by hand: CBC is opened too, but the witness of a signature must be right all the same.
  const proof = opened.signatures.some(isStoredObjectSignature) ? 'manifest' : 'none';
  return decryptEnvelope(opened, own, proof, { allowUnprovenCbc: true });
}

function withoutPadding(plain: Uint8Array): Uint8Array {
  let end = plain.length;
  while (end > 0 && plain[end - 1] === 0x20) end -= 1;
  return plain.subarray(0, end);
}
