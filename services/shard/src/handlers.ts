import { setTimeout as pause } from 'node:timers/promises';
import { strangerRefusalMsMin } from '@meshd/limits/limits';
import type { Role } from '@meshd/rpc/credentials';
import type {
  DownloadPart,
  DownloadRequest,
  Principal,
  TransactRequest,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { CallContext, PartSink, ShardHandlers, TransactAnswer } from '@meshd/rpc/shard-server';
import { type ErrorCode, MeshError } from '@meshd/schema/status';
import type { Logger } from '@meshd/telemetry/logger';
import { accountOfConnection, answerConnection } from './connection-answers.js';
import type { ShardContext } from './context.js';
import type { ShardFigures } from './figures.js';
import { answerLarge } from './large-answers.js';
import { noteRouterIncident } from './message/router-incident.js';
import { answerDeliver, recipientsOf } from './message-answers.js';
import { answerOutbox, refusedPost, rpcPostResult } from './outbox-answers.js';
import { type Ended, endedBy, misrouted, refused, succeeded } from './outcome.js';
import { leasePeers, lookupPeer, settlePeer } from './peer-pins.js';
import { answerPublications } from './publication-answers.js';
import {
  acceptedEntries,
  downloadRequestOf,
  envelopeOctets,
  optionalEnvelope,
  postRequestOf,
  principalOf,
  probedEntries,
  refusedEntries,
  required,
  rpcDownloadPart,
  rpcStatusResult,
  statusRequestOf,
  uploadRequestOf,
} from './rpc-messages.js';
import { StorageError } from './storage/errors.js';
import type { PeerStore } from './storage/peers.js';
import { changeQuota, reportAccount } from './transactions/account-report.js';
import { authenticate, type PrincipalDescription } from './transactions/authenticate.js';
import { changeAccount } from './transactions/change-account.js';
import { createAccount } from './transactions/create-account.js';
import { deleteAccount } from './transactions/delete-account.js';
import { download } from './transactions/download.js';
import { post } from './transactions/post.js';
import { status } from './transactions/status.js';
import { upload } from './transactions/upload.js';
import { codeOfFaults } from './upload/fault.js';
import { withDeadline } from './with-deadline.js';

/** Which accounts are this shard's. */
export interface Ownership {
  /** Version of the slot map it is known by. */
  readonly version: number;
  /** Whether the account of this canonical address is this shard's. */
  owns(address: string): boolean;
}

/** What the handlers need. */
export interface HandlerOptions {
  readonly context: ShardContext;
  readonly ownership: Ownership;
  /** Other services, in the directory. */
  readonly peers: PeerStore;
  readonly figures: ShardFigures;
  readonly logger: Logger;
}

type Transaction = NonNullable<TransactRequest['transaction']>;
type TransactionName = Transaction['$case'] | 'download' | 'unknown';

/** An answer, and what it is counted as. */
interface Answer {
  readonly ended: Ended;
  readonly result: TransactAnswer['result'];
  readonly principal?: PrincipalDescription;
}

/**
 * What the shard does with the requests of routers: looks whether the account is its own, does the work under the
 * request's deadline, turns results and errors into answers, and counts them.
 */
export class Handlers implements Pick<ShardHandlers, 'transact' | 'download'> {
  readonly #options: HandlerOptions;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  async transact(request: TransactRequest, call: CallContext): Promise<TransactAnswer> {
    const { transaction } = request;
    const begunAt = performance.now();
    if (transaction === undefined) {
      return this.#counted('unknown', () => this.#failed(unknownTransaction(), begunAt));
    }
    return this.#counted(transaction.$case, () => this.#work(transaction, request, call, begunAt));
  }

  async download(request: DownloadRequest, sink: PartSink<DownloadPart>): Promise<void> {
    await this.#counted('download', () => this.#download(request, sink));
  }

  /** Sends the outcome as the first part, then the rest; a failure after a success can only break the stream. */
  async #download(request: DownloadRequest, sink: PartSink<DownloadPart>): Promise<Answer> {
    const { context, ownership } = this.#options;
    const begunAt = performance.now();
    const start = async () => {
      if (sink.role !== 'router') throw new MeshError('policy', 'only routers ask for downloads');
      const asked = downloadRequestOf(request);
      if (!ownership.owns(asked.principal.account)) return this.#misrouted();
      const parts = download(withDeadline(context, sink.deadlineAt), asked);
      return { parts, first: await parts.next() };
    };
    const started = await start().catch((error) => this.#failed(error, begunAt));
    const { ended } = 'ended' in started ? started : { ended: succeeded('success', ownership.version) };
    await sink.send({ part: { $case: 'outcome', value: ended.outcome } });
    if ('ended' in started) return started;
    const { parts, first } = started;
    try {
      for (let part = first; !part.done; part = await parts.next()) await sink.send(rpcDownloadPart(part.value));
    } finally {
      // A reader that leaves early must not leave the storage's reading open.
      await parts.return(undefined);
    }
    return { ended, result: undefined };
  }

  async #work(transaction: Transaction, request: TransactRequest, call: CallContext, begunAt: number): Promise<Answer> {
    const { context: unhurried } = this.#options;
    // What waits for a change is not late (S83).
    const context = isWaiting(transaction) ? unhurried : withDeadline(unhurried, call.deadlineAt);
    const work = () => this.#described(context, transaction, request, call);
    try {
      requireRole(transaction, call);
      const account = accountOf(transaction);
      if (account !== undefined && !this.#options.ownership.owns(account)) return this.#misrouted();
      return await work();
    } catch (error) {
      // The state in memory was not that of the database, and was dropped: with the fresh one the request may succeed.
      if (error instanceof StorageError && error.code === 'stale')
        return work().catch((again) => this.#failed(again, begunAt));
      return this.#failed(error, begunAt);
    }
  }

  /** The answer, and who asked where a ticket is to be made. That is judged when the work is done: it may list the device. */
  async #described(
    context: ShardContext,
    transaction: Transaction,
    request: TransactRequest,
    call: CallContext,
  ): Promise<Answer> {
    const answer = await this.#answer(context, transaction, request, call);
    const principal = request.describePrincipal ? userOf(transaction) : undefined;
    if (principal === undefined || answer.ended.outcome.error !== '') return answer;
    // The work is done: who cannot be described gets its answer, and no ticket.
    const described = await authenticate(context, principalOf(principal)).catch(() => undefined);
    return described === undefined ? answer : { ...answer, principal: described };
  }

  async #answer(
    context: ShardContext,
    transaction: Transaction,
    request: TransactRequest,
    call: CallContext,
  ): Promise<Answer> {
    const { ownership } = this.#options;
    const done = succeeded('success', ownership.version);
    switch (transaction.$case) {
      case 'createAccount': {
        const { account, request: envelope } = transaction.value;
        const made = await createAccount(context, account, envelopeOctets(required(envelope, 'request')));
        const ended = made.status === 202 ? succeeded('updated', ownership.version) : done;
        return { ended, result: { $case: 'createAccount', value: { reason: '', url: '' } } };
      }
      case 'deleteAccount': {
        const { account, request: envelope } = transaction.value;
        await deleteAccount(context, account, envelopeOctets(required(envelope, 'request')));
        return { ended: done, result: { $case: 'deleteAccount', value: {} } };
      }
      case 'status': {
        const asked = statusRequestOf(transaction.value);
        const told = await status(context, asked, isWaiting(transaction) ? call.signal : undefined);
        return { ended: done, result: { $case: 'status', value: rpcStatusResult(told) } };
      }
      case 'changeAccount': {
        const changed = await changeAccount(context, transaction.value.account, transaction.value.action);
        return { ended: done, result: { $case: 'changeAccount', value: { changed } } };
      }
      case 'reportAccount': {
        const { away, createdAtMs, ...report } = await reportAccount(context, transaction.value.account);
        const value = { ...report, awayTo: away?.to ?? '', createdMs: createdAtMs, containers: [...report.containers] };
        return { ended: done, result: { $case: 'reportAccount', value } };
      }
      case 'changeQuota': {
        const value = await changeQuota(context, transaction.value.account, transaction.value);
        return { ended: done, result: { $case: 'changeQuota', value } };
      }
      case 'upload':
        return this.#upload(context, transaction.value, request);
      case 'authenticate':
        await authenticate(context, principalOf(transaction.value.principal));
        return { ended: done, result: undefined };
      case 'connect':
      case 'complete':
        return answerConnection(context, transaction, request, ownership.version);
      case 'describeService':
        return { ended: done, result: { $case: 'describeService', value: { registration: context.registration } } };
      case 'post':
        return this.#post(context, transaction.value, request);
      case 'deliver': {
        if (!recipientsOf(transaction.value).every((account) => ownership.owns(account))) return this.#misrouted();
        const caller = { isRouter: call.role === 'router', identity: request.identity };
        const value = await answerDeliver(context, transaction.value, caller);
        for (const { result } of value.results) this.#options.figures.delivered.inc({ result });
        return { ended: done, result: { $case: 'deliver', value } };
      }
      case 'lookupPeer': {
        const value = await lookupPeer(this.#options.peers, transaction.value, context.clock());
        return { ended: done, result: { $case: 'lookupPeer', value } };
      }
      case 'leasePeers': {
        const value = await leasePeers(this.#options.peers, transaction.value, context.clock());
        return { ended: done, result: { $case: 'leasePeers', value } };
      }
      case 'noteIncident':
        noteRouterIncident(context, transaction.value);
        return { ended: done, result: undefined };
      case 'settlePeer':
        return this.#settlePeer(transaction.value, context);
      default: {
        const answered =
          (await answerOutbox(context, transaction)) ??
          (await answerLarge(context, transaction)) ??
          (await answerPublications(context, transaction));
        if (answered !== undefined) return { ended: done, ...answered };
        throw new MeshError('not-implemented', transaction.$case);
      }
    }
  }

  async #post(
    context: ShardContext,
    asked: Extract<Transaction, { $case: 'post' }>['value'],
    request: TransactRequest,
  ): Promise<Answer> {
    const { figures, ownership } = this.#options;
    const posted = await post(context, postRequestOf(asked, request.identity));
    if ('faults' in posted) {
      const ended = refused(codeOfFaults(posted.faults), posted.faults[0]?.detail ?? '', ownership.version);
      return { ended, result: { $case: 'post', value: refusedPost(posted.faults) } };
    }
    for (const { code = 'accepted' } of posted.entries) figures.posted.inc({ code });
    const result = { $case: 'post', value: rpcPostResult(posted) } as const;
    if (posted.entries.every(({ code }) => code !== undefined)) {
      return { ended: refused('policy', '', ownership.version), result };
    }
    return { ended: succeeded(posted.status === 300 ? 'bodies-awaited' : 'success', ownership.version), result };
  }

  async #settlePeer(
    asked: Extract<Transaction, { $case: 'settlePeer' }>['value'],
    { clock }: ShardContext,
  ): Promise<Answer> {
    const failure = await settlePeer(this.#options.peers, asked, clock);
    if (failure !== '') this.#options.logger.warn({ domain: asked.domain, failure }, 'another service is not pinned');
    return { ended: succeeded('success', this.#options.ownership.version), result: undefined };
  }

  async #upload(
    context: ShardContext,
    asked: Extract<Transaction, { $case: 'upload' }>['value'],
    request: TransactRequest,
  ): Promise<Answer> {
    const { figures, ownership } = this.#options;
    const result = await upload(context, uploadRequestOf(asked, request.identity));
    if ('faults' in result) {
      for (const fault of result.faults) figures.entryFaults.inc({ code: fault.code });
      const ended = refused(codeOfFaults(result.faults), result.faults[0]?.detail ?? '', ownership.version);
      return { ended, result: { $case: 'upload', value: { entries: refusedEntries(result.faults) } } };
    }
    const heads = optionalEnvelope(result.heads);
    if ('entries' in result) {
      const value = { entries: probedEntries(result.entries), constraints: result.constraints, heads };
      return { ended: succeeded('bodies-awaited', ownership.version), result: { $case: 'upload', value } };
    }
    const entries = acceptedEntries(result.accepted);
    figures.framesStored.inc(entries.length);
    return { ended: succeeded('success', ownership.version), result: { $case: 'upload', value: { entries, heads } } };
  }

  async #failed(error: unknown, begunAt: number): Promise<Answer> {
    const ended = endedBy(error, this.#options.ownership.version, this.#options.logger);
    // Accounts in memory, accounts that must be read, and names that are none are found out in different times.
    const waitMs = begunAt + strangerRefusalMsMin - performance.now();
    if (saysWhoExists.has(ended.code) && waitMs > 0) await pause(Math.ceil(waitMs));
    return { ended, result: undefined };
  }

  #misrouted(): Answer {
    return { ended: misrouted(this.#options.ownership.version), result: undefined };
  }

  async #counted(transaction: TransactionName, work: () => Promise<Answer>): Promise<TransactAnswer> {
    const { figures } = this.#options;
    const stop = figures.seconds.startTimer({ transaction });
    const { ended, result, principal } = await work();
    stop();
    figures.requests.inc({ transaction, code: ended.code });
    return { outcome: ended.outcome, result, principal };
  }
}

/** Refusals whose time would say which accounts exist (S84). */
const saysWhoExists: ReadonlySet<string> = new Set(['not-authenticated', 'account-unknown']);

/** Who may ask what (S91): only routers authenticate people; outbound workers take from the outbox; operators decide. */
const rolesOf: Partial<Record<Transaction['$case'], readonly Role[]>> = {
  ...{ createAccount: ['router'], deleteAccount: ['router'], status: ['router'], upload: ['router'] },
  ...{ authenticate: ['router'], post: ['router'], describeDeliveries: ['router'] },
  ...{ storeLarge: ['router'], fetchLarge: ['router'] },
  ...{ connect: ['router'], complete: ['router'] },
  ...{ deliver: ['router', 'outbound'], lookupPeer: ['router', 'outbound'], peerSpoke: ['router'] },
  ...{ leaseOutbox: ['outbound'], settleOutbox: ['outbound'], listWork: ['outbound'] },
  ...{ leasePeers: ['outbound'], settlePeer: ['outbound'] },
  ...{ leasePublications: ['outbound'], settlePublications: ['outbound'], putPublication: ['outbound'] },
  ...{ fetchPublication: ['router'], noteIncident: ['router'] },
  ...{ listDestinations: ['operator'], changeDestination: ['operator'], listWaiting: ['operator'] },
  ...{ changeAccount: ['operator'], reportAccount: ['operator'], changeQuota: ['operator'] },
};

/** Nothing is asked of who may ask `describeService`. */
function requireRole(transaction: Transaction, { role }: CallContext): void {
  const roles = rolesOf[transaction.$case];
  if (roles?.includes(role) === false) {
    throw new MeshError('policy', `only ${roles.join(' or ')} asks for ${transaction.$case}`);
  }
}

function unknownTransaction(): MeshError {
  const code: ErrorCode = 'unknown-transaction';
  return new MeshError(code, 'the shard is older than the router');
}

/** A Status that waits for a change. */
function isWaiting(transaction: Transaction): boolean {
  return transaction.$case === 'status' && (transaction.value.waitMs ?? 0) > 0;
}

/** Who asks, of the transactions that a ticket can be asked with. */
function userOf(transaction: Transaction): Principal | undefined {
  return 'principal' in transaction.value ? transaction.value.principal : undefined;
}

/** The account that decides which shard is asked; undefined where every shard will do. */
function accountOf(transaction: Transaction): string | undefined {
  switch (transaction.$case) {
    case 'createAccount':
    case 'deleteAccount':
    case 'fetchLarge':
    case 'changeAccount':
    case 'reportAccount':
    case 'changeQuota':
      return transaction.value.account;
    case 'status':
    case 'upload':
    case 'authenticate':
    case 'post':
    case 'describeDeliveries':
    case 'storeLarge':
      return required(transaction.value.principal, 'principal').account;
    case 'connect':
    case 'complete':
      return accountOfConnection(transaction);
    // An identifier has a slot as an account has.
    case 'putPublication':
      return required(transaction.value.publication, 'publication').identifier;
    case 'fetchPublication':
      return transaction.value.identifier;
    default:
      return undefined;
  }
}
