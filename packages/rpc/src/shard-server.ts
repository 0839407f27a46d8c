/**
 * The shard's end: takes requests apart, hands each to a handler, gathers the answers.
 */
import {
  status as grpcStatus,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  Server,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  comeBackMs,
  shardRequestBytesInFlightMax,
  shardRequestsInFlightMax,
  shutdownMsMax,
  statusWaitsMax,
} from '@meshd/limits/limits';
import { expectRole, type Identity, listenerCredentials, listenerOptions, type Role } from './credentials.js';
import { RpcError } from './errors.js';
import { makeGatherer } from './gather.js';
import type {
  DownloadPart,
  DownloadRequest,
  SlotMap,
  TransactRequest,
  TransactRequests,
  TransactResponse,
  TransactResponses,
  WatchMapRequest,
} from './generated/meshd/shard/v1/shard.js';
import { isWaiting, requestBytes, responseBytes } from './message-bytes.js';
import { ShardService } from './shard-wire.js';

/** An answer before it gets the number of its request. */
export type TransactAnswer = Omit<TransactResponse, 'number'>;

/** Who asks, and for how long. */
export interface CallContext {
  readonly role: Role;
  /** On the clock of `performance.now()`: nobody waits for the answer after this. */
  readonly deadlineAt: number;
  /** Fires when nobody waits for the answer any more. To be asked for only by who waits. */
  readonly signal: AbortSignal;
}

/** A server stream as its handler sees it. */
export interface PartSink<Part> extends CallContext {
  /**
   * Sends a part and resolves when the next may follow: never faster than the peer reads.
   *
   * @throws RpcError `unavailable` when the peer has gone
   */
  send(part: Part): Promise<void>;
}

/** What a shard does. Whatever they throw is answered as `internal`; refusals are ordinary answers. */
export interface ShardHandlers {
  transact(request: TransactRequest, context: CallContext): Promise<TransactAnswer>;
  download(request: DownloadRequest, sink: PartSink<DownloadPart>): Promise<void>;
  watchMap(request: WatchMapRequest, sink: PartSink<SlotMap>): Promise<void>;
}

/** What {@link serveShard} needs. */
export interface ShardServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly identity: Identity;
  readonly handlers: ShardHandlers;
  /** A handler threw, or a caller was refused; the text of the answer says nothing of it. */
  readonly onError: (error: unknown) => void;
  /** How long `stop` waits for requests in work. */
  readonly stopMsMax?: number;
}

/** A listener that runs. */
export interface ShardServer {
  readonly port: number;
  /** Requests in work. */
  readonly inFlightCount: number;
  /** Takes no new calls, lets those in work end, then drops what is left. */
  stop(): Promise<void>;
}

const maySpeak: readonly Role[] = ['router', 'outbound', 'operator'];

const internalError: TransactAnswer = {
  outcome: { status: 500, error: 'internal', detail: '', retryAfterMs: 0, correlation: '', mapVersion: 0 },
  result: undefined,
};
const comeBack = (detail: string): TransactAnswer => ({
  outcome: { status: 503, error: 'overloaded', detail, retryAfterMs: comeBackMs, correlation: '', mapVersion: 0 },
  result: undefined,
});

/** What is in work over all streams. */
interface Load {
  count: number;
  /** Requests that wait for a change; they are in nobody's way and do not count as work. */
  waits: number;
  bytes: number;
  /** Nothing more is taken into work. */
  stopping: boolean;
  /** Streams that wait until there is room for octets again. */
  readonly paused: Set<() => void>;
}

type Counter = 'count' | 'waits';

function begin(load: Load, counter: Counter, bytes: number): void {
  load[counter] += 1;
  load.bytes += bytes;
}

function finish(load: Load, counter: Counter, bytes: number): void {
  load[counter] -= 1;
  load.bytes -= bytes;
  if (load.bytes > shardRequestBytesInFlightMax / 2) return;
  for (const resume of load.paused) resume();
  load.paused.clear();
}

function counterOf(request: TransactRequest): Counter {
  return isWaiting(request) ? 'waits' : 'count';
}

function hasRoom(load: Load, counter: Counter): boolean {
  return load[counter] < (counter === 'waits' ? statusWaitsMax : shardRequestsInFlightMax);
}

type TransactCall = ServerDuplexStream<TransactRequests, TransactResponses>;

/** Whether anybody still waits for an answer. The signal is made for who asks for it: few do, and it costs much. */
class Abandonment {
  #controller: AbortController | undefined;
  #isOver = false;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isOver) this.#controller.abort();
    return this.#controller.signal;
  }

  abort(): void {
    this.#isOver = true;
    this.#controller?.abort();
  }
}

/** The context of a request of a stream. */
class TransactContext implements CallContext {
  readonly role: Role;
  readonly deadlineAt: number;
  readonly #abandoned: Abandonment;

  constructor(role: Role, deadlineAt: number, abandoned: Abandonment) {
    this.role = role;
    this.deadlineAt = deadlineAt;
    this.#abandoned = abandoned;
  }

  get signal(): AbortSignal {
    return this.#abandoned.signal;
  }
}

/** An answer on its way; its request counts as in work until the stream has taken it, for a router may not be reading. */
interface Answer {
  readonly response: TransactResponse;
  /** What the request is counted as, or null for one that was not taken into work. */
  readonly counted: { readonly counter: Counter; readonly bytes: number } | null;
}

function serveTransact(call: TransactCall, options: ShardServerOptions, load: Load): void {
  const role = expectRole(call, maySpeak);
  const working = new Map<number, Abandonment>();
  let inWork = 0;
  let ended = false;
  let dropped = false;
  const settle = ({ counted }: Answer): void => {
    if (counted === null) return;
    inWork -= 1;
    finish(load, counted.counter, counted.bytes);
    if (ended && inWork === 0) setImmediate(() => call.end()); // after the message that is being made
  };
  const answers = makeGatherer<Answer, TransactResponses>({
    sink: call,
    message: (taken) => ({ responses: taken.map(({ response }) => response) }),
    seal: (answer) => {
      settle(answer);
      return answer;
    },
  });
  const answer = (number: number, given: TransactAnswer, counted: Answer['counted']): void => {
    const entry = { response: { ...given, number }, counted };
    if (dropped) settle(entry);
    else answers.add({ entry, bytes: responseBytes(given) });
  };
  const work = async (request: TransactRequest): Promise<void> => {
    const bytes = requestBytes(request);
    const counter = counterOf(request);
    const abandoned = new Abandonment();
    begin(load, counter, bytes);
    inWork += 1;
    working.set(request.number, abandoned);
    let given = internalError;
    try {
      const deadlineAt = performance.now() + request.deadlineMs;
      given = await options.handlers.transact(request, new TransactContext(role, deadlineAt, abandoned));
    } catch (error) {
      options.onError(error);
    }
    working.delete(request.number);
    answer(request.number, given, { counter, bytes });
  };
  call.on('data', ({ requests, cancelled }: TransactRequests) => {
    for (const number of cancelled) working.get(number)?.abort();
    for (const request of requests) {
      if (load.stopping) answer(request.number, comeBack('the shard is stopping'), null);
      else if (hasRoom(load, counterOf(request))) void work(request);
      else answer(request.number, comeBack('too many: requests in work at the shard'), null);
    }
    if (load.bytes > shardRequestBytesInFlightMax) {
      call.pause();
      load.paused.add(() => call.resume());
    }
  });
  call.on('end', () => {
    ended = true;
    if (inWork === 0) call.end();
  });
  const drop = (): void => {
    dropped = true;
    for (const unsent of answers.stop()) settle(unsent);
    for (const abandoned of working.values()) abandoned.abort();
  };
  call.on('cancelled', drop);
  call.on('error', drop);
}

function sinkOf<Part>(
  call: ServerWritableStream<unknown, Part>,
  context: Omit<CallContext, 'signal'>,
): { sink: PartSink<Part>; over: () => void } {
  const gone = new AbortController();
  const leave = (): void => gone.abort(new RpcError('unavailable', 'the caller has gone'));
  call.on('cancelled', leave);
  call.on('error', leave);
  call.on('close', leave);
  const sink: PartSink<Part> = {
    ...context,
    signal: gone.signal,
    send: (part) =>
      new Promise((resolve, reject) => {
        if (gone.signal.aborted) return reject(gone.signal.reason);
        if (call.write(part)) return resolve();
        const stop = (): void => reject(gone.signal.reason);
        gone.signal.addEventListener('abort', stop, { once: true });
        call.once('drain', () => {
          gone.signal.removeEventListener('abort', stop);
          resolve();
        });
      }),
  };
  return { sink, over: () => call.off('close', leave) };
}

/** Ends a call with a status; destroying the stream would end it without one. */
function fail(call: { emit(event: 'error', error: Partial<ServiceError>): boolean }, refused: boolean): void {
  const details = refused ? 'the caller may not speak here' : 'failed';
  const code = refused ? grpcStatus.PERMISSION_DENIED : grpcStatus.INTERNAL;
  call.emit('error', Object.assign(new Error(details), { code, details }));
}

/** Runs a handler of a server stream and ends the call as it ends. */
function serveParts<Request, Part>(
  handler: (request: Request, sink: PartSink<Part>) => Promise<void>,
  options: ShardServerOptions,
): handleServerStreamingCall<Request, Part> {
  return (call) => {
    void (async () => {
      try {
        const role = expectRole(call, maySpeak);
        const { sink, over } = sinkOf<Part>(call, { role, deadlineAt: deadlineOf(call.getDeadline()) });
        await handler(call.request, sink);
        over();
        call.end();
      } catch (error) {
        const refused = error instanceof RpcError && error.code === 'refused';
        if (!(error instanceof RpcError) || refused) options.onError(error);
        fail(call, refused);
      }
    })();
  };
}

function deadlineOf(deadline: Date | number): number {
  const atMs = typeof deadline === 'number' ? deadline : deadline.getTime();
  return performance.now() + (atMs - Date.now());
}

/**
 * Starts listening.
 *
 * @throws Error of the socket, when the address cannot be had
 */
export async function serveShard(options: ShardServerOptions): Promise<ShardServer> {
  const server = new Server(listenerOptions);
  const load: Load = { count: 0, waits: 0, bytes: 0, stopping: false, paused: new Set() };
  const transact: handleBidiStreamingCall<TransactRequests, TransactResponses> = (call) => {
    try {
      serveTransact(call, options, load);
    } catch (error) {
      options.onError(error);
      fail(call, true);
    }
  };
  const { handlers } = options;
  server.addService(ShardService, {
    transact,
    download: serveParts<DownloadRequest, DownloadPart>((request, sink) => handlers.download(request, sink), options),
    watchMap: serveParts<WatchMapRequest, SlotMap>((request, sink) => handlers.watchMap(request, sink), options),
  });
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${options.port}`, listenerCredentials(options.identity), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    port,
    get inFlightCount() {
      return load.count;
    },
    stop: async () => {
      load.stopping = true;
      const end = performance.now() + (options.stopMsMax ?? shutdownMsMax / 2);
      // long streams never end by themselves: wait for the requests in them, not for the streams
      while (load.count > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
      await new Promise<void>((resolve) => setTimeout(resolve, 20)); // the last answers leave
      server.forceShutdown();
    },
  };
}
