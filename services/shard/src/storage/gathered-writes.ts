/**
 * Statements of callers that wait at the same moment, in one transaction: what gathered while the last one ran goes into
 * the next. Each caller's own are together and in order, and none pays for another: where the database refuses the whole,
 * each is tried alone.
 */
import { gatheredWritesMax } from '@meshd/limits/outbox';
import type { Statement } from './database.js';
import { concernsAll } from './errors.js';
import type { Writer } from './writer.js';

type Results = readonly unknown[][][];

interface Waiting {
  readonly statements: readonly Statement[];
  readonly resolve: (results: Results) => void;
  readonly reject: (error: unknown) => void;
}

/** Writes, and waits for what is being written. */
export interface GatheredWrites {
  /** The rows that each statement gave. @throws StorageError */
  write(...statements: readonly Statement[]): Promise<Results>;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

/** @param check throws where nothing may be written any more */
export function gatherWrites(writer: Pick<Writer, 'run'>, check: () => void): GatheredWrites {
  let waiting: Waiting[] = [];
  let pumping: Promise<void> | undefined;

  const run = async (group: readonly Waiting[]): Promise<void> => {
    try {
      check();
      const results = await writer.run(group.flatMap(({ statements }) => statements));
      let at = 0;
      for (const { statements, resolve } of group) {
        resolve(results.slice(at, at + statements.length));
        at += statements.length;
      }
    } catch (error) {
      if (group.length > 1 && !concernsAll(error)) for (const one of group) await run([one]);
      else for (const { reject } of group) reject(error);
    }
  };
  const pump = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting.slice(0, gatheredWritesMax);
      waiting = waiting.slice(gatheredWritesMax);
      await run(group);
    }
    pumping = undefined;
  };
  return {
    write: (...statements) =>
      new Promise((resolve, reject) => {
        waiting.push({ statements, resolve, reject });
        pumping ??= pump();
      }),
    idle: async () => {
      await pumping;
    },
  };
}
