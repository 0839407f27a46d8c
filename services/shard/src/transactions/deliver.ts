import { nonceUdf } from '@meshd/crypto/udf';
import { isEncrypted } from '@meshd/dare/decrypt';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { decodeTagged } from '@meshd/encoding/codec';
import { parseAddress } from '@meshd/schema/address';
import { inboundSpool, outboundSpool } from '@meshd/schema/container-name';
import { messageRegistry } from '@meshd/schema/messages-mesh';
import { type ErrorCode, MeshError } from '@meshd/schema/status';
import type { RequestIdentity, ShardContext } from '../context.js';
import { type Decision, decide, type Refusal } from '../message/access-control.js';
import { messageIdentity } from '../message/identity.js';
import type { MessageIncident } from '../message/incident-tally.js';
import { offerName } from '../message/offers.js';
import { makeReceipt } from '../message/receipt.js';
import { type VerifiedMessage, verifyMessage } from '../message/verify-message.js';
import { incidentRecord } from '../service-records.js';
import type { MessageSeen } from '../storage/message-rows.js';
import type { AccountReader, AccountState, AccountTransactor, AccountWrite, ContainerState } from '../storage/store.js';
import { answerOf, findAnswer, type WritingRequest } from '../stored-answer.js';
import { appendOf } from '../upload/append-of.js';
import { placeMessage } from '../upload/self-entry.js';
import { viewOf } from '../upload/view.js';

/** Messages for recipients of this shard. */
export interface DeliverRequest {
  /** Domain that every sender must have: the transmitting service was found to be its own (S70). */
  readonly senderDomain: string;
  /** UDF of the peer's ProfileHost; empty for our own outbound worker. */
  readonly hostUdf: string;
  readonly identity: RequestIdentity | undefined;
  readonly messages: readonly AddressedMessage[];
  /** The peer takes receipts. */
  readonly receipts: boolean;
}

/** A message, and for whom of this shard it is. */
export interface AddressedMessage {
  readonly indexRequest: number;
  readonly octets: EnvelopeOctets;
  /** Canonical addresses. */
  readonly recipients: readonly string[];
}

/** What becomes of a message at one recipient. */
export interface DeliveryResult {
  readonly indexRequest: number;
  readonly account: string;
  readonly result: 'Accept' | 'Reject';
  /** Why it was refused: for our own senders and the log, never for another service (S80). */
  readonly code: ErrorCode | undefined;
  readonly receipt: EnvelopeOctets | undefined;
  /** The message was offered and its body may be sent. */
  readonly isOffer: boolean;
}

interface OpenedMessage {
  readonly indexRequest: number;
  readonly recipients: readonly string[];
  readonly message: VerifiedMessage | MeshError;
}

/**
 * Delivers messages into inbound spools (semantics 6.7, 8.3; S71–S73, S80–S82). Each recipient is a transaction of its own:
 * what becomes of a message at one is no business of the others.
 *
 * For a name that nobody has as much is looked up and written as for one that somebody has, so that neither content nor work
 * tell the two apart (S80).
 *
 * @returns one result a message and recipient, in the order of the request.
 * @throws MeshError `request-id-reused`
 */
export async function deliver(context: ShardContext, request: DeliverRequest): Promise<DeliveryResult[]> {
  const nowMs = context.clock();
  const opened = await Promise.all(
    request.messages.map(async ({ indexRequest, octets, recipients }): Promise<OpenedMessage> => {
      const message = await judgeMessage(octets, request.senderDomain, nowMs);
      if (message instanceof MeshError) noteUnproved(context, request, recipients, message);
      return { indexRequest, recipients, message };
    }),
  );
  const results: DeliveryResult[] = [];
  for (const { indexRequest, recipients, message } of opened) {
    const each = recipients.map((account) => deliverOne(context, request, { indexRequest, account, message }));
    results.push(...(await Promise.all(each)));
  }
  return results;
}

/** What is wrong with the message whoever it is for, or the message. */
async function judgeMessage(
  octets: EnvelopeOctets,
  senderDomain: string,
  nowMs: number,
): Promise<VerifiedMessage | MeshError> {
  try {
    const message = await verifyMessage(octets, { nowMs });
    if (parseAddress(message.sender).domain !== senderDomain) {
      throw new MeshError('manifest', 'the sender is of another domain than the service that brings it');
    }
    return message;
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
}

/** Which refusals say that a message is not what it claims to be. */
const unproved: ReadonlySet<ErrorCode> = new Set(['manifest', 'object-signature', 'payload-digest']);

function noteUnproved(
  { incidents, clock }: ShardContext,
  { senderDomain, hostUdf }: DeliverRequest,
  recipients: readonly string[],
  { code, detail }: MeshError,
): void {
  // Our own shard has judged what our own worker brings.
  if (hostUdf === '' || !unproved.has(code)) return;
  incidents.note({ kind: 'message-unproved', senderDomain, account: recipients[0] ?? '', detail }, clock());
}

interface OneDelivery {
  readonly indexRequest: number;
  readonly account: string;
  readonly message: VerifiedMessage | MeshError;
}

async function deliverOne(
  context: ShardContext,
  request: DeliverRequest,
  { indexRequest, account, message }: OneDelivery,
): Promise<DeliveryResult> {
  const done = { indexRequest, account, code: undefined, receipt: undefined, isOffer: false };
  if (message instanceof MeshError) return { ...done, result: 'Reject', code: message.code };
  const { isOffer } = message;
  const refused = (code: ErrorCode): DeliveryResult => ({ ...done, isOffer, result: 'Reject', code });
  if (!message.recipients.includes(account)) return refused('manifest');
  if (!context.domains.has(parseAddress(account).domain)) return refused('domain-not-served');
  // Whether somebody is here, or was here lately, must not show in what is read for him (S80).
  await context.store.approachAccount(account);
  const taken = await context.store.transactAccount(account, (transactor) =>
    takeMessage(context, request, transactor, { indexRequest, message }),
  );
  if ('refused' in taken) return refused(taken.refused);
  if (isOffer || !request.receipts) return { ...done, isOffer, result: 'Accept' };
  const receipt = await makeReceipt(context.host(), {
    ...{ service: parseAddress(account).domain, senderService: request.senderDomain, recipient: account },
    ...{ core: message.core, receiptId: taken.receiptId, timeMs: taken.seenAtMs },
  });
  return { ...done, result: 'Accept', receipt };
}

/** When a message was taken, or why not. */
type Taken = Pick<MessageSeen, 'receiptId' | 'seenAtMs'> | { readonly refused: ErrorCode };

async function takeMessage(
  context: ShardContext,
  request: DeliverRequest,
  transactor: AccountTransactor,
  { indexRequest, message }: { readonly indexRequest: number; readonly message: VerifiedMessage },
): Promise<Taken> {
  const writing = writingOf(request, transactor.address, indexRequest);
  if (writing !== undefined) await findAnswer(transactor, writing);
  const identity = messageIdentity(message);
  const seen = await transactor.findMessageSeen(identity);
  const judged = await judge(context, request, transactor, message);
  if (seen !== undefined) return seen;
  if ('refused' in judged) return judged;
  const nowMs = context.clock();
  const domains = context.sendingDomains;
  if (message.isOffer) {
    domains.accept(request.senderDomain, offerName(transactor.address, message.core), nowMs);
    return { receiptId: '', seenAtMs: nowMs };
  }
  const taken: MessageSeen = { identity, seenAtMs: nowMs, receiptId: nonceUdf(context.random) };
  await transactor.commit({
    ...fileIn(context, transactor.state, message, judged),
    messageSeen: taken,
    ...(writing === undefined ? {} : { seen: answerOf(writing, 'Accept') }),
  });
  if (judged.countsAsRequest) domains.countRequest(request.senderDomain, nowMs);
  return taken;
}

/** A host's request at one recipient: what another request under its `ID` must not be (S27). */
function writingOf(
  { hostUdf, identity }: DeliverRequest,
  address: string,
  indexRequest: number,
): WritingRequest | undefined {
  if (hostUdf === '' || identity === undefined) return undefined;
  return { principal: `host ${hostUdf} ${address} ${indexRequest}`, identity };
}

type Accepted = Extract<Decision, { result: 'accept' | 'drop' }>;

async function judge(
  context: ShardContext,
  { senderDomain }: DeliverRequest,
  transactor: AccountTransactor,
  message: VerifiedMessage,
): Promise<Accepted | { readonly refused: ErrorCode }> {
  const { state, address } = transactor;
  const accountUdf = message.accountKey.udf;
  const rules = await transactor.contactRules({ accountUdf, address: message.sender });
  const known = await transactor.catalogKeys(state?.containers.get(inboundSpool) ?? nowhere, [message.uniqueId]);
  const nowMs = context.clock();
  const domains = context.sendingDomains;
  const isOffered = domains.wasAccepted(senderDomain, offerName(address, message.core), nowMs);
  const decision = decide(
    {
      ...{ senderDomain, messageType: message.messageType, accountUdf, rules },
      exists: state !== undefined,
      fits: state === undefined || fits(state, message),
      // Another message of that name: the spool holds each once.
      nameTaken: known.size > 0,
      answersOurs: await answersOurs(transactor, message),
      contactRequestsLeft: isOffered ? 1 : domains.requestsLeft(senderDomain, nowMs),
    },
    context.site,
  );
  if (decision.result === 'accept') return decision;
  const incident = incidentOf[decision.why];
  if (incident !== undefined) {
    const detail = `${message.messageType} from ${message.sender}`;
    context.incidents.note({ kind: incident, senderDomain, account: address, detail }, nowMs);
  }
  return decision.result === 'drop' ? decision : { refused: decision.code };
}

/** Refusals that an operator should hear of; the others are what access control is for. */
const incidentOf: Partial<Record<Refusal, MessageIncident>> = {
  'identity-changed': 'identity-changed',
  rate: 'contact-rate',
};

/** Stands for the spools of a name that nobody has: no row has its number. */
const nowhere = { id: 0, name: inboundSpool } as ContainerState;

function fits({ quota, bytesUsed, frameCount, containers }: AccountState, { octets }: VerifiedMessage): boolean {
  if (containers.get(inboundSpool)?.damaged !== false) return false;
  const bytes = octets.header.length + (octets.payload?.length ?? 0) + (octets.trailer?.length ?? 0);
  return bytesUsed + bytes <= quota.bytesMax && frameCount < quota.framesMax;
}

/** Whether the message, where it can be read, refers to one that the recipient sent. */
async function answersOurs(reader: AccountReader, message: VerifiedMessage): Promise<boolean> {
  const names = referencesOf(message);
  const sent = await reader.catalogKeys(reader.state?.containers.get(outboundSpool) ?? nowhere, names);
  return sent.size > 0;
}

/** At least one, so that every message costs the same look. */
function referencesOf({ envelope }: VerifiedMessage): string[] {
  const { payload } = envelope;
  if (payload === null || isEncrypted(envelope)) return [''];
  try {
    const { value } = decodeTagged(messageRegistry, payload, { form: 'json' });
    const references = 'References' in value ? (value.References ?? []) : [];
    return [references[0]?.MessageID ?? ''];
  } catch {
    return [''];
  }
}

/** The frame in the recipient's spool; for a name that nobody has, and for what is dropped, one among the incidents. */
function fileIn(
  context: ShardContext,
  state: AccountState | undefined,
  message: VerifiedMessage,
  decision: Accepted,
): AccountWrite {
  const spool = state?.containers.get(inboundSpool);
  if (decision.result === 'drop' || spool === undefined) {
    const maker = { host: context.host(), nowMs: context.clock(), random: context.random };
    const kind = decision.result === 'drop' ? 'message-dropped' : 'recipient-unknown';
    const why = decision.result === 'drop' ? `: ${decision.why}` : '';
    const detail = `${message.messageType} from ${message.sender}${why}`;
    return { service: [incidentRecord(maker, { kind, account: message.recipients.join(' '), detail })] };
  }
  const view = viewOf(spool);
  const placed = placeMessage(message, view);
  return { containers: [appendOf(spool, [placed.write], placed.view)] };
}
