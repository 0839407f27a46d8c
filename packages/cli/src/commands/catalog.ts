/** `mesh password`, `bookmark`, `network`, `task`, `application`: what people keep in their catalogs. */
import {
  applicationKind,
  bookmarkKind,
  credentialKind,
  type ItemFields,
  type ItemKind,
  networkKind,
  taskKind,
} from '@meshd/client/catalog/kinds';
import { type Device, withDevice } from '@meshd/client/device';
import {
  type CatalogItem,
  catalogItem,
  catalogItems,
  deleteItem,
  freshItemKey,
  putItem,
  searchItems,
} from '@meshd/client/operations/catalog-items';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { withEnvironment } from '../device-environment.js';
import { shownText, textTable } from '../table.js';
import { timeText } from '../when.js';

/** One of a kind, in a sentence. */
const oneOf = ({ name }: ItemKind): string => `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;

/** Members that are times. */
const times: ReadonlySet<string> = new Set(['Start', 'Finish']);

interface OfflineFlag {
  readonly offline?: boolean;
}

/** A group of commands over one kind. */
interface CatalogCommands {
  readonly kind: ItemKind;
  readonly description: string;
  /** Arguments of `add`, and the members they fill. */
  readonly arguments: readonly { readonly name: string; readonly member: string; readonly text: string }[];
  readonly options: readonly { readonly flag: string; readonly member: string; readonly text: string }[];
  /** Columns of lists. */
  readonly columns: readonly string[];
  /** Arguments of `add`, as somebody would write them. */
  readonly example: string;
}

const login = {
  arguments: [{ name: 'service', member: 'Service', text: 'what it is for, for example shop.example' }],
  options: [
    { flag: 'user', member: 'Username', text: 'name of the user' },
    { flag: 'password', member: 'Password', text: 'the password (default: asked for, or one line of standard input)' },
    { flag: 'protocol', member: 'Protocol', text: 'for example http or wpa2' },
  ],
  columns: ['Protocol', 'Service', 'Username'],
} as const;

const groups: readonly CatalogCommands[] = [
  {
    ...{ kind: credentialKind, description: 'passwords and whom they belong to', ...login },
    example: 'shop.example --user alice',
  },
  {
    ...{ kind: networkKind, description: 'networks and how to join them', ...login },
    example: 'attic-wifi --protocol wpa2',
  },
  {
    ...{ kind: bookmarkKind, description: 'bookmarks', columns: ['Path', 'Uri', 'Title'] },
    arguments: [
      { name: 'path', member: 'Path', text: 'folder and name, for example News/paper' },
      { name: 'uri', member: 'Uri', text: 'where it leads, with its scheme' },
    ],
    options: [{ flag: 'title', member: 'Title', text: 'what it is called' }],
    example: 'News/paper https://paper.example --title "The paper"',
  },
  {
    ...{
      kind: taskKind,
      description: 'appointments and things to do',
      columns: ['Start', 'Finish', 'Title', 'Location', 'Key'],
    },
    arguments: [{ name: 'title', member: 'Title', text: 'what is to be done' }],
    options: [
      { flag: 'start', member: 'Start', text: '2027-03-01, or 2027-03-01T09:00Z' },
      { flag: 'finish', member: 'Finish', text: '2027-03-01, or 2027-03-01T09:00Z' },
      { flag: 'location', member: 'Location', text: 'where' },
      { flag: 'description', member: 'Description', text: 'more about it' },
      { flag: 'key', member: 'Key', text: 'of a task that is there, to change it' },
    ],
    example: '"See the dentist" --start 2027-03-01T09:00Z --location "High Street"',
  },
  {
    ...{ kind: applicationKind, description: 'applications that use the account', columns: ['Key', 'Kind'] },
    arguments: [{ name: 'key', member: 'Key', text: 'what tells it from others, for example work-mail' }],
    options: [{ flag: 'kind', member: 'Kind', text: 'group, mail, network or ssh' }],
    example: 'work-mail --kind mail',
  },
];

function within<T>(io: CommandIo, work: (device: Device) => Promise<T>): Promise<T> {
  return withEnvironment(io, (environment) => withDevice(io.home, environment, work));
}

const itemJson = ({ key, fields, isWaiting }: CatalogItem) => ({ key, ...fields, waiting: isWaiting });

async function add(io: CommandIo, group: CatalogCommands, fields: ItemFields, { offline }: OfflineFlag): Promise<void> {
  const { kind } = group;
  const changed = await within(io, (device) => {
    const key = kind.fields.includes('Key') && !fields.Key ? { Key: freshItemKey(device) } : {};
    return putItem(device, kind, { ...fields, ...key }, { offline });
  });
  io.print({ key: changed.key, waiting: changed.isWaiting }, () =>
    changed.isWaiting
      ? `${changed.key} is kept here and waits for: mesh account sync`
      : `${kind.name} ${changed.key} is kept, encrypted`,
  );
}

/** A password that was not named comes as a line of standard input, so that it stands in no history of commands. */
async function withSecrets(io: CommandIo, { kind }: CatalogCommands, fields: ItemFields): Promise<ItemFields> {
  if (!kind.secrets.has('Password') || fields.Password !== undefined) return fields;
  const line = (await io.askSecret(`password of ${fields.Service}`)) ?? firstLine(await io.readFile('-'));
  if (line === '') throw new UsageError('give --password, or the password as a line of standard input');
  return { ...fields, Password: line };
}

const firstLine = (octets: Uint8Array): string => Buffer.from(octets).toString('utf8').split(/\r?\n/, 1).join('');

/** A member as a table shows it: times to the minute, as everywhere. */
function cellOf(name: string, { fields }: CatalogItem): string {
  const text = fields[name] ?? '';
  return times.has(name) && text !== '' ? timeText(Date.parse(text)) : text;
}

/** By their time; what has none comes last, as it was. */
function byStart({ fields: { Start: a = '' } }: CatalogItem, { fields: { Start: b = '' } }: CatalogItem): number {
  return a === '' || b === '' ? Number(a === '') - Number(b === '') : Date.parse(a) - Date.parse(b);
}

function tableOf(group: CatalogCommands, items: readonly CatalogItem[]): string {
  const { kind, columns } = group;
  if (items.length === 0) return `no ${kind.name}s; keep one with: mesh ${kind.name} add`;
  const rows = items.map((item) => [...columns.map((name) => cellOf(name, item)), item.isWaiting ? 'waits here' : '']);
  const heads = columns.map((name) =>
    (times.has(name) ? `${name} (UTC)` : name).replace(/^./, (first) => first.toLowerCase()),
  );
  return textTable([...heads, ''], rows);
}

async function list(
  io: CommandIo,
  group: CatalogCommands,
  text: string | undefined,
  flags: OfflineFlag,
): Promise<void> {
  const { kind } = group;
  const all = await within(io, (device) => catalogItems(device, kind, flags));
  const found = text === undefined ? all : searchItems(kind, all, text);
  const items = kind.fields.includes('Start') ? found.toSorted(byStart) : found;
  const shown = items.map((item) => {
    const fields = Object.entries(itemJson(item)).filter(([name]) => !kind.secrets.has(name));
    return Object.fromEntries(fields);
  });
  io.print({ entries: shown }, () => tableOf(group, items));
}

async function get(io: CommandIo, { kind }: CatalogCommands, key: string, flags: OfflineFlag): Promise<void> {
  const item = await within(io, (device) => catalogItem(device, kind, key, flags));
  io.print(itemJson(item), () =>
    kind.fields
      .filter((name) => item.fields[name] !== '')
      .map((name) => `${name.toLowerCase().padEnd(12)}${shownText(item.fields[name] ?? '')}`)
      .join('\n'),
  );
}

async function remove(io: CommandIo, { kind }: CatalogCommands, key: string, flags: OfflineFlag): Promise<void> {
  const changed = await within(io, (device) => deleteItem(device, kind, key, flags));
  io.print({ key: changed.key, waiting: changed.isWaiting }, () =>
    changed.isWaiting
      ? `${changed.key} is deleted here; that waits for: mesh account sync`
      : `${kind.name} ${changed.key} is deleted`,
  );
}

const examplesOf = ({ kind: { name }, example }: CatalogCommands) =>
  `\nExamples:\n  mesh ${name} add ${example}\n  mesh ${name} search ${/[a-z]+/i.exec(example)?.[0]}\n  mesh ${name} list --json`;

const offlineText = 'work without a connection; what changes waits for the next mesh account sync';

function registerGroup(program: Command, io: CommandIo, group: CatalogCommands): void {
  const { kind } = group;
  const parent = commandGroup(program, kind.name, group.description).addHelpText('after', examplesOf(group));
  const adding = parent.command('add').description(`keep ${oneOf(kind)}, or change it`);
  adding.addHelpText('after', `\nExample: mesh ${kind.name} add ${group.example}`);
  for (const { name, text } of group.arguments) adding.argument(`<${name}>`, text);
  for (const { flag, text } of group.options) adding.option(`--${flag} <text>`, text);
  adding.option('--offline', offlineText).action(async (...given: unknown[]) => {
    const flags = given.at(-2) as Readonly<Record<string, string>> & OfflineFlag;
    const named = group.arguments.map(({ member }, at) => [member, given[at] as string]);
    const more = group.options.flatMap(({ flag, member }) =>
      flags[flag] === undefined ? [] : [[member, flags[flag]]],
    );
    const fields: ItemFields = Object.fromEntries([...named, ...more]);
    await add(io, group, await withSecrets(io, group, fields), flags);
  });
  parent
    .command('get')
    .description(`show one ${kind.name}${kind.secrets.size > 0 ? ', secrets included' : ''}`)
    .argument('<key>', `its key, what it is called, or the beginning of either`)
    .option('--offline', offlineText)
    .action((key: string, flags: OfflineFlag) => get(io, group, key, flags));
  parent
    .command('list')
    .description(`all ${kind.name}s${kind.secrets.size > 0 ? ', without secrets' : ''}`)
    .option('--offline', offlineText)
    .action((flags: OfflineFlag) => list(io, group, undefined, flags));
  parent
    .command('search')
    .description(`${kind.name}s in which every word occurs`)
    .argument('<text>', 'one word or more')
    .option('--offline', offlineText)
    .action((text: string, flags: OfflineFlag) => list(io, group, text, flags));
  parent
    .command('delete')
    .description(`delete ${oneOf(kind)}`)
    .argument('<key>', `its key, what it is called, or the beginning of either`)
    .option('--offline', offlineText)
    .action((key: string, flags: OfflineFlag) => remove(io, group, key, flags));
}

/** Adds the groups to the program. */
export function registerCatalogCommands(program: Command, io: CommandIo): void {
  for (const group of groups) registerGroup(program, io, group);
}
