/** Contacts as commands name and show them. */
import { type FiledContact, udfOf } from '@meshd/client/operations/contacts';
import { UsageError } from './command-io.js';

/** Message types on the command line; undefined where nothing is said. @throws UsageError */
export function typesArgument(types: string | undefined): string[] | undefined {
  if (types === undefined) return undefined;
  const names = types.split(',').map((name) => name.trim());
  const bad = names.find((name) => !/^(\*|[A-Za-z][A-Za-z0-9-]{0,62})$/.test(name));
  if (bad !== undefined) throw new UsageError(`--types takes names of message types or *, not ${bad || 'nothing'}`);
  return names;
}

/** A contact as `--json` has it. */
export function contactJson(contact: FiledContact) {
  const { address, name, permissions, isVerified, frameIndex } = contact;
  const account = udfOf(contact) ?? null;
  return { address, name, account, permissions, verified: isVerified, index: frameIndex };
}

/** What is taken of a person. */
export function takenText({ permissions }: Pick<FiledContact, 'permissions'>): string {
  if (permissions.length === 0) return 'nothing: blocked';
  return permissions.includes('*') ? 'everything' : permissions.join(', ');
}

/** How well a person's key is known (S72). */
export function keyText(contact: FiledContact): string {
  if (contact.account === undefined) return 'not known yet';
  return contact.isVerified ? 'verified' : 'not compared';
}

/** What to do about a key that nobody has compared. */
export const compareText = (address: string, code: string): string =>
  [
    `compare this code with the person, by telephone or face to face: ${code}`,
    `where it is the same there: mesh contact verify ${address} CODE`,
  ].join('\n');
