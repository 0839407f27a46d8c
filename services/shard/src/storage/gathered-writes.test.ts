import { gatheredWritesMax } from '@meshd/limits/outbox';
import { describe, expect, it } from 'vitest';
import type { Statement } from './database.js';
import { StorageError } from './errors.js';
import { gatherWrites } from './gathered-writes.js';

const statement = (text: string): Statement => ({ text, values: [] });

/** Writes over something that notes its transactions, and fails where one of them holds a word. */
function writes(failure?: { word: string; error: Error }) {
  const transactions: string[][] = [];
  const run = async (statements: readonly Statement[]) => {
    const texts = statements.map(({ text }) => text);
    transactions.push(texts);
    await Promise.resolve();
    if (failure !== undefined && texts.includes(failure.word)) throw failure.error;
    return texts.map((text) => [[text]]);
  };
  return { transactions, ...gatherWrites({ run }, () => {}) };
}

describe('gathered writes', () => {
  it('take what came while the last transaction ran into the next, and give each caller its own rows', async () => {
    const { write, transactions } = writes();
    const results = await Promise.all([
      write(statement('a')),
      write(statement('b'), statement('c')),
      write(statement('d')),
    ]);
    expect(transactions).toEqual([['a'], ['b', 'c', 'd']]);
    expect(results).toEqual([[[['a']]], [[['b']], [['c']]], [[['d']]]]);
  });

  it('take no more callers at once than they may', async () => {
    const { write, transactions } = writes();
    await Promise.all(Array.from({ length: gatheredWritesMax + 3 }, (_, at) => write(statement(`${at}`))));
    expect(transactions.map(({ length }) => length)).toEqual([1, gatheredWritesMax, 2]);
  });

  it('try each alone where the database refuses the whole, so that none pays for another', async () => {
    const { write, transactions } = writes({ word: 'bad', error: new StorageError('invalid', 'refused') });
    const all = [write(statement('first')), ...['good', 'bad', 'fine'].map((text) => write(statement(text)))];
    const settled = await Promise.allSettled(all);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(transactions).toEqual([['first'], ['good', 'bad', 'fine'], ['good'], ['bad'], ['fine']]);
  });

  it('repeat nothing where the connection broke: it is not known what became of it', async () => {
    const { write, transactions } = writes({ word: 'bad', error: new StorageError('unavailable', 'broken') });
    const all = [write(statement('first')), ...['good', 'bad'].map((text) => write(statement(text)))];
    const settled = await Promise.allSettled(all);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(transactions).toEqual([['first'], ['good', 'bad']]);
  });

  it('end when nothing waits any more', async () => {
    const { write, idle, transactions } = writes();
    const last = [write(statement('a')), write(statement('b'))];
    await idle();
    expect(transactions).toHaveLength(2);
    await Promise.all(last);
  });
});
