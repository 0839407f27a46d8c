/**
 * A router's connection to one shard: one long stream for transactions, a stream of its own for each download.
 */
import { type ClientDuplexStream, status as grpcStatus, Metadata, type ServiceError } from '@grpc/grpc-js';
import { rpcBytesWaitingMax, rpcRequestsWaitingMax, rpcStatusWaitsMax } from '@meshd/limits/limits';
import { channelReadyMsMax, channelSetting, type Identity } from './credentials.js';
import { RpcError, type RpcErrorCode } from './errors.js';
import { type Gatherer, makeGatherer } from './gather.js';
import type {
  DownloadPart,
  DownloadRequest,
  SlotMap,
  TransactRequest,
  TransactRequests,
  TransactResponse,
  TransactResponses,
} from './generated/meshd/shard/v1/shard.js';
import { isWaiting, requestBytes } from './message-bytes.js';
import { ShardClient } from './shard-wire.js';

/** A request before the connection gives it its number and the time left. */
export type TransactAsk = Omit<TransactRequest, 'number' | 'deadlineMs'>;

/** A connection to one shard. It connects by itself, and again when it broke. */
export interface ShardConnection {
  /** `host:port`. */
  readonly address: string;
  /**
   * Sends a request and waits for its answer.
   *
   * @param deadlineMs time the answer may take, from now
   * @param signal fires when nobody waits for the answer any more; the shard is told
   * @throws RpcError; the reason of the signal
   */
  transact(ask: TransactAsk, deadlineMs: number, signal?: AbortSignal): Promise<TransactResponse>;
  /**
   * The parts of an answer, read as fast as they are consumed and no faster. Leaving the loop ends the call.
   *
   * @throws RpcError
   */
  download(request: DownloadRequest, signal?: AbortSignal): AsyncIterable<DownloadPart>;
  /**
   * The slot map now and at every change, until the connection breaks or the loop is left.
   *
   * @throws RpcError
   */
  watchMap(versionKnown: number, signal?: AbortSignal): AsyncIterable<SlotMap>;
  /** Requests waiting for an answer. */
  readonly waitingCount: number;
  /** Ends the connection; what waits fails with `closed`. */
  close(): void;
}

/** What {@link connectShard} needs. */
export interface ShardConnectionOptions {
  readonly address: string;
  readonly identity: Identity;
  /** Our end broke or was refused; for the log. */
  readonly onError?: (error: RpcError) => void;
}

interface Pending {
  readonly resolve: (response: TransactResponse) => void;
  readonly reject: (error: unknown) => void;
  /** Leaves the signal of the caller alone again. */
  readonly leave: () => void;
  readonly deadlineAt: number;
  sent: boolean;
}

const codes: ReadonlyMap<number, RpcErrorCode> = new Map<number, RpcErrorCode>([
  [grpcStatus.DEADLINE_EXCEEDED, 'deadline'],
  [grpcStatus.RESOURCE_EXHAUSTED, 'refused'],
  [grpcStatus.PERMISSION_DENIED, 'refused'],
  [grpcStatus.UNAUTHENTICATED, 'refused'],
  [grpcStatus.INVALID_ARGUMENT, 'refused'],
  [grpcStatus.UNIMPLEMENTED, 'refused'],
]);

function rpcError(error: unknown, sent: boolean): RpcError {
  if (error instanceof RpcError) return error;
  const { code, details, message } = error as Partial<ServiceError>;
  return new RpcError(codes.get(code ?? -1) ?? 'unavailable', details || message || 'the call failed', {
    sent,
    cause: error,
  });
}

type TransactCall = ClientDuplexStream<TransactRequests, TransactResponses>;

/** One life of the transaction stream. */
class TransactStream {
  readonly #call: TransactCall;
  readonly #gatherer: Gatherer<TransactRequest>;
  readonly #pending = new Map<number, Pending>();
  readonly #onEnd: (error: RpcError) => void;
  #number = 0;
  /** Fires at the earliest deadline or before: one for all, since nearly all are answered long before theirs. */
  #alarm: { readonly timer: NodeJS.Timeout; readonly at: number } | undefined;
  /** Of those pending: they wait for a change, not for work. */
  #waits = 0;
  #ended = false;

  /**
   * @param ready resolves when the channel is connected: before that nothing counts as sent, and a shard that starts
   * again costs a wait and no request
   */
  constructor(call: TransactCall, ready: Promise<void>, onEnd: (error: RpcError) => void) {
    this.#call = call;
    this.#onEnd = onEnd;
    this.#gatherer = makeGatherer<TransactRequest, TransactRequests>({
      held: true,
      sink: call,
      message: (requests) => ({ requests, cancelled: [] }),
      seal: (request) => this.#seal(request),
    });
    call.on('data', ({ responses }: TransactResponses) => this.#take(responses));
    call.on('error', (error) => this.end(rpcError(error, true)));
    call.on('end', () => this.end(new RpcError('unavailable', 'the shard ended the stream')));
    ready.then(
      () => this.#gatherer.release(),
      (error) => this.end(rpcError(error, false)),
    );
  }

  get waitingCount(): number {
    return this.#pending.size;
  }

  transact(ask: TransactAsk, deadlineMs: number, signal?: AbortSignal): Promise<TransactResponse> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const bytes = requestBytes(ask);
    const waits = isWaiting(ask);
    const room = waits ? rpcStatusWaitsMax - this.#waits : rpcRequestsWaitingMax - (this.#pending.size - this.#waits);
    if (room <= 0) throw overloaded('requests waiting for the shard');
    if (this.#gatherer.waitingBytes + bytes > rpcBytesWaitingMax) throw overloaded('octets waiting for the shard');
    this.#number += 1;
    const number = this.#number;
    return new Promise((resolve, reject) => {
      const deadlineAt = performance.now() + deadlineMs;
      const onAbort = () => this.#giveUp(number, signal?.reason);
      signal?.addEventListener('abort', onAbort);
      if (waits) this.#waits += 1;
      const leave = () => {
        signal?.removeEventListener('abort', onAbort);
        if (waits) this.#waits -= 1;
      };
      this.#pending.set(number, { resolve, reject, leave, deadlineAt, sent: false });
      this.#setAlarm(deadlineAt);
      this.#gatherer.add({ entry: { ...ask, number, deadlineMs: 0 }, bytes });
    });
  }

  /** Ends this life; everything that waits fails, and says whether it may have been executed. */
  end(error: RpcError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#gatherer.stop();
    this.#call.cancel();
    clearTimeout(this.#alarm?.timer);
    for (const { reject, leave, sent } of this.#pending.values()) {
      leave();
      reject(new RpcError(error.code, error.message, { sent, cause: error.cause }));
    }
    this.#pending.clear();
    this.#onEnd(error);
  }

  /** Nothing is sent for whom nobody waits any more; the time left is counted at the last moment. */
  #seal(request: TransactRequest): TransactRequest | null {
    const pending = this.#pending.get(request.number);
    if (pending === undefined) return null;
    pending.sent = true;
    request.deadlineMs = Math.max(1, Math.floor(pending.deadlineAt - performance.now()));
    return request;
  }

  #take(responses: readonly TransactResponse[]): void {
    for (const response of responses) {
      const pending = this.#pending.get(response.number);
      if (pending === undefined) continue; // came too late
      this.#pending.delete(response.number);
      pending.leave();
      pending.resolve(response);
    }
  }

  /** The caller has gone: the shard need not go on, and nothing else will tell it on a stream that stays. */
  #giveUp(number: number, reason: unknown): void {
    const pending = this.#pending.get(number);
    if (pending === undefined) return;
    this.#pending.delete(number);
    pending.leave();
    if (pending.sent) {
      this.#call.write({ requests: [], cancelled: [number] });
    }
    pending.reject(reason);
  }

  #setAlarm(at: number): void {
    if (this.#alarm !== undefined && this.#alarm.at <= at) return;
    clearTimeout(this.#alarm?.timer);
    const leftMs = Math.max(1, Math.ceil(at - performance.now()));
    this.#alarm = { at, timer: setTimeout(() => this.#expireDue(), leftMs) };
  }

  #expireDue(): void {
    this.#alarm = undefined;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [number, pending] of this.#pending) {
      if (pending.deadlineAt <= now) this.#expire(number, pending);
      else next = Math.min(next, pending.deadlineAt);
    }
    if (this.#pending.size > 0) this.#setAlarm(next);
  }

  #expire(number: number, pending: Pending): void {
    this.#pending.delete(number);
    pending.leave();
    pending.reject(new RpcError('deadline', 'the shard did not answer in time', { sent: pending.sent }));
  }
}

function overloaded(resource: string): RpcError {
  return new RpcError('overloaded', `too many: ${resource}`, { resource });
}

/** Parts of a server stream; ends the call when the loop is left or the signal fires. */
async function* partsOf<Part>(
  call: AsyncIterable<Part> & { cancel(): void; on(event: 'error', listener: (error: Error) => void): unknown },
  signal: AbortSignal | undefined,
): AsyncGenerator<Part> {
  // the loop throws what went wrong; a cancelled call says so once more when nobody listens
  call.on('error', () => {});
  const cancel = (): void => call.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    yield* call;
  } catch (error) {
    throw rpcError(error, true);
  } finally {
    signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}

/** Opens a connection; it is made at the first call. */
export function connectShard(options: ShardConnectionOptions): ShardConnection {
  const { credentials, options: channelOptions } = channelSetting(options.identity, 'shard');
  const client = new ShardClient(options.address, credentials, channelOptions);
  let stream: TransactStream | undefined;
  let closed = false;

  const connected = (): Promise<void> =>
    new Promise((resolve, reject) => {
      client.waitForReady(Date.now() + channelReadyMsMax, (error) => (error ? reject(error) : resolve()));
    });
  const current = (): TransactStream => {
    if (closed) throw new RpcError('closed', 'the connection was closed');
    if (stream !== undefined) return stream;
    const waiting = new Metadata({ waitForReady: true });
    const opened = new TransactStream(client.transact(waiting), connected(), (error) => {
      if (stream === opened) stream = undefined;
      if (!closed) options.onError?.(error);
    });
    stream = opened;
    return opened;
  };
  return {
    address: options.address,
    transact: async (ask, deadlineMs, signal) => current().transact(ask, deadlineMs, signal),
    download: (request, signal) =>
      partsOf(client.download(request, { deadline: Date.now() + request.deadlineMs }), signal),
    watchMap: (versionKnown, signal) => partsOf(client.watchMap({ versionKnown }), signal),
    get waitingCount() {
      return stream?.waitingCount ?? 0;
    },
    close: () => {
      closed = true;
      stream?.end(new RpcError('closed', 'the connection was closed'));
      client.close();
    },
  };
}
