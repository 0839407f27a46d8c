/** Programs that run beside the bench, each on its own event loop, and are told what to do one call after the other. */
import { type ChildProcess, fork } from 'node:child_process';

/** What a program offers: named calls with one argument that can be cloned. */
export type Calls = Record<string, (argument: never) => Promise<unknown>>;

interface Ask {
  readonly number: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly number: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A program that runs, with its calls. */
export interface Child<C extends Calls> {
  call<Name extends keyof C & string>(
    name: Name,
    argument: Parameters<C[Name]>[0],
  ): Promise<Awaited<ReturnType<C[Name]>>>;
  stop(): Promise<void>;
}

/** Starts a program of this folder. */
export function startChild<C extends Calls>(file: string): Child<C> {
  const process = fork(new URL(file, import.meta.url), { serialization: 'advanced' });
  const waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  let count = 0;
  process.on('message', ({ number, result, error }: Answer) => {
    const waiter = waiting.get(number);
    waiting.delete(number);
    if (error === undefined) waiter?.resolve(result as never);
    else waiter?.reject(new Error(`${file}: ${error}`));
  });
  process.on('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`${file} ended: ${signal ?? code}`));
    waiting.clear();
  });
  return {
    call: (name, argument) =>
      new Promise((resolve, reject) => {
        count += 1;
        waiting.set(count, { resolve, reject });
        process.send({ number: count, name, argument } satisfies Ask);
      }),
    stop: () => ended(process),
  };
}

function ended(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    process.once('exit', () => resolve());
    process.kill();
  });
}

/** The program's side: answers calls until its parent is gone. */
export function serveCalls<C extends Calls>(calls: C): void {
  process.on('message', ({ number, name, argument }: Ask) => {
    const send = (answer: Answer): void => void process.send?.(answer);
    (calls[name] as (argument: unknown) => Promise<unknown>)(argument).then(
      (result) => send({ number, result }),
      (error: Error) => send({ number, error: error.stack ?? error.message }),
    );
  });
  process.on('disconnect', () => process.exit());
}
