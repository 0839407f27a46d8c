import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { messageBytesMax, postDeliveriesMax, postMessagesMax, uploadManifestsMax } from '@meshd/limits/limits';
import { canonicalAddress } from '@meshd/schema/address';
import { type ErrorCode, MeshError } from '@meshd/schema/status';
import { authorise, type Principal } from '../authorise.js';
import type { RequestIdentity, ShardContext } from '../context.js';
import { type VerifiedMessage, verifyMessage } from '../message/verify-message.js';
import { type OpenedMessage, Outgoing } from '../outbox/outgoing.js';
import type { OutboxInsert } from '../storage/outbox-store.js';
import { answerOf, devicePrincipal, findAnswer } from '../stored-answer.js';
import { type EntryFault, isFault } from '../upload/fault.js';
import { openFrame } from '../upload/frame.js';
import { Refused, UploadWork } from '../upload/work.js';
import { type DataConstraints, faultsOfSelf, type OpenedEntry } from './upload.js';

/** A Post of a device of the account. */
export interface PostRequest {
  readonly principal: Principal;
  readonly identity: RequestIdentity;
  /** Recipients. */
  readonly accounts: readonly string[];
  readonly messages: readonly EnvelopeOctets[];
  /** Messages for the account's own inbound spool. */
  readonly self: readonly EnvelopeOctets[];
}

/** What became of one message for one recipient, or of one Self entry. */
export interface PostEntry {
  /** Number of the message; Self entries are numbered on. */
  readonly indexRequest: number;
  /** Empty for a Self entry. */
  readonly account: string;
  /** Why it was rejected; undefined: it was taken. */
  readonly code?: ErrorCode | undefined;
  readonly indexContainer?: number | undefined;
  readonly constraints?: DataConstraints | undefined;
}

/** `201`: taken, each entry for itself. `300`: nothing was stored, bodies are awaited. */
export interface PostAnswered {
  readonly status: 201 | 300;
  readonly entries: readonly PostEntry[];
  readonly constraints?: DataConstraints | undefined;
}

/** A Self entry is at fault: nothing was done. */
export interface PostRefused {
  readonly faults: readonly EntryFault[];
}

export type PostResult = PostAnswered | PostRefused;

interface OpenedPost {
  readonly accounts: readonly string[];
  readonly messages: readonly OpenedMessage[];
  readonly self: readonly OpenedEntry[];
}

/**
 * Post of a device (semantics 6.7, 8.1): files each message in `mmm_Outbound` and queues it for each recipient, in one
 * database transaction; Self entries go to `mmm_Inbound` in the same. Each message stands for itself and is answered for
 * each recipient; Self entries are all taken or none, and then nothing of the request is.
 *
 * Signatures are verified before the account is held, and only for a device that may ask at all.
 *
 * @throws MeshError for what concerns the request as a whole: `too-large`, `malformed`, `rate-limited`, and what
 *   {@link authorise} throws.
 */
export async function post(context: ShardContext, request: PostRequest): Promise<PostResult> {
  const { principal, identity, messages } = request;
  const accounts = recipientsOf(request);
  const self = request.self.map((octets, at) => openFrame(octets, messages.length + at));
  const writing = { principal: devicePrincipal(principal.account, principal.key), identity };
  const answered = await context.store.readAccount(principal.account, async (reader) => {
    const found = await findAnswer<PostAnswered>(reader, writing);
    if (found === undefined) await authorise(principal, reader.state);
    return found;
  });
  if (answered !== undefined) return answered;
  const opened = { accounts, messages: await Promise.all(messages.map((octets) => opening(context, octets))), self };
  if (isOffer(opened)) return offer(context, request, opened);
  return refusedOr(() =>
    context.store.transactAccount(principal.account, async (transactor) => {
      const found = await findAnswer<PostAnswered>(transactor, writing);
      if (found !== undefined) return found;
      const caller = await authorise(principal, transactor.state);
      const nowMs = context.clock();
      const work = new UploadWork({ reader: transactor, caller, nowMs, probe: false });
      await addSelf(work, self);
      const outgoing = new Outgoing({ reader: transactor, caller, nowMs, site: context.site, room: work.room });
      const entries = [...(await addMessages(outgoing, opened)), ...selfEntries(work)];
      charge(context, principal.account, outgoing.count, nowMs);
      const result: PostAnswered = { status: 201, entries };
      if (entries.every(({ code }) => code !== undefined)) return result;
      const { container, outbox } = outgoing.write();
      const write = work.write();
      const containers = [...(write.containers ?? []), ...(container === undefined ? [] : [container])];
      await transactor.commit({ ...write, containers, outbox, seen: answerOf(writing, result) });
      wake(context, outbox);
      return result;
    }),
  );
}

/** Recipients, each once; bounds first, so that nothing is verified of a request that is too large. */
function recipientsOf({ accounts, messages, self }: PostRequest): readonly string[] {
  if (messages.length > postMessagesMax) throw new MeshError('too-large', `at most ${postMessagesMax} messages`);
  if (self.length > uploadManifestsMax) throw new MeshError('too-large', `at most ${uploadManifestsMax} Self entries`);
  if (messages.length * accounts.length > postDeliveriesMax) {
    throw new MeshError('too-large', `at most ${postDeliveriesMax} messages times accounts`);
  }
  if (messages.length > 0 && accounts.length === 0) throw new MeshError('malformed', 'messages without Accounts');
  if (messages.length + self.length === 0) throw new MeshError('malformed', 'nothing to post');
  const addresses = accounts.map((account) => canonicalAddress(account));
  if (new Set(addresses).size < addresses.length) throw new MeshError('malformed', 'an account is named twice');
  return addresses;
}

/** What is too large concerns the whole request; all else that is wrong with a message is answered for it. */
async function opening(context: ShardContext, octets: EnvelopeOctets): Promise<OpenedMessage> {
  try {
    return await verifyMessage(octets, { nowMs: context.clock() });
  } catch (error) {
    if (error instanceof MeshError && error.code !== 'too-large') return { code: error.code };
    throw error;
  }
}

function isOffer({ messages, self }: OpenedPost): boolean {
  const isOffered = (message: OpenedMessage) => 'frame' in message && (message as VerifiedMessage).isOffer;
  return messages.some(isOffered) || self.some((entry) => !isFault(entry) && entry.redacted);
}

async function refusedOr(work: () => Promise<PostAnswered>): Promise<PostResult> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refused) return { faults: error.faults };
    throw error;
  }
}

async function addSelf(work: UploadWork, self: readonly OpenedEntry[]): Promise<void> {
  const faults = await faultsOfSelf(work, self);
  if (faults.length > 0) throw new Refused(faults);
}

async function addMessages(outgoing: Outgoing, { messages, accounts }: OpenedPost): Promise<PostEntry[]> {
  const answers = await outgoing.add(messages, accounts);
  return answers.flatMap((own, indexRequest) => own.map((answer) => ({ indexRequest, ...answer })));
}

function selfEntries({ accepted }: UploadWork): PostEntry[] {
  return accepted
    .map(({ indexRequest, indexContainer }) => ({ indexRequest, account: '', indexContainer }))
    .sort((one, other) => one.indexRequest - other.indexRequest);
}

function charge({ postRates }: ShardContext, account: string, count: number, nowMs: number): void {
  const retryAfterMs = postRates.take(account, count, nowMs);
  if (retryAfterMs === undefined) return;
  throw new MeshError('rate-limited', '', { retryAfterMs, resource: 'messages of the account' });
}

/** Offered messages: what may be sent of them. Nothing is written, and nothing is charged. */
async function offer(context: ShardContext, request: PostRequest, opened: OpenedPost): Promise<PostResult> {
  return refusedOr(() =>
    context.store.readAccount(request.principal.account, async (reader) => {
      const caller = await authorise(request.principal, reader.state);
      const nowMs = context.clock();
      const work = new UploadWork({ reader, caller, nowMs, probe: true });
      await addSelf(work, opened.self);
      const outgoing = new Outgoing({ reader, caller, nowMs, site: context.site, room: work.room });
      const taken = await addMessages(outgoing, opened);
      const constraints = { bytesMax: Math.min(messageBytesMax, outgoing.bytesLeft) };
      const entries = [...taken, ...selfEntries(work)].map(({ indexRequest, account, code }) => ({
        ...{ indexRequest, account, code },
        constraints: code === undefined ? constraints : undefined,
      }));
      return { status: 300 as const, entries, constraints };
    }),
  );
}

/** After the commit, and nobody waits for it: what gets lost the worker's sweeper finds. */
function wake({ destinations, wakeUps }: ShardContext, rows: readonly OutboxInsert[]): void {
  const lanes = new Map(rows.map(({ domain, lane }) => [`${domain}/${lane}`, { domain, lane }]));
  for (const lane of lanes.values()) {
    destinations.stateOf(lane.domain).then(
      ({ held, nextAttemptMs }) => (held ? undefined : wakeUps.wake([{ ...lane, dueMs: nextAttemptMs }])),
      () => {},
    );
  }
}
