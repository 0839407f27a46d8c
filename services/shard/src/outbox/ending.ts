import { outboundSpool } from '@meshd/schema/container-name';
import type { ShardContext } from '../context.js';
import type { OutboxRow } from '../storage/outbox-store.js';
import type { AccountTransactor } from '../storage/store.js';
import { type DeliveryEnd, markWrite } from './delivery-marks.js';

/** A row that is over. */
export interface Ending {
  readonly row: OutboxRow;
  readonly end: DeliveryEnd;
}

/**
 * Ends rows: each goes in the commit of the mark that tells its sender. Rows that others have ended meanwhile are passed
 * over, so it can be repeated.
 *
 * One sender's account that cannot be written keeps no other from being told.
 *
 * @returns how many rows were ended.
 * @throws StorageError of the first account that failed, after all were tried.
 */
export async function endRows(context: ShardContext, endings: readonly Ending[]): Promise<number> {
  const bySender = Map.groupBy(endings, ({ row }) => row.sender);
  const settled = await Promise.allSettled([...bySender].map(([sender, own]) => endOfSender(context, sender, own)));
  const failed = settled.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return settled.reduce((sum, each) => sum + (each.status === 'fulfilled' ? each.value : 0), 0);
}

function endOfSender(context: ShardContext, sender: string, endings: readonly Ending[]): Promise<number> {
  const byId = new Map(endings.map((ending) => [ending.row.id, ending]));
  return context.store.transactAccount(sender, async (transactor) => {
    // Nobody else ends rows of this account now: those that are there stay there.
    const rows = await context.store.outbox.rowsOf([...byId.keys()]);
    if (rows.length === 0) return 0;
    const current = rows.map((row) => byId.get(row.id) as Ending);
    await transactor.commit({ ended: rows.map(({ id }) => id), containers: marksOf(context, transactor, current) });
    return rows.length;
  });
}

/** None where nobody can be told: the account is gone, or its spool can take nothing more. */
function marksOf(context: ShardContext, { state }: AccountTransactor, endings: readonly Ending[]) {
  const container = state?.containers.get(outboundSpool);
  const told = endings.filter(({ row }) => row.containerId === container?.id);
  if (container === undefined || container.damaged || told.length === 0) return [];
  const ended = told.map(({ row: { messageId, recipient }, end }) => ({ messageId, recipient, end }));
  const maker = { host: context.host(), nowMs: context.clock(), random: context.random };
  return [markWrite(container, ended, maker)];
}
