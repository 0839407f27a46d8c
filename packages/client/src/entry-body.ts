import {
  binary,
  dateTime,
  decodeTagged,
  defineObject,
  defineTags,
  encodeTagged,
  type ObjectOf,
  string,
} from '@meshd/encoding/codec';
import { catalogRegistry } from '@meshd/schema/catalog';
import { ClientError } from './errors.js';

/**
 * A file as an entry of a container. JSON around the octets, for two reasons: padding with spaces hides the length
 * (S60), which raw octets do not allow, and the name travels encrypted with the content.
 */
export const CatalogedFile = defineObject({
  name: 'CatalogedFile',
  fields: { Name: string, Modified: dateTime, Content: binary },
});
export type CatalogedFile = ObjectOf<typeof CatalogedFile>;

const fileTags = defineTags('file', { CatalogedFile });
const jsonForm = { form: 'json' } as const;

/** A decrypted body: what it holds, and the plain key under which it must be filed. */
export interface EntryBody {
  /** Name of the file, or the tag of another catalog entry. */
  readonly name: string;
  readonly content: Uint8Array;
  /** Undefined where the body does not determine its key. */
  readonly plainKey: string | undefined;
}

/** The body of a file's entry, as the tagged object in JSON. */
export function fileBody(name: string, content: Uint8Array, modifiedMs: number): Uint8Array {
  return encodeTagged(CatalogedFile, { Name: name, Modified: new Date(modifiedMs), Content: content }, 'json');
}

/** Reads a decrypted body. Bodies that are no tagged object of ours are handed over as they are, without padding. */
export function readBody(plain: Uint8Array): EntryBody {
  const file = tryDecode(() => decodeTagged(fileTags, plain, jsonForm).value);
  if (file !== undefined) {
    const { Name: name, Content: content } = file;
    if (name === undefined) throw new ClientError('entry', 'a file without a name');
    return { name, content: content ?? new Uint8Array(0), plainKey: name };
  }
  const content = withoutPadding(plain);
  const entry = tryDecode(() => decodeTagged(catalogRegistry, plain, jsonForm));
  if (entry === undefined) return { name: 'entry', content, plainKey: undefined };
  return { name: entry.tag, content, plainKey: catalogKey(entry.tag, entry.value) };
}

function tryDecode<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

/** S60 pads JSON with spaces; nothing else ends in them. */
function withoutPadding(plain: Uint8Array): Uint8Array {
  let end = plain.length;
  while (end > 0 && plain[end - 1] === 0x20) end -= 1;
  return plain.subarray(0, end);
}

/** The key of a catalog entry by its type (schema 6). */
function catalogKey(tag: string, value: object): string | undefined {
  const member = (name: string) => (value as Readonly<Record<string, unknown>>)[name] as string | undefined;
  switch (tag) {
    case 'CatalogedDevice':
      return member('DeviceUDF');
    case 'CatalogedCredential':
    case 'CatalogedNetwork':
      return `${member('Protocol') ?? ''}:${member('Service') ?? ''}`;
    case 'CatalogedBookmark':
      return member('Path');
    case 'CatalogedMember':
      return member('UDF');
    default:
      return member('Key');
  }
}
