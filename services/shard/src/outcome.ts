import { randomUUID } from 'node:crypto';
import { comeBackMs } from '@meshd/limits/limits';
import type { Outcome } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import {
  type ErrorCode,
  MeshError,
  type MeshErrorOptions,
  type StatusCode,
  statusRegistry,
} from '@meshd/schema/status';
import type { Logger } from '@meshd/telemetry/logger';
import { StorageError, type StorageErrorCode } from './storage/errors.js';

/** What a request ended with: the message for the router, and the code under which it is counted. */
export interface Ended {
  readonly code: StatusCode | typeof wrongShard;
  readonly outcome: Outcome;
}

/** A shard's answer to a request for an account that another shard owns; the router repeats with a newer map. */
export const wrongShard = 'wrong-shard';

const noOutcome: Outcome = { status: 0, error: '', detail: '', retryAfterMs: 0, correlation: '', mapVersion: 0 };

/** A success. */
export function succeeded(
  code: 'success' | 'updated' | 'bodies-awaited' | 'connection-pending',
  mapVersion: number,
): Ended {
  return { code, outcome: { ...noOutcome, status: statusRegistry[code].status, mapVersion } };
}

/** A refusal for a reason that the client is told. */
export function refused(code: ErrorCode, detail: string, mapVersion: number): Ended {
  return { code, outcome: { ...noOutcome, status: statusRegistry[code].status, error: code, detail, mapVersion } };
}

/** An account of another shard. */
export function misrouted(mapVersion: number): Ended {
  return { code: wrongShard, outcome: { ...noOutcome, status: 503, error: wrongShard, mapVersion } };
}

interface StorageFault {
  readonly code: ErrorCode;
  readonly options?: MeshErrorOptions;
}

const later = (resource?: string): StorageFault => ({
  code: 'overloaded',
  options: { retryAfterMs: comeBackMs, ...(resource === undefined ? {} : { resource }) },
});

/** What clients are told of the storage's faults. */
const storageFaults: Readonly<Record<StorageErrorCode, (error: StorageError) => StorageFault>> = {
  overloaded: ({ resource }) => later(resource),
  'lease-lost': () => later('lease of the shard'),
  stale: () => later('account'),
  unavailable: () => later('database'),
  closed: () => ({ code: 'shutting-down', options: { retryAfterMs: comeBackMs } }),
  damaged: () => ({ code: 'internal' }),
  invalid: () => ({ code: 'internal' }),
};

/**
 * What went wrong, as a refusal. Causes stay here: what is not a refusal is logged under a correlation that the client
 * is told instead.
 */
export function endedBy(error: unknown, mapVersion: number, logger: Logger): Ended {
  const refusal = meshErrorOf(error);
  const { code, status, retryAfterMs = 0 } = refusal;
  const detail = [refusal.detail, refusal.resource].filter(Boolean).join(', ');
  const outcome = { ...noOutcome, status, error: code, detail, retryAfterMs, mapVersion };
  if (code !== 'internal') {
    logger.debug({ code, detail: refusal.detail }, 'refused');
    return { code, outcome };
  }
  const correlation = randomUUID();
  logger.error({ err: error, correlation }, 'request failed');
  return { code, outcome: { ...outcome, detail: '', correlation } };
}

function meshErrorOf(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  if (!(error instanceof StorageError)) return new MeshError('internal', '', { cause: error });
  const { code, options } = storageFaults[error.code](error);
  return new MeshError(code, '', { ...options, cause: error });
}
