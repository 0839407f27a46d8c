/** Counts what this process does while something runs in it: signatures verified, statements sent to databases. */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import pg from 'pg';

/** What was counted. */
export interface Work {
  readonly verifications: number;
  /** How often each statement was sent, by its name or text. */
  readonly statements: Readonly<Record<string, number>>;
}

/** What is sent whether anything happens or not: leases, versions, what has expired, and the transactions around them. */
const byTimer = /lease|directory_|destination|outbox|publication-due-select|^DELETE|advisory|^BEGIN$|^COMMIT$/i;

type Query = (this: unknown, ...args: unknown[]) => unknown;

/** Watches from its making until it is stopped. Everything goes on as before: only calls are counted. */
export class WorkCounter {
  #verifications = 0;
  #statements = new Map<string, number>();
  /** Signatures that are verified again and again, by the clock: those of the hosts' own files. */
  readonly #standing = new Set<string>();
  #isStarting = true;
  readonly #restore: () => void;

  constructor() {
    const native = createRequire(import.meta.url)('node:crypto') as { verify: Query };
    const client = pg.Client.prototype as unknown as { query: Query };
    const { verify } = native;
    const { query } = client;
    native.verify = (...args) => {
      this.#verified(Buffer.from(args[3] as Uint8Array).toString('latin1'));
      return verify(...args);
    };
    const count = (statement: unknown) => this.#count(statement);
    client.query = function counted(...args) {
      count(args[0]);
      return query.apply(this, args);
    };
    // Modules that imported the function by its name see the new one.
    syncBuiltinESMExports();
    this.#restore = () => {
      native.verify = verify;
      client.query = query;
      syncBuiltinESMExports();
    };
  }

  /** All processes have started: what was verified until now is not counted when it is verified again. */
  started(): void {
    this.#isStarting = false;
  }

  /** Counts while `work` runs. */
  async during(work: () => Promise<unknown>): Promise<Work> {
    this.#verifications = 0;
    this.#statements = new Map();
    await work();
    const told = [...this.#statements].filter(([name]) => !byTimer.test(name));
    return { verifications: this.#verifications, statements: Object.fromEntries(told.sort()) };
  }

  stop(): void {
    this.#restore();
  }

  #verified(signature: string): void {
    if (this.#isStarting) this.#standing.add(signature);
    if (!this.#standing.has(signature)) this.#verifications += 1;
  }

  #count(statement: unknown): void {
    const { name, text } = (typeof statement === 'object' && statement !== null ? statement : {}) as pg.QueryConfig;
    const known = name ?? text ?? String(statement);
    this.#statements.set(known, (this.#statements.get(known) ?? 0) + 1);
  }
}
