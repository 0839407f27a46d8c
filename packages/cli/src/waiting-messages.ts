/** Single messages that wait for a destination, as `mesh-admin queue show` lists them: asked of every shard, the oldest first. */
import { waitingListedMax } from '@meshd/limits/outbox';
import type { WaitingMessage } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { OperatedShards } from '@meshd/rpc/operator';
import { failureText } from './failure-text.js';
import { textTable } from './table.js';
import { durationText, isoTime } from './when.js';

/** A message, and the shard at which it waits. Times are Unix milliseconds. */
export interface ShardMessage extends WaitingMessage {
  readonly shard: string;
}

/** Some of them, the oldest first, and whether there are more. */
export interface WaitingMessages {
  readonly messages: readonly ShardMessage[];
  readonly more: boolean;
}

/**
 * The oldest messages for a destination, at most `max`.
 *
 * @throws RpcError
 */
export async function waitingMessages(shards: OperatedShards, domain: string, max: number): Promise<WaitingMessages> {
  const told = await Promise.all(shards.names.map((shard) => waitingAt(shards, shard, domain, max)));
  const messages = told.flatMap((each) => each.messages).sort((a, b) => a.queuedMs - b.queuedMs);
  return { messages: messages.slice(0, max), more: messages.length > max || told.some(({ more }) => more) };
}

/** Page by page: each shard tells them in the order in which they were queued. */
async function waitingAt(shards: OperatedShards, shard: string, domain: string, max: number): Promise<WaitingMessages> {
  const messages: ShardMessage[] = [];
  for (let afterId = 0; messages.length < max; ) {
    const value = { domain, afterId, messagesMax: Math.min(max - messages.length, waitingListedMax) };
    const page = await shards.ask(shard, { $case: 'listWaiting', value }, 'listWaiting');
    messages.push(...page.messages.map((message) => ({ ...message, shard })));
    const last = page.messages.at(-1);
    if (!page.more || last === undefined) return { messages, more: false };
    afterId = last.id;
  }
  return { messages, more: true };
}

/** The same for programs. */
export function waitingJson({ messages, more }: WaitingMessages) {
  return {
    messages: messages.map(({ messageId, sender, recipient, shard, attempts, leased, ...row }) => ({
      ...{ id: messageId, sender, recipient, shard, attempts, onTheWay: leased },
      ...{ queued: isoTime(row.queuedMs), expires: isoTime(row.expiresMs), lastFailure: row.lastFailure || null },
    })),
    more,
  };
}

/** As a table; empty where nothing is to be listed. */
export function waitingText({ messages, more }: WaitingMessages, nowMs: number): string {
  if (messages.length === 0) return '';
  const head = ['message', 'from', 'to', 'waiting', 'given up in', 'attempts', 'last failure'];
  const rows = messages.map(({ messageId, sender, recipient, queuedMs, expiresMs, attempts, lastFailure, leased }) => [
    ...[messageId, sender, recipient, durationText(nowMs - queuedMs), durationText(Math.max(expiresMs - nowMs, 0))],
    ...[leased ? `${attempts}, on the way` : attempts, lastFailure === '' ? '-' : failureText(lastFailure)],
  ]);
  const rest = more ? [`the oldest ${messages.length} are shown; --messages shows more`] : [];
  return [textTable(head, rows), ...rest].join('\n');
}
