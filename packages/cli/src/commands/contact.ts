/** `mesh contact`: people, what is taken of them, and the card by which others know this account. */
import { type Device, withDevice } from '@meshd/client/device';
import { takeReplies } from '@meshd/client/operations/contact-exchange';
import {
  allowContact,
  codeWith,
  contactNamed,
  deleteContact,
  type FiledContact,
  importCard,
  listContacts,
  searchContacts,
  udfOf,
  verifyContact,
} from '@meshd/client/operations/contacts';
import { ownCard, ownName, setOwnName } from '@meshd/client/operations/own-contact';
import { contactLink } from '@meshd/client/people/contact-link';
import { readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import type { CommandIo } from '../command-io.js';
import { compareText, contactJson, keyText, takenText, typesArgument } from '../contact-text.js';
import { addressArgument, withEnvironment } from '../device-environment.js';
import { qrText, writeQrPng } from '../qr.js';
import { textTable } from '../table.js';
import { noteReplies } from './contact-exchange.js';

/** Runs `work` with the device of this home. */
function within<T>(io: CommandIo, work: (device: Device) => Promise<T>): Promise<T> {
  return withEnvironment(io, (environment) => withDevice(io.home, environment, work));
}

interface AllowFlags {
  readonly types?: string;
  readonly card?: string;
  readonly block?: boolean;
  readonly name?: string;
}

const cardFile = async (io: CommandIo, path: string | undefined) =>
  path === undefined ? undefined : readEnvelope(await io.readFile(path));

async function allow(io: CommandIo, account: string, flags: AllowFlags): Promise<void> {
  const address = addressArgument(account);
  const permissions = flags.block === true ? [] : (typesArgument(flags.types) ?? ['*']);
  const card = await cardFile(io, flags.card);
  const allowed = await within(io, (device) => allowContact(device, { address, permissions, card }));
  const { accountUdf } = allowed;
  io.print({ address, permissions, account: accountUdf ?? null, index: allowed.frameIndex }, () => {
    if (permissions.length === 0) return `messages of ${address} are refused from now on`;
    const what = permissions.includes('*') ? 'every message' : permissions.join(', ');
    const key = accountUdf === undefined ? 'whatever account answers to that name' : `account ${accountUdf}`;
    return `${what} of ${address} is taken (${key})`;
  });
}

async function add(io: CommandIo, account: string, flags: AllowFlags): Promise<void> {
  const address = addressArgument(account);
  const permissions = typesArgument(flags.types);
  const card = await cardFile(io, flags.card);
  const filed = await within(io, async (device) => {
    await allowContact(device, { address, permissions, name: flags.name, card });
    return contactNamed(await listContacts(device), address);
  });
  io.print(contactJson(filed), () => `${address} is a contact; of it is taken: ${takenText(filed)}`);
}

function contactTable(contacts: readonly FiledContact[]): string {
  if (contacts.length === 0) return 'no contacts';
  const rows = contacts.map((contact) => [contact.name, contact.address, keyText(contact), takenText(contact)]);
  return textTable(['name', 'account', 'key', 'taken'], rows);
}

async function list(io: CommandIo, text?: string): Promise<void> {
  const { replies, contacts } = await within(io, async (device) => {
    const taken = await takeReplies(device);
    return { replies: taken, contacts: await listContacts(device) };
  });
  noteReplies(io, replies);
  const shown = text === undefined ? contacts : searchContacts(contacts, text);
  io.print({ contacts: shown.map(contactJson) }, () => contactTable(shown));
}

async function get(io: CommandIo, text: string): Promise<void> {
  const { contact, code } = await within(io, async (device) => {
    const found = contactNamed(await listContacts(device), text);
    return { contact: found, code: found.account === undefined ? undefined : await codeWith(device, found) };
  });
  io.print({ ...contactJson(contact), code: code ?? null }, () =>
    [
      ...(contact.name === '' ? [] : [`name     ${contact.name}`]),
      `address  ${contact.address}`,
      `account  ${udfOf(contact) ?? 'not known yet'}`,
      `taken    ${takenText(contact)}`,
      `key      ${keyText(contact)}`,
      ...(code === undefined ? [] : contact.isVerified ? [`code     ${code}`] : [compareText(contact.address, code)]),
    ].join('\n'),
  );
}

async function remove(io: CommandIo, text: string): Promise<void> {
  const { address } = await within(io, (device) => deleteContact(device, text));
  io.print({ address }, `${address} is no contact any more`);
}

async function verify(io: CommandIo, text: string, typed: string | undefined): Promise<void> {
  if (typed === undefined) return get(io, text);
  const contact = await within(io, (device) => verifyContact(device, text, typed));
  io.print(contactJson(contact), () => `the key of ${contact.address} is verified: nobody stands between`);
}

interface ImportFlags {
  readonly fingerprint?: string;
  readonly types?: string;
}

async function importFile(io: CommandIo, path: string, flags: ImportFlags): Promise<void> {
  const octets = readEnvelope(await io.readFile(path));
  const permissions = typesArgument(flags.types);
  const { contact, code } = await within(io, async (device) => {
    const filed = await importCard(device, octets, { fingerprint: flags.fingerprint, permissions });
    return { contact: filed, code: await codeWith(device, filed) };
  });
  io.print({ ...contactJson(contact), code }, () =>
    [
      `${contact.name === '' ? '' : `${contact.name}, `}${contact.address} is a contact, account ${udfOf(contact)}`,
      contact.isVerified ? 'the fingerprint is the one you gave' : compareText(contact.address, code),
    ].join('\n'),
  );
}

interface CardFlags {
  readonly file?: string;
  readonly qr?: string | true;
}

async function card(io: CommandIo, { file, qr }: CardFlags): Promise<void> {
  const { octets, link } = await within(io, async (device) => {
    const { state, identity } = device.session;
    const made = writeEnvelope(await ownCard(device), 'json');
    return { octets: made, link: contactLink({ address: state.address, accountUdf: identity.accountUdf }) };
  });
  const text = Buffer.from(octets).toString('utf8');
  if (file !== undefined) await io.writeFile(file, octets);
  if (typeof qr === 'string') await writeQrPng(qr, link);
  const shown = qr === true && !io.json ? [await qrText(link)] : [];
  const isAsked = file !== undefined || qr !== undefined;
  const result = { ...(isAsked ? {} : { card: text }), file, qr: typeof qr === 'string' ? qr : undefined, link };
  io.print(result, () => {
    if (!isAsked) return text;
    const written = file === undefined ? [] : [`the card is in ${file}`];
    const drawn = typeof qr === 'string' ? [`the QR code is in ${qr}`] : shown;
    return [...written, ...drawn, ...(qr === undefined ? [] : [`it says ${link}`])].join('\n');
  });
}

async function self(io: CommandIo, name: string | undefined): Promise<void> {
  const { address, accountUdf, own } = await within(io, async (device) => {
    if (name !== undefined) await setOwnName(device, name);
    const { state, identity } = device.session;
    return { address: state.address, accountUdf: identity.accountUdf, own: await ownName(device) };
  });
  io.print({ address, account: accountUdf, name: own }, () =>
    [`address  ${address}`, `account  ${accountUdf}`, `name     ${own || 'none; set one with --name'}`].join('\n'),
  );
}

const cardHelp = `
A card is a signed file: pass it on by any way you trust, or compare codes afterwards. A QR code holds the address and
the fingerprint of the account; who scans it from you asks with it: mesh contact request LINK

Examples:
  mesh contact card --file alice.card
  mesh contact card --qr alice.png
  mesh contact card --qr                       (on the terminal)`;

const importHelp = `
Examples:
  mesh contact import bob.card
  mesh contact import bob.card --fingerprint MDBJ-Z3NH-5TYB-HFXV-CRI3-IW56-VOTH`;

function registerPeople(contact: Command, io: CommandIo): void {
  contact
    .command('add')
    .description('keep a person, or change what is kept')
    .argument('<account>', 'NAME@DOMAIN')
    .option('--name <text>', 'how you call the person')
    .option('--types <list>', 'message types that are taken, with commas between them (default: all)')
    .option('--card <file>', 'the card of the account, which the person gave you')
    .addHelpText('after', '\nExamples:\n  mesh contact add bob@beta.test --name "Bob Baker" --types Note,RequestTask')
    .action((account: string, flags: AllowFlags) => add(io, account, flags));
  contact
    .command('allow')
    .description('take messages of an account, or refuse them all')
    .argument('<account>', 'NAME@DOMAIN')
    .option('--types <list>', 'message types, with commas between them (default: all)')
    .option('--card <file>', 'the card of the account, which the person gave you')
    .option('--block', 'refuse everything from it')
    .action((account: string, flags: AllowFlags) => allow(io, account, flags));
  contact
    .command('get')
    .description('one person, and the code to compare')
    .argument('<contact>', 'NAME@DOMAIN, or the beginning of address or name')
    .action((text: string) => get(io, text));
  contact
    .command('list')
    .description('everybody; people who have answered a request of yours are filed on the way')
    .action(() => list(io));
  contact
    .command('search')
    .description('people in whose name, address or account every word occurs')
    .argument('<text>', 'one word or more')
    .action((text: string) => list(io, text));
  contact
    .command('delete')
    .description('forget a person: he is a stranger from then on')
    .argument('<contact>', 'NAME@DOMAIN, or the beginning of address or name')
    .action((text: string) => remove(io, text));
  contact
    .command('verify')
    .description('say that the person has the same code, or show the code')
    .argument('<contact>', 'NAME@DOMAIN, or the beginning of address or name')
    .argument('[code]', 'as the person reads it to you')
    .action((text: string, code: string | undefined) => verify(io, text, code));
}

/** Adds to the group of the program. */
export function registerContactCommands(program: Command, io: CommandIo): void {
  const contact = commandGroup(program, 'contact', 'people, and whose messages are taken');
  registerPeople(contact, io);
  contact
    .command('card')
    .description('the card of this account, for others to know its keys by')
    .option('--file <file>', 'where to write it (default: standard output)')
    .option('--qr [file]', 'a QR code of address and fingerprint: a PNG file, or on the terminal')
    .addHelpText('after', cardHelp)
    .action((flags: CardFlags) => card(io, flags));
  contact
    .command('import')
    .description('keep the person of a card')
    .argument('<file>', 'the card; - is standard input')
    .option('--fingerprint <udf>', 'the account, as the person told you: nothing else is taken')
    .option('--types <list>', 'message types that are taken, with commas between them (default: all)')
    .addHelpText('after', importHelp)
    .action((path: string, flags: ImportFlags) => importFile(io, path, flags));
  contact
    .command('self')
    .description('the name under which this account introduces itself')
    .option('--name <text>', 'the name; set by a device that administers the account')
    .action(({ name }: { readonly name?: string }) => self(io, name));
}
