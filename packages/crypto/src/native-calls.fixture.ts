/** Counting what is asked of native code: how many verifications and decryptions there are is part of what is promised. */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

/** Calls of one function, by their arguments. */
export interface NativeCalls {
  readonly calls: unknown[][];
  /** Has the function be as it was. */
  stop(): void;
}

/** Writes down every call of one of node's functions, wherever it comes from, and lets it happen. */
export function watchNative(name: 'verify' | 'createDecipheriv'): NativeCalls {
  const calls: unknown[][] = [];
  const functions = crypto as unknown as Record<string, (...parts: unknown[]) => unknown>;
  const original = functions[name] as (...parts: unknown[]) => unknown;
  const put = (work: (...parts: unknown[]) => unknown): void => {
    functions[name] = work;
    // What was imported by name follows.
    syncBuiltinESMExports();
  };
  put((...parts) => {
    calls.push(parts);
    return original(...parts);
  });
  return { calls, stop: () => put(original) };
}
