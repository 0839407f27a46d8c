/** Messages taken, and whom people let write to them. */
import type { Statement } from '../database.js';
import type { ContactChange, MessageSeen } from '../message-rows.js';
import { multiKey, multiRow, type Row } from './multi-row.js';

/** Remembers messages; the primary key refuses one that is there already. */
export const insertMessagesSeen = multiRow({
  name: 'message-seen-insert',
  head: 'INSERT INTO message_seen (recipient, identity, seen_at_ms, receipt_id)',
  types: ['text', 'bytea', 'bigint', 'text'],
  tail: '',
});

/** The row for {@link insertMessagesSeen}. */
export function messageSeenRow(recipient: string, { identity, seenAtMs, receiptId }: MessageSeen): Row {
  return [recipient, identity, seenAtMs, receiptId];
}

/** Looks messages up by recipient and identity. */
export const selectMessagesSeen = multiKey({
  name: 'message-seen-select',
  head: 'SELECT s.recipient, s.identity, s.seen_at_ms, s.receipt_id FROM (',
  types: ['text', 'bytea'],
  tail: `) AS q (recipient, identity) JOIN message_seen AS s
    ON s.recipient = q.recipient AND s.identity = q.identity`,
});

/** Columns of {@link selectMessagesSeen}. */
export type MessageSeenSelectRow = readonly [recipient: string, identity: Buffer, seenAtMs: number, receiptId: string];

/** Forgets messages taken before a time, oldest first, a bounded number at once. */
export function deleteMessageSeenBefore(timeMs: number, rowsMax: number): Statement {
  return {
    text: `DELETE FROM message_seen WHERE (recipient, identity) IN (
      SELECT recipient, identity FROM message_seen WHERE seen_at_ms < $1 ORDER BY seen_at_ms LIMIT $2)`,
    values: [timeMs, rowsMax],
  };
}

/** Inserts, replaces or removes what one entry of the contacts' catalog says. */
export function changeContact(recipient: string, { uniqueId, rule }: ContactChange): Statement {
  if (rule === undefined) {
    return {
      name: 'contact-delete',
      text: 'DELETE FROM contact_permission WHERE recipient = $1 AND unique_id = $2',
      values: [recipient, uniqueId],
    };
  }
  return {
    name: 'contact-upsert',
    text: `INSERT INTO contact_permission (recipient, unique_id, account_udf, address, permissions)
      VALUES ($1, $2, $3, $4, $5) ON CONFLICT (recipient, unique_id) DO UPDATE SET
        account_udf = excluded.account_udf, address = excluded.address, permissions = excluded.permissions`,
    values: [recipient, uniqueId, rule.accountUdf ?? null, rule.address ?? null, rule.permissions],
  };
}

/** What is said of a person, under either name: account UDF, address, permissions. */
export function selectContact(recipient: string, accountUdf: string, address: string): Statement {
  return {
    name: 'contact-select',
    text: `SELECT account_udf, address, permissions FROM contact_permission
      WHERE recipient = $1 AND (account_udf = $2 OR address = $3)`,
    values: [recipient, accountUdf, address],
  };
}

/** Everything said by an address, when its account is deleted. */
export function deleteContacts(recipient: string): Statement {
  return {
    name: 'contact-delete-all',
    text: 'DELETE FROM contact_permission WHERE recipient = $1',
    values: [recipient],
  };
}
