import { extname } from 'node:path';
import { openEnvelope } from '@meshd/dare/envelope';
import type { ContentMeta } from '@meshd/dare/header';
import type { DecryptionKey } from '@meshd/dare/recipients';
import { uniqueIdFor } from './blind.js';
import { fileBody, readBody } from './entry-body.js';
import type { PendingEntry } from './pending.js';
import { plainOf, plainOfPlanned } from './reading-key.js';
import type { Replica } from './replica.js';
import type { Session } from './session.js';
import { encryptBody, type PlannedEntry } from './writer.js';

/** What a side did to an entry that both have changed. */
export type Change = 'update' | 'delete';
/** Whose change stays; `later` leaves the question open and the change in the queue. */
export type Choice = 'mine' | 'theirs' | 'later';

/** An entry that was changed here and by somebody else (semantics 5.1). */
export interface Conflict {
  readonly container: string;
  readonly name: string;
  readonly mine: Change;
  readonly theirs: Change;
  readonly choice: Choice;
  /** Name under which the other version is kept. */
  readonly copy: string | undefined;
}

/** Asks the user, where a deletion stands against a change: nothing is deleted or brought back without being asked. */
export type Decide = (conflict: Pick<Conflict, 'container' | 'name' | 'mine' | 'theirs'>) => Promise<Choice>;

/** Leaves every question open: scripts, and users who are not there. */
export const decideLater: Decide = async () => 'later';

/** What becomes of a pending entry. */
export interface Resolution {
  readonly write: readonly PlannedEntry[];
  readonly isOpen: boolean;
  readonly conflict: Conflict | undefined;
}

interface Context {
  readonly session: Session;
  readonly replica: Replica;
  readonly key: DecryptionKey;
  readonly decide: Decide;
}

const changeMs = ({ Modified: modified, Created: created }: ContentMeta) => (modified ?? created)?.getTime() ?? 0;

/** `notes.txt` → `notes (conflict 2026-01-15T12-00-00Z).txt`. */
export function conflictName(name: string, changedMs: number): string {
  const extension = extname(name);
  const stem = name.slice(0, name.length - extension.length);
  const time = new Date(changedMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-');
  return `${stem} (conflict ${time})${extension}`;
}

/** The loser under a name of its own; undefined for entries that are no files. */
function conflictCopy(
  { session, replica }: Context,
  plain: Uint8Array | undefined,
  changedMs: number,
): PlannedEntry | undefined {
  const body = plain && readBody(plain);
  // A file is filed under its name; what is filed under anything else cannot simply be given another.
  if (body?.plainKey === undefined || body.plainKey !== body.name) return undefined;
  const name = conflictName(body.name, changedMs);
  return {
    name,
    uniqueId: uniqueIdFor(session.keys.keyBlind, replica.reader.container, name),
    body: encryptBody(session, fileBody(name, body.content, changedMs)),
    modifiedMs: changedMs,
  };
}

/** Both have written: the newest stays, the other one is kept beside it. */
async function resolveUpdates(context: Context, entry: PendingEntry, theirFrame: number): Promise<Resolution> {
  const { replica, key } = context;
  const { container } = replica.reader;
  const theirs = openEnvelope(await replica.envelope(theirFrame));
  const theirMs = changeMs(theirs.contentMetaData ?? {});
  const theirPlain = plainOf(theirs, key);
  const myPlain = plainOfPlanned(entry, key);
  const contentOf = (plain: Uint8Array | undefined) => (plain === undefined ? undefined : readBody(plain).content);
  const [myContent, theirContent] = [contentOf(myPlain), contentOf(theirPlain)];
  if (myContent !== undefined && theirContent !== undefined && Buffer.compare(myContent, theirContent) === 0) {
    return { write: [], isOpen: false, conflict: undefined };
  }
  // Times travel in whole seconds; of two changes in one second the one that is written last stays.
  const isMine = Math.floor(entry.modifiedMs / 1000) >= Math.floor(theirMs / 1000);
  const copy = isMine ? conflictCopy(context, theirPlain, theirMs) : conflictCopy(context, myPlain, entry.modifiedMs);
  const known = copy !== undefined && replica.reader.replay?.items.has(copy.uniqueId) === true;
  const write = [...(isMine ? [entry] : []), ...(copy === undefined || known ? [] : [copy])];
  const conflict: Conflict = {
    ...{ container, name: entry.name, mine: 'update', theirs: 'update' },
    choice: isMine ? 'mine' : 'theirs',
    copy: copy?.name,
  };
  return { write, isOpen: false, conflict };
}

/**
 * What becomes of a pending entry on top of what others have written since (semantics 5.1): a change to another key is
 * none of its business; of two updates the newest stays and the other is kept as a copy; a deletion against an update is
 * for the user to decide.
 */
export async function resolveEntry(context: Context, entry: PendingEntry): Promise<Resolution> {
  const { replica, decide } = context;
  const { container, replay } = replica.reader;
  const theirs = replay?.kind === 'spool' ? undefined : replay?.items.get(entry.uniqueId);
  if (theirs?.current === entry.base) {
    // Deleting what is not there is done already.
    return {
      write: entry.body === undefined && theirs === undefined ? [] : [entry],
      isOpen: false,
      conflict: undefined,
    };
  }
  const isUpdate = entry.body !== undefined;
  if (isUpdate && theirs !== undefined) return resolveUpdates(context, entry, theirs.current);
  if (!isUpdate && theirs === undefined) return { write: [], isOpen: false, conflict: undefined };
  const question = {
    ...{ container, name: entry.name },
    mine: isUpdate ? 'update' : 'delete',
    theirs: theirs === undefined ? 'delete' : 'update',
  } as const;
  const choice = await decide(question);
  const conflict = { ...question, choice, copy: undefined };
  return { write: choice === 'mine' ? [entry] : [], isOpen: choice === 'later', conflict };
}
