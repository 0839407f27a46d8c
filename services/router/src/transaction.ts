/** What a transaction's file gets and gives: the one shape of all files in `transactions/`. */
import type { HostIdentity } from '@meshd/binding/host-files';
import type { Authentication } from '@meshd/binding/request-authenticate';
import type { ReceivedRequest } from '@meshd/binding/request-open';
import type { Feature } from '@meshd/schema/features';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import type { Peers } from './peers.js';
import type { Reply } from './reply.js';
import type { RequesterLimits } from './requester-limits.js';
import type { ShardRouter } from './shard-router.js';
import type { TicketDesk } from './ticket-desk.js';

/** What a transaction may use. No HTTP, no SQL. */
export interface TransactionContext {
  readonly authentication: Authentication;
  /** The request as it came: the shard verifies some signatures itself. */
  readonly received: ReceivedRequest;
  /** Domain the request was sent to. */
  readonly domain: string;
  /** All domains served, canonical. */
  readonly domains: ReadonlySet<string>;
  readonly host: HostIdentity;
  readonly shards: ShardRouter;
  /** Judges hosts of other services. */
  readonly peers: Pick<Peers, 'hostOf' | 'describe' | 'spoke'>;
  readonly limits: Pick<RequesterLimits, 'checkService' | 'checkAccount'>;
  /** Seals and opens page keys. */
  readonly pages: Pick<TicketDesk, 'sealPage' | 'openPage'>;
  /** By then the answer must have begun, milliseconds since 1970. */
  readonly deadlineMs: number;
  /** The requester asks for a ticket: the shard is to say who it is. */
  readonly describePrincipal: boolean;
  /** Whether the requester named a word: nothing else is told it (schema 13). */
  understands(word: Feature): boolean;
  /** Fires when the requester has gone or the router stops. Costs something: for what takes long. */
  readonly gone: () => AbortSignal;
}

/** One transaction: refusals are thrown as MeshError. */
export type TransactionHandler<T extends Transaction> = (
  message: RequestOf<T>,
  context: TransactionContext,
) => Promise<Reply<T>>;

/** All of them. */
export type TransactionHandlers = { readonly [T in Transaction]: TransactionHandler<T> };
