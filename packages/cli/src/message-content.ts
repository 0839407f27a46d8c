/** What a message says, from a file and for people: a JSON object is its members, any other file `Name` and `Content`. */
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject, JsonValue } from '@meshd/encoding/json-value';
import { terminalControls } from './table.js';

/** A file inside a message. */
export interface MessageFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** Members of a message from a file. */
export function membersOf(octets: Uint8Array, name: string): JsonObject {
  try {
    const value = parseJson(octets);
    const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
    if (isObject && !(value instanceof Uint8Array)) return value;
  } catch {
    // Any other file is sent as it is.
  }
  return { Name: name, Content: Buffer.from(octets).toString('base64url') };
}

/** Members that say again what the envelope says. */
const repeated: ReadonlySet<string> = new Set(['MessageID', 'Sender', 'Recipient']);

const textOf = (value: JsonValue | undefined) => (typeof value === 'string' ? value : undefined);

/** The file that a message is about, as `mesh message send --file` puts it there. */
export function fileOf(body: JsonObject): MessageFile | undefined {
  const own = Object.keys(body).filter((name) => !repeated.has(name));
  const [name, content] = [textOf(body.Name), textOf(body.Content)];
  if (own.length !== 2 || name === undefined || content === undefined) return undefined;
  return { name, content: Buffer.from(content, 'base64url') };
}

/** Lines may be many; nothing else that a terminal would act upon is shown. */
const shown = (text: string) =>
  text
    .split('\n')
    .map((line) => line.replace(/\t/g, '    ').replace(terminalControls, '\ufffd'))
    .join('\n');

/** Text, if the octets are any. */
function plainText(octets: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(octets);
    return /(?![\t\n\r])\p{Cc}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** What a message says. */
export function contentText(body: JsonObject): string {
  const file = fileOf(body);
  if (file !== undefined) {
    const text = plainText(file.content);
    const head = `${shown(file.name)}, ${file.content.length} octets`;
    return text === undefined ? `${head}; --out FILE writes it` : `${head}\n\n${shown(text).trimEnd()}`;
  }
  const own = Object.entries(body).filter(([name]) => !repeated.has(name));
  if (own.length === 0) return 'it says nothing more';
  const [[name, value] = ['', undefined]] = own;
  const only = own.length === 1 && name === 'Text' ? textOf(value) : undefined;
  return only === undefined ? JSON.stringify(Object.fromEntries(own), undefined, 2) : shown(only);
}
