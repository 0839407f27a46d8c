import { formatDateTime, parseDateTime } from './date-time.js';
import { EncodingError } from './errors.js';
import { type ReaderOptions, TokenReader } from './token-reader.js';
import { type Form, type PreparedName, prepareName, TokenWriter } from './token-writer.js';

export type { Form } from './token-writer.js';

/** How values of one type are read and written, in both encodings at once. */
export interface Kind<T> {
  /** For messages and lists of fields. */
  readonly name: string;
  read(reader: TokenReader): T;
  write(writer: TokenWriter, value: T): void;
  /** Values that a member leaves unwritten, besides absent ones. */
  omits?(value: T): boolean;
}

/** The type of a kind's values. */
export type ValueOf<K> = K extends Kind<infer T> ? T : never;

export const string: Kind<string> = {
  name: 'String',
  read: (reader) => reader.string(),
  write: (writer, value) => writer.string(value),
};

/** Integers that a number holds exactly; others are refused with `range` (schema 1). */
export const integer: Kind<number> = {
  name: 'Integer',
  read: (reader) => reader.integer(),
  write: (writer, value) => writer.integer(value),
};

export const boolean: Kind<boolean> = {
  name: 'Boolean',
  read: (reader) => reader.boolean(),
  write: (writer, value) => writer.boolean(value),
};

/** Octets. Those read may share the memory of the input. */
export const binary: Kind<Uint8Array> = {
  name: 'Binary',
  read: (reader) => reader.binary(),
  write: (writer, value) => writer.binary(value),
};

/** Read from any RFC 3339 form; written in UTC and whole seconds, the rest cut off. */
export const dateTime: Kind<Date> = {
  name: 'DateTime',
  read: (reader) => parseDateTime(reader.string()),
  write: (writer, value) => writer.string(formatDateTime(value)),
};

/** An array. Absent means empty, and an empty one is never written as a member. A single value is not taken for one. */
export function sequence<T>(kind: Kind<T> | (() => Kind<T>)): Kind<T[]> {
  const element = typeof kind === 'function' ? kind : () => kind;
  return {
    get name() {
      return `${element().name}[]`;
    },
    read(reader) {
      const each = element();
      const values: T[] = [];
      reader.enterArray();
      while (reader.nextElement()) values.push(each.read(reader));
      return values;
    },
    write(writer, values) {
      const each = element();
      writer.beginArray();
      for (const value of values) each.write(writer, value);
      writer.endArray();
    },
    omits: (values) => values.length === 0,
  };
}

/** The fields of an object: name on the wire to kind, in the order in which they are written. */
// biome-ignore lint/suspicious/noExplicitAny: kinds of every type stand in one table
export type Fields = Readonly<Record<string, Kind<any>>>;

type FieldValues<F extends Fields> = { -readonly [K in keyof F]?: ValueOf<F[K]> | undefined };

interface Field {
  readonly name: string;
  readonly prepared: PreparedName;
  // biome-ignore lint/suspicious/noExplicitAny: the table's type says what it is
  readonly kind: Kind<any>;
  /** Its bit among the members seen while reading. */
  readonly bit: number;
}

/**
 * One object of the schema: the single source of its TypeScript type and of both its encodings.
 * All members are optional; what must be there is for the rules of a transaction to say.
 */
export interface ObjectTable<T, N extends string = string> {
  readonly name: N;
  // biome-ignore lint/suspicious/noExplicitAny: only its name and ancestors matter
  readonly base: ObjectTable<any> | undefined;
  /** In written order: those of the base first. */
  readonly fields: readonly Field[];
  readonly fieldOf: ReadonlyMap<string, Field>;
  /** Never there; carries the type of the objects. */
  readonly type?: T;
}

/** The TypeScript type of a table's objects. */
export type ObjectOf<Tbl> = Tbl extends { readonly type?: infer T } ? Exclude<T, undefined> : never;

type Flat<T> = { [K in keyof T]: T[K] };

/** Fields seen are kept as the bits of one number. */
const fieldsMax = 31;

/** Makes the table of an object. Members of `base` come first; both are known by their exact names. */
export function defineObject<const N extends string, F extends Fields, B = unknown>(definition: {
  readonly name: N;
  readonly base?: ObjectTable<B>;
  readonly fields: F;
}): ObjectTable<Flat<B & FieldValues<F>>, N> {
  const inherited = definition.base?.fields ?? [];
  const own = Object.entries(definition.fields).map(
    ([name, kind], index): Field => ({ name, kind, prepared: prepareName(name), bit: 1 << (inherited.length + index) }),
  );
  const fields = [...inherited, ...own];
  const fieldOf = new Map(fields.map((field) => [field.name, field]));
  if (fields.length > fieldsMax) throw new RangeError(`${definition.name} has more than ${fieldsMax} members`);
  if (fieldOf.size < fields.length) throw new RangeError(`${definition.name} has a member twice`);
  return { name: definition.name, base: definition.base, fields, fieldOf };
}

/** Whether a table is another one or descends from it. */
export function isA(table: ObjectTable<unknown>, ancestor: ObjectTable<unknown>): boolean {
  for (let each: ObjectTable<unknown> | undefined = table; each !== undefined; each = each.base) {
    if (each === ancestor) return true;
  }
  return false;
}

/** An object whose type the schema fixes: written without a tag. */
export function object<T>(table: ObjectTable<T> | (() => ObjectTable<T>)): Kind<T> {
  const resolve = typeof table === 'function' ? table : () => table;
  return {
    get name() {
      return resolve().name;
    },
    read: (reader) => readObject(reader, resolve()),
    write: (writer, value) => writeObject(writer, resolve(), value),
  };
}

// --- tagged objects ---

/** An object whose type may vary, with the name of that type. */
export interface Tagged<T = unknown, N extends string = string> {
  readonly tag: N;
  readonly value: T;
}

/** Which tags may stand in a place, and what each holds. `T` is the union of the tagged objects. */
export interface TagRegistry<T extends Tagged = Tagged> {
  readonly name: string;
  readonly entries: ReadonlyMap<string, { readonly tag: string; readonly table: ObjectTable<unknown> }>;
  readonly type?: T;
}

/** The tagged objects of a registry. */
export type TaggedOf<R> = R extends { readonly type?: infer T } ? Exclude<T, undefined> : never;

type TaggedUnion<M> = { [K in keyof M & string]: Tagged<ObjectOf<M[K]>, K> }[keyof M & string];

/**
 * Makes a registry of tags.
 *
 * @param tables tag on the wire to table.
 * @param aliases other names accepted for a tag; what is read carries the tag itself.
 */
export function defineTags<const M extends Readonly<Record<string, ObjectTable<unknown>>>>(
  name: string,
  tables: M,
  aliases: Readonly<Record<string, keyof M & string>> = {},
): TagRegistry<TaggedUnion<M>> {
  const entries = new Map(Object.entries(tables).map(([tag, table]) => [tag, { tag, table }] as const));
  for (const [alias, tag] of Object.entries(aliases)) {
    const entry = entries.get(tag);
    if (entry === undefined || entries.has(alias)) throw new RangeError(`alias ${alias} of ${tag} in ${name}`);
    entries.set(alias, entry);
  }
  return { name, entries };
}

/** An object of variable type: exactly one member, which names the type. An unknown name is refused. */
export function tagged<T extends Tagged>(registry: TagRegistry<T> | (() => TagRegistry<T>)): Kind<T> {
  const resolve = typeof registry === 'function' ? registry : () => registry;
  return {
    get name() {
      return `tagged ${resolve().name}`;
    },
    read: (reader) => readTagged(reader, resolve()),
    write(writer, { tag, value }) {
      const entry = resolve().entries.get(tag);
      if (entry === undefined) throw new RangeError(`${tag} is no ${resolve().name}`);
      writeTagged(writer, entry.tag, entry.table, value);
    },
  };
}

// --- whole texts ---

/** How a whole text is read. */
export interface DecodeOptions extends Omit<ReaderOptions, 'binary'> {
  readonly form: Form;
}

/** An untagged object as octets. */
export function encodeObject<T>(table: ObjectTable<T>, value: T, form: Form): Uint8Array {
  const writer = new TokenWriter(form);
  writeObject(writer, table, value);
  return writer.finish();
}

/**
 * An untagged object from octets: one object and white space, nothing else.
 *
 * @throws EncodingError.
 */
export function decodeObject<T>(table: ObjectTable<T>, octets: Uint8Array, options: DecodeOptions): T {
  return decodeWhole(octets, options, (reader) => readObject(reader, table));
}

/** `{"<tag>": {...}}` as octets; the tag is the table's name unless another is given. */
export function encodeTagged<T>(table: ObjectTable<T>, value: T, form: Form, tag: string = table.name): Uint8Array {
  const writer = new TokenWriter(form);
  writeTagged(writer, tag, table, value);
  return writer.finish();
}

/**
 * `{"<tag>": {...}}` from octets.
 *
 * @throws EncodingError; `type` for an unknown tag, no tag or two.
 */
export function decodeTagged<T extends Tagged>(tables: TagRegistry<T>, octets: Uint8Array, options: DecodeOptions): T {
  return decodeWhole(octets, options, (reader) => readTagged(reader, tables));
}

/** A value of any kind as octets. */
export function encodeKind<T>(kind: Kind<T>, value: T, form: Form): Uint8Array {
  const writer = new TokenWriter(form);
  kind.write(writer, value);
  return writer.finish();
}

/** A value of any kind from octets. Throws EncodingError. */
export function decodeKind<T>(kind: Kind<T>, octets: Uint8Array, options: DecodeOptions): T {
  return decodeWhole(octets, options, (reader) => kind.read(reader));
}

function decodeWhole<T>(octets: Uint8Array, options: DecodeOptions, read: (reader: TokenReader) => T): T {
  const { form, ...rest } = options;
  const reader = new TokenReader(octets, { ...rest, binary: form === 'json-b' });
  const value = read(reader);
  reader.end();
  return value;
}

// --- objects ---

function readObject<T>(reader: TokenReader, table: ObjectTable<T>): T {
  // only names of the table become members, so an ordinary object is safe, and quicker than one without prototype
  const result: Record<string, unknown> = {};
  let seen = 0;
  let unknown: Set<string> | undefined;
  reader.enterObject();
  for (let name = reader.nextMember(); name !== undefined; name = reader.nextMember()) {
    const field = table.fieldOf.get(name);
    if (field === undefined) {
      if (reader.refuseRepeated) {
        unknown ??= new Set();
        if (unknown.has(name)) reader.failRepeated(name);
        unknown.add(name);
      }
      reader.skip();
      continue;
    }
    if ((seen & field.bit) !== 0) {
      if (reader.refuseRepeated) reader.failRepeated(name);
      delete result[name];
    }
    seen |= field.bit;
    if (!reader.tryNull()) result[name] = field.kind.read(reader);
  }
  return result as T;
}

function writeObject<T>(writer: TokenWriter, table: ObjectTable<T>, value: T): void {
  const members = value as Record<string, unknown>;
  writer.beginObject();
  for (const { name, prepared, kind } of table.fields) {
    const member = members[name];
    if (member === undefined || member === null || kind.omits?.(member)) continue;
    writer.preparedName(prepared);
    kind.write(writer, member);
  }
  writer.endObject();
}

function readTagged<T extends Tagged>(reader: TokenReader, registry: TagRegistry<T>): T {
  reader.enterObject();
  const name = reader.nextMember();
  const entry = name === undefined ? undefined : registry.entries.get(name);
  if (entry === undefined) throw new EncodingError('type', `no ${registry.name} is called so`, reader.offset);
  const value = readObject(reader, entry.table);
  if (reader.nextMember() !== undefined) throw new EncodingError('type', 'more than one tag', reader.offset);
  return { tag: entry.tag, value } as T;
}

function writeTagged<T>(writer: TokenWriter, tag: string, table: ObjectTable<T>, value: T): void {
  writer.beginObject();
  writer.name(tag);
  writeObject(writer, table, value);
  writer.endObject();
}
