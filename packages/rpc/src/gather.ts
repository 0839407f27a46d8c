/**
 * Batching for one direction of a stream: entries that arrive in one turn of the event loop leave in one message, and
 * what gathers while the stream cannot take more leaves together when it can.
 */
import { rpcEntriesMax, rpcGatherBytesMax } from '@meshd/limits/limits';

/** A stream that is written to. */
export interface MessageSink<Message> {
  /** False: it is full, wait for `drain`. */
  write(message: Message): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** An entry with its size in octets, approximately. */
export interface Sized<Entry> {
  readonly entry: Entry;
  readonly bytes: number;
}

/** Gathers entries for one stream. */
export interface Gatherer<Entry> {
  add(item: Sized<Entry>): void;
  /** Lets entries through, for a gatherer made with `held`. */
  release(): void;
  /** Octets that have not been handed to the stream. */
  readonly waitingBytes: number;
  /** Takes back what has not been handed to the stream; nothing is sent from here on. */
  stop(): Entry[];
}

/** What {@link makeGatherer} needs. */
export interface GatherShape<Entry, Message> {
  readonly sink: MessageSink<Message>;
  readonly message: (entries: Entry[]) => Message;
  /** Called for each entry just before it is handed to the stream; null leaves it out. */
  readonly seal?: (entry: Entry) => Entry | null;
  /** Nothing is handed to the stream before `release`. */
  readonly held?: boolean;
}

/** Makes one. */
export function makeGatherer<Entry, Message>(shape: GatherShape<Entry, Message>): Gatherer<Entry> {
  const { sink, message, seal = (entry: Entry) => entry } = shape;
  let waiting: Sized<Entry>[] = [];
  let waitingBytes = 0;
  let woken = false;
  let full = shape.held ?? false;
  let stopped = false;

  /** The next message's entries. */
  const take = (start: number): { entries: Entry[]; end: number } => {
    const entries: Entry[] = [];
    let bytes = 0;
    let end = start;
    for (; end < waiting.length && entries.length < rpcEntriesMax; end += 1) {
      const item = waiting[end] as Sized<Entry>;
      if (entries.length > 0 && bytes + item.bytes > rpcGatherBytesMax) break;
      waitingBytes -= item.bytes;
      const sealed = seal(item.entry);
      if (sealed === null) continue;
      entries.push(sealed);
      bytes += item.bytes;
    }
    return { entries, end };
  };

  const flush = (): void => {
    woken = false;
    let start = 0;
    while (!full && !stopped && start < waiting.length) {
      const { entries, end } = take(start);
      start = end;
      if (entries.length === 0 || sink.write(message(entries))) continue;
      full = true;
      sink.once('drain', () => {
        full = false;
        flush();
      });
    }
    waiting = waiting.slice(start);
  };

  return {
    get waitingBytes() {
      return waitingBytes;
    },
    add: (item) => {
      waiting.push(item);
      waitingBytes += item.bytes;
      if (woken || full || stopped) return;
      woken = true;
      setImmediate(flush);
    },
    release: () => {
      full = false;
      flush();
    },
    stop: () => {
      stopped = true;
      waitingBytes = 0;
      return waiting.splice(0).map(({ entry }) => entry);
    },
  };
}
