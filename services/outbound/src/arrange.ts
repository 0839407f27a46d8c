/**
 * Arranging leased rows, as pure functions: which go together, which one after the other, and which the other service would
 * not take, so that they are never sent (semantics 6.7, 8.5).
 */
import { isWithin } from '@meshd/dare/envelope';
import { messageBytesMax, postMessagesMax } from '@meshd/limits/limits';
import { statusRegistry } from '@meshd/schema/status';
import type { Batch, LeasedRow, Plan, RowResult } from './carrier.js';

/** What a service takes, of its ConstraintsPost. Absent: the draft's default. */
export interface PostConstraints {
  /** Octets of one message. */
  readonly messageBytesMax: number;
  /** Messages of one Post. */
  readonly messagesMax: number;
}

/** What holds where a service says nothing: 64 KB (draft 7, 9), and as many messages as we take ourselves. */
export const defaultConstraints: PostConstraints = { messageBytesMax, messagesMax: postMessagesMax };

const tooLarge: RowResult = {
  ...{ kind: 'refused', reason: 'larger than the service takes' },
  statusExtended: statusRegistry['peer-too-small'].extended ?? 0,
};

/**
 * Rows for another service. Every message of a Post goes to every account of the Post, so a Post has one account here and the
 * messages for it, in order.
 */
export function arrangePosts(rows: readonly LeasedRow[], constraints: PostConstraints, batchBytesMax: number): Plan {
  // Asked once a row: near the bound it costs as much as encoding the message.
  const fitting = new Set(rows.filter(({ message }) => isWithin(message, constraints.messageBytesMax)));
  const refused = new Map(rows.filter((row) => !fitting.has(row)).map((row) => [row, tooLarge]));
  const countMax = Math.max(1, Math.min(constraints.messagesMax, postMessagesMax));
  const chains = groupBy([...fitting], ({ recipient }) => recipient);
  return { kind: 'plan', chains: chains.map((chain) => split(chain, countMax, batchBytesMax)), refused };
}

/** Rows that fall into one group by a word, groups in the order of their first rows. */
export function groupBy(rows: readonly LeasedRow[], wordOf: (row: LeasedRow) => string): LeasedRow[][] {
  const groups = new Map<string, LeasedRow[]>();
  for (const row of rows) {
    const group = groups.get(wordOf(row));
    if (group === undefined) groups.set(wordOf(row), [row]);
    else group.push(row);
  }
  return [...groups.values()];
}

/** Cuts rows into batches of so many rows and octets; a row that is larger by itself is a batch alone. */
export function split(rows: readonly LeasedRow[], countMax: number, bytesMax: number): Batch[] {
  const batches: LeasedRow[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const batch = batches.at(-1);
    if (batch !== undefined && batch.length < countMax && bytes + row.bytes <= bytesMax) {
      batch.push(row);
      bytes += row.bytes;
    } else {
      batches.push([row]);
      bytes = row.bytes;
    }
  }
  return batches;
}
