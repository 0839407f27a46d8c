/** `mesh json`: from one encoding to the other. */
import { decodeBase64Url } from '@meshd/encoding/base64url';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject, JsonValue } from '@meshd/encoding/json-value';
import { writeJson, writeJsonB } from '@meshd/encoding/json-writer';
import { type Command, Option } from 'commander';
import { commandGroup } from '../command-group.js';
import type { CommandIo } from '../command-io.js';

/** The member that stands for octets in JSON text: `{"$binary": base64url}`. */
const binaryMember = '$binary';

type Form = 'json' | 'json-b';

function formOption(flag: string, description: string): Option {
  return new Option(`${flag} <form>`, description).choices(['json', 'json-b']).makeOptionMandatory();
}

/** Adds `mesh json …` to the program. */
export function registerJsonCommands(program: Command, io: CommandIo): void {
  commandGroup(program, 'json', 'JSON and JSON-B')
    .command('convert')
    .description(`from one encoding to the other; {"${binaryMember}": base64url} stands for octets in JSON`)
    .addOption(formOption('--from', 'encoding of the input'))
    .addOption(formOption('--to', 'encoding of the output'))
    .argument('<in>', 'the input, - = standard input')
    .argument('<out>', 'the output, - = standard output')
    .action((input: string, output: string, { from, to }: { from: Form; to: Form }) =>
      convert(io, { input, output, from, to }),
    );
}

async function convert(
  io: CommandIo,
  { input, output, from, to }: { input: string; output: string; from: Form; to: Form },
): Promise<void> {
  const octets = await io.readFile(input);
  const converted = convertJson(octets, from, to);
  await io.writeFile(output, converted);
  // What was asked for stands on standard output already: nothing may follow it there.
  if (output === '-') return;
  const result = { from, to, bytesIn: octets.length, bytesOut: converted.length };
  io.print(result, `${output}: ${converted.length} octets of ${to}`);
}

/**
 * Converts one value.
 *
 * @throws EncodingError if the input is not one value of its encoding.
 */
export function convertJson(octets: Uint8Array, from: Form, to: Form): Uint8Array {
  const value = parseJson(octets, { binary: from === 'json-b' });
  if (to === 'json-b') return writeJsonB(from === 'json' ? withOctets(value) : value);
  return writeJson(withMembers(value));
}

/** The octets that an object of one `$binary` member stands for. */
function octetsOf(value: JsonObject): Uint8Array | undefined {
  const text = value[binaryMember];
  return typeof text === 'string' && Object.keys(value).length === 1 ? decodeBase64Url(text) : undefined;
}

function mapValues(value: JsonObject, change: (inner: JsonValue) => JsonValue): JsonObject {
  const result: JsonObject = Object.create(null) as JsonObject;
  for (const [name, inner] of Object.entries(value)) result[name] = change(inner);
  return result;
}

function withOctets(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(withOctets);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  return octetsOf(value) ?? mapValues(value, withOctets);
}

function withMembers(value: JsonValue): JsonValue {
  if (value instanceof Uint8Array) return { [binaryMember]: Buffer.from(value).toString('base64url') };
  if (Array.isArray(value)) return value.map(withMembers);
  return value === null || typeof value !== 'object' ? value : mapValues(value, withMembers);
}
