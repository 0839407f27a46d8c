import { makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { decodeTagged, defineTags, encodeTagged, type ObjectTable } from '@meshd/encoding/codec';

import {
  CatalogedApplication,
  CatalogedApplicationMail,
  CatalogedApplicationNetwork,
  CatalogedApplicationSSH,
  CatalogedBookmark,
  CatalogedCredential,
  CatalogedGroup,
  CatalogedNetwork,
  CatalogedTask,
  catalogRegistry,
  Task,
} from '@meshd/schema/catalog';
import { ClientError } from '../errors.js';

/** Members of an entry as people see them; what is absent is the empty text. */
export type ItemFields = Readonly<Record<string, string>>;

/** A kind of entry that people keep (schema 6). */
export interface ItemKind {
  /** As commands call it. */
  readonly name: string;
  readonly container: string;
  /** Members in the order in which they are shown. */
  readonly fields: readonly string[];
  /** Members that are neither searched nor shown in lists. */
  readonly secrets: ReadonlySet<string>;
  /** The member by which people call an entry, besides its key. */
  readonly called: string;
  /** The plain key under which the entry is filed (S63 blinds it). @throws ClientError `entry` */
  keyOf(fields: ItemFields): string;
  /** The body, as the tagged object in JSON. */
  encode(fields: ItemFields): Uint8Array;
  /** Reads a body; undefined for an entry of another kind. */
  decode(plain: Uint8Array): ItemFields | undefined;
}

const none: ReadonlySet<string> = new Set();
const passwordOnly: ReadonlySet<string> = new Set(['Password']);
const form = { form: 'json' } as const;

function textsOf(value: object, names: readonly string[]): ItemFields {
  const members = value as Readonly<Record<string, unknown>>;
  return Object.fromEntries(names.map((name) => [name, textOf(members[name])]));
}

function textOf(member: unknown): string {
  if (member instanceof Date) return member.toISOString();
  return typeof member === 'string' ? member : '';
}

/** Members that are there: an empty text is absence. */
function given(fields: ItemFields, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (fields[name] ? [[name, fields[name]]] : [])));
}

const loginFields = ['Protocol', 'Service', 'Username', 'Password'] as const;

function loginKind(
  name: string,
  container: string,
  table: typeof CatalogedCredential | typeof CatalogedNetwork,
): ItemKind {
  return {
    ...{ name, container, fields: loginFields, secrets: passwordOnly, called: 'Service' },
    keyOf: ({ Protocol: protocol = '', Service: service = '' }) => {
      if (service === '') throw new ClientError('entry', `a ${name} needs the name of its service`);
      return `${protocol}:${service}`;
    },
    encode: (fields) => encodeTagged(table, given(fields, loginFields), 'json'),
    decode: (plain) => {
      const { tag, value } = decodeTagged(catalogRegistry, plain, form);
      return tag === table.name ? textsOf(value, loginFields) : undefined;
    },
  };
}

/** Passwords: one a protocol and service. */
export const credentialKind: ItemKind = loginKind('password', 'mmm_Credential', CatalogedCredential);
/** Networks and how to join them. */
export const networkKind: ItemKind = loginKind('network', 'mmm_Network', CatalogedNetwork);

const bookmarkFields = ['Path', 'Uri', 'Title'] as const;

/** A scheme and something behind it (RFC 3986, 4.3); letters of all scripts, as people copy them. */
const absoluteUri = /^[a-z][a-z0-9+.-]*:[^\s<>"\\^`{|}]+$/i;

/** @throws ClientError `entry` for what leads nowhere */
function requireAbsoluteUri(text: string): void {
  if (absoluteUri.test(text) && URL.canParse(text)) return;
  throw new ClientError('entry', `${text} is not a whole URI; write it with its scheme, as in https://paper.example`);
}

/** Bookmarks, by folder and name: `News/paper`. */
export const bookmarkKind: ItemKind = {
  ...{ name: 'bookmark', container: 'mmm_Bookmark', fields: bookmarkFields, secrets: none, called: 'Title' },
  keyOf: ({ Path: path = '' }) => {
    if (path === '') throw new ClientError('entry', 'a bookmark needs a path, for example News/paper');
    return path;
  },
  encode: (fields) => {
    if (fields.Uri) requireAbsoluteUri(fields.Uri);
    return encodeTagged(CatalogedBookmark, given(fields, bookmarkFields), 'json');
  },
  decode: (plain) => {
    const { tag, value } = decodeTagged(catalogRegistry, plain, form);
    return tag === 'CatalogedBookmark' ? textsOf(value, bookmarkFields) : undefined;
  },
};

const taskFields = ['Key', 'Title', 'Start', 'Finish', 'Location', 'Description'] as const;
const taskTags = defineTags('task', { Task });

function dateOf(name: string, text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime()))
    throw new ClientError('entry', `${name} is no date: write 2026-05-01 or 2026-05-01T12:00Z`);
  return date;
}

/** Appointments and things to do, each under a nonce of its own. */
export const taskKind: ItemKind = {
  ...{ name: 'task', container: 'mmm_Calendar', fields: taskFields, secrets: none, called: 'Title' },
  keyOf: ({ Key: key = '' }) => {
    if (key === '') throw new ClientError('entry', 'a task needs a key');
    return key;
  },
  encode: (fields) => {
    const { Start: start, Finish: finish, ...texts } = given(fields, taskFields);
    const task: Task = {
      ...texts,
      ...(start === undefined ? {} : { Start: dateOf('Start', start) }),
      ...(finish === undefined ? {} : { Finish: dateOf('Finish', finish) }),
    };
    // Unsigned: the whole entry is the account's own word, under the manifest of its batch.
    const EnvelopedTask = makeEnvelope({ header: {}, payload: encodeTagged(Task, task, 'json') });
    return encodeTagged(CatalogedTask, { Key: fields.Key ?? '', EnvelopedTask }, 'json');
  },
  decode: (plain) => {
    const { tag, value } = decodeTagged(catalogRegistry, plain, form);
    if (tag !== 'CatalogedTask' || value.EnvelopedTask === undefined) return undefined;
    const { payload } = openEnvelope(value.EnvelopedTask);
    const task = decodeTagged(taskTags, payload ?? new Uint8Array(0), form).value;
    return { ...textsOf(task, taskFields), Key: value.Key ?? task.Key ?? '' };
  },
};

const applicationFields = ['Key', 'Kind'] as const;
const applicationTables = new Map<string, ObjectTable<CatalogedApplication>>([
  ['', CatalogedApplication],
  ['group', CatalogedGroup],
  ['mail', CatalogedApplicationMail],
  ['network', CatalogedApplicationNetwork],
  ['ssh', CatalogedApplicationSSH],
]);

/** Applications that use the account, by their key; what the draft says of each is its class. */
export const applicationKind: ItemKind = {
  ...{ name: 'application', container: 'mmm_Application', fields: applicationFields, secrets: none, called: 'Key' },
  keyOf: ({ Key: key = '' }) => {
    if (key === '') throw new ClientError('entry', 'an application needs a key');
    return key;
  },
  encode: ({ Key: key = '', Kind: kind = '' }) => {
    const table = applicationTables.get(kind);
    if (table === undefined) {
      const known = [...applicationTables.keys()].filter((each) => each !== '').join(', ');
      throw new ClientError('entry', `there is no kind of application ${kind}; known are ${known}`);
    }
    return encodeTagged(table, { Key: key }, 'json');
  },
  decode: (plain) => {
    const { tag, value } = decodeTagged(catalogRegistry, plain, form);
    const [kind] = [...applicationTables].find(([, table]) => table.name === tag) ?? [];
    return kind === undefined ? undefined : { Key: textsOf(value, ['Key']).Key ?? '', Kind: kind };
  },
};

/** All kinds. */
export const itemKinds: readonly ItemKind[] = [credentialKind, bookmarkKind, networkKind, taskKind, applicationKind];
