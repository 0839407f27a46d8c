import { ClientError } from '../errors.js';
import type { Home } from '../home.js';

const file = 'move.json';

/** A way of the account from one address to another. What was done of it the profiles and the services say. */
export interface Journal {
  readonly version: 1;
  readonly from: string;
  readonly to: string;
  /** The old service is left, with a notice; else the account stands by there. */
  readonly leaves: boolean;
  /** `undo`: before the switch, back to where it was. */
  readonly direction: 'forth' | 'undo';
  /** Nothing is left to do; kept so that it can be undone. */
  readonly isDone: boolean;
}

/** What is under way, or was last. */
export async function loadJournal(home: Home): Promise<Journal | undefined> {
  const journal = await home.readJson<Journal>(file);
  if (journal !== undefined && journal.version !== 1) {
    throw new ClientError('state', `${home.path(file)} is of another version; update this program`);
  }
  return journal;
}

/** Keeps it, durably. */
export async function saveJournal(home: Home, journal: Journal): Promise<void> {
  await home.writeJson(journal, file);
}

/** Nothing can be undone any more. */
export async function forgetJournal(home: Home): Promise<void> {
  await home.remove(file);
}
