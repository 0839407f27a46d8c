/**
 * Whose connections are taken (draft 9.1.2.1): no more than so many of one source, and none of a source that is refused for a
 * time. What is closed here costs no handshake; whoever has a connection already is answered on it with a hint when to come.
 */
import { connectionsPerSourceMax } from '@meshd/limits/requesters';
import type { RequesterLimits } from './requester-limits.js';
import { isLoopback, sourceOf } from './source.js';

/** Numbers that tests change. */
export interface ConnectionLimitOptions {
  readonly perSource?: number;
  /** Whether the machine itself is counted like any other source. */
  readonly countLoopback?: boolean;
}

/** Why a connection is closed at once. */
export type ConnectionRefusal = 'source' | 'barred';

/** What is looked at of a connection. */
export interface IncomingConnection {
  readonly remoteAddress?: string | undefined;
  once(event: 'close', listener: () => void): unknown;
}

/** Counts the open connections of each source. */
export class ConnectionLimits {
  readonly #requesters: Pick<RequesterLimits, 'barredMs'>;
  readonly #perSource: number;
  readonly #countLoopback: boolean;
  readonly #open = new Map<string, number>();

  constructor(requesters: Pick<RequesterLimits, 'barredMs'>, options: ConnectionLimitOptions = {}) {
    this.#requesters = requesters;
    this.#perSource = options.perSource ?? connectionsPerSourceMax;
    this.#countLoopback = options.countLoopback ?? false;
  }

  /** Counts a connection until it is closed; or says why it is to be closed now, and counts nothing. */
  admit(connection: IncomingConnection): ConnectionRefusal | undefined {
    const source = sourceOf(connection.remoteAddress);
    if (isLoopback(source) && !this.#countLoopback) return undefined;
    if (this.#requesters.barredMs(source) > 0) return 'barred';
    const count = this.#open.get(source) ?? 0;
    if (count >= this.#perSource) return 'source';
    this.#open.set(source, count + 1);
    connection.once('close', () => this.#leave(source));
    return undefined;
  }

  #leave(source: string): void {
    const left = (this.#open.get(source) ?? 1) - 1;
    if (left > 0) this.#open.set(source, left);
    else this.#open.delete(source);
  }
}
