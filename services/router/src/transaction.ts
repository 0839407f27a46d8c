/** What a transaction's file gets and gives: the one shape of all files in `transactions/`. */
import type { HostIdentity } from '@meshd/binding/host-files';
import type { Authentication } from '@meshd/binding/request-authenticate';
import type { ReceivedRequest } from '@meshd/binding/request-open';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import type { Reply } from './reply.js';
import type { ShardRouter } from './shard-router.js';

/** What a transaction may use. No HTTP, no SQL. */
export interface TransactionContext {
  readonly authentication: Authentication;
  /** The request as it came: the shard verifies some signatures itself. */
  readonly received: ReceivedRequest;
  /** Domain the request was sent to. */
  readonly domain: string;
  readonly host: HostIdentity;
  readonly shards: ShardRouter;
  /** By then the answer must have begun, milliseconds since 1970. */
  readonly deadlineMs: number;
}

/** One transaction: refusals are thrown as MeshError. */
export type TransactionHandler<T extends Transaction> = (
  message: RequestOf<T>,
  context: TransactionContext,
) => Promise<Reply<T>>;

/** All of them. */
export type TransactionHandlers = { readonly [T in Transaction]: TransactionHandler<T> };
