import { rpcEntriesMax } from '@meshd/limits/limits';
import { describe, expect, it } from 'vitest';
import { makeGatherer } from './gather.js';

const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** A stream that is full after each message until it is drained. */
function fullSink() {
  const messages: number[][] = [];
  let drained = () => {};
  const sink = {
    write: (message: number[]) => {
      messages.push(message);
      return false;
    },
    once: (_: 'drain', listener: () => void) => {
      drained = listener;
    },
  };
  return { messages, sink, drain: () => drained() };
}

const one = (entry: number, bytes = 1) => ({ entry, bytes });

describe('gathering', () => {
  it('sends what one turn brought in one message', async () => {
    const messages: number[][] = [];
    const gatherer = makeGatherer<number, number[]>({
      sink: { write: (message) => messages.push(message) > 0, once: () => {} },
      message: (entries) => entries,
    });
    for (const entry of [1, 2, 3]) gatherer.add(one(entry));
    expect(gatherer.waitingBytes).toBe(3);
    await turn();
    gatherer.add(one(4));
    await turn();
    expect(messages).toEqual([[1, 2, 3], [4]]);
    expect(gatherer.waitingBytes).toBe(0);
  });

  it('waits for a full stream and then sends what gathered, in bounded messages', async () => {
    const { messages, sink, drain } = fullSink();
    const gatherer = makeGatherer<number, number[]>({ sink, message: (entries) => entries });
    gatherer.add(one(0));
    await turn();
    for (let entry = 1; entry <= rpcEntriesMax + 1; entry += 1) gatherer.add(one(entry));
    await turn();
    expect(messages).toHaveLength(1);
    drain();
    expect(messages[1]).toHaveLength(rpcEntriesMax);
    drain();
    expect(messages[2]).toEqual([rpcEntriesMax + 1]);
  });

  it('sends a large entry alone', async () => {
    const messages: number[][] = [];
    const gatherer = makeGatherer<number, number[]>({
      sink: { write: (message) => messages.push(message) > 0, once: () => {} },
      message: (entries) => entries,
    });
    for (const [entry, bytes] of [
      [1, 10],
      [2, 8 << 20],
      [3, 10],
    ] as const) {
      gatherer.add(one(entry, bytes));
    }
    await turn();
    expect(messages).toEqual([[1], [2], [3]]);
  });

  it('leaves out what nobody waits for, and gives back what was not sent', async () => {
    const { messages, sink } = fullSink();
    const gatherer = makeGatherer<number, number[]>({
      ...{ sink, held: true, message: (entries: number[]) => entries },
      seal: (entry) => (entry % 2 === 0 ? entry : null),
    });
    for (const entry of [1, 2, 3]) gatherer.add(one(entry));
    await turn();
    expect(messages).toEqual([]);
    gatherer.release();
    expect(messages).toEqual([[2]]);
    gatherer.add(one(4));
    expect(gatherer.stop()).toEqual([4]);
    gatherer.add(one(6));
    await turn();
    expect(messages).toEqual([[2]]);
  });
});
