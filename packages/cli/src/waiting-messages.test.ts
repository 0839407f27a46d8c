import { waitingListedMax } from '@meshd/limits/outbox';
import type { OperatedShards } from '@meshd/rpc/operator';
import { describe, expect, it } from 'vitest';
import { waitingJson, waitingMessages, waitingText } from './waiting-messages.js';

const messageOf = (id: number, queuedMs: number) => ({
  ...{ id, messageId: `NAAA-${id}`, sender: 'alice@alpha.test', recipient: 'bob@beta.test', queuedMs },
  ...{ expiresMs: queuedMs + 48 * 3600_000, attempts: 2, lastFailure: 'timeout', leased: id === 1 },
});

/** Shards with messages; pages asked for are written down. */
function shardsWith(queued: Readonly<Record<string, readonly number[]>>) {
  const asked: number[] = [];
  const shards: Pick<OperatedShards, 'names' | 'ask'> = {
    names: Object.keys(queued),
    ask: (async (shard: string, { value }: { value: { afterId: number; messagesMax: number } }) => {
      asked.push(value.messagesMax);
      const rest = (queued[shard] ?? []).map((ms, at) => messageOf(at + 1, ms)).slice(value.afterId);
      return { messages: rest.slice(0, value.messagesMax), more: rest.length > value.messagesMax };
    }) as unknown as OperatedShards['ask'],
  };
  return { shards: shards as OperatedShards, asked };
}

describe('messages that wait', () => {
  it('of all shards are put in order, and cut at what was asked for', async () => {
    const { shards } = shardsWith({ a: [10, 30, 50], b: [20, 40] });
    const some = await waitingMessages(shards, 'beta.test', 3);
    expect([some.messages.map(({ queuedMs }) => queuedMs), some.more]).toEqual([[10, 20, 30], true]);
    const all = await waitingMessages(shards, 'beta.test', 5);
    expect([all.messages.map(({ shard }) => shard).join(''), all.more]).toEqual(['ababa', false]);
  });

  it('are asked for in pages that a shard is willing to tell', async () => {
    const many = Array.from({ length: waitingListedMax + 7 }, (_, at) => at);
    const { shards, asked } = shardsWith({ a: many });
    expect((await waitingMessages(shards, 'beta.test', waitingListedMax + 5)).messages).toHaveLength(
      waitingListedMax + 5,
    );
    expect(asked).toEqual([waitingListedMax, 5]);
  });

  it('are shown with what became of them so far', async () => {
    const { shards } = shardsWith({ a: [0, 60_000] });
    const some = await waitingMessages(shards, 'beta.test', 1);
    expect(waitingJson(some)).toEqual({
      messages: [
        {
          ...{ id: 'NAAA-1', sender: 'alice@alpha.test', recipient: 'bob@beta.test', shard: 'a', attempts: 2 },
          ...{ onTheWay: true, queued: expect.any(String), expires: expect.any(String), lastFailure: 'timeout' },
        },
      ],
      more: true,
    });
    expect(waitingText(some, 120_000)).toMatch(
      /^message +from[^\n]+\nNAAA-1 +alice@alpha.test +bob@beta.test +2 min +.* +2, on the way +\S[^\n]*\nthe oldest 1 are shown; --messages shows more$/,
    );
    expect(waitingText({ messages: [], more: false }, 0)).toBe('');
  });
});
