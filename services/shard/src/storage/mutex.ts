/** Writers of one account take turns, in the order in which they came. */
import { accountWritesWaitingMax } from '@meshd/limits/limits';
import { StorageError } from './errors.js';

interface Line {
  tail: Promise<void>;
  length: number;
}

/** Mutexes by name; a name nobody holds takes no memory. */
export interface Mutexes {
  /**
   * Runs `work` when all earlier work of the same name has ended, however it ended.
   *
   * @throws StorageError `overloaded` when too many wait for the same name
   */
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** Makes them. */
export function makeMutexes(): Mutexes {
  const lines = new Map<string, Line>();
  return {
    run: async (name, work) => {
      const line = lines.get(name) ?? { tail: Promise.resolve(), length: 0 };
      if (line.length >= accountWritesWaitingMax) {
        const resource = 'requests waiting for the account';
        throw new StorageError('overloaded', `too many: ${resource}`, { resource });
      }
      lines.set(name, line);
      line.length += 1;
      const before = line.tail;
      const done = Promise.withResolvers<void>();
      line.tail = done.promise;
      try {
        await before;
        return await work();
      } finally {
        line.length -= 1;
        if (line.length === 0) lines.delete(name);
        done.resolve();
      }
    },
  };
}
