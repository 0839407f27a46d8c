import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { parseAddress } from '@meshd/schema/address';
import { type ErrorCode, MeshError } from '@meshd/schema/status';
import type { RequestIdentity, ShardContext } from '../context.js';
import { Filing, type FilingOutcome, lookUp } from '../message/filing.js';
import { makeReceipt } from '../message/receipt.js';
import { type VerifiedMessage, verifyMessage } from '../message/verify-message.js';
import type { MessageSeen } from '../storage/message-rows.js';
import type { AccountTransactor } from '../storage/store.js';
import { answerOf, findAnswer, type WritingRequest } from '../stored-answer.js';

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

/** A message for one recipient. */
interface OneDelivery {
  readonly indexRequest: number;
  readonly account: string;
  readonly message: VerifiedMessage | MeshError;
}

/**
 * Delivers messages into inbound spools (semantics 6.7, 8.3; S71–S73, S80–S82). Each recipient is a transaction of its own,
 * for all messages that came for it at once: what becomes of them is no business of the others.
 *
 * For a name that nobody has as much is looked up and written as for one that somebody has, so that neither content nor work
 * tell the two apart (S80).
 *
 * @returns one result a message and recipient, in the order of the request.
 * @throws MeshError `request-id-reused`
 */
export async function deliver(context: ShardContext, request: DeliverRequest): Promise<DeliveryResult[]> {
  const nowMs = context.clock();
  const deliveries = await Promise.all(
    request.messages.map(async ({ indexRequest, octets, recipients }): Promise<readonly OneDelivery[]> => {
      const message = await judgeMessage(octets, request.senderDomain, nowMs);
      if (message instanceof MeshError) noteUnproved(context, request, recipients, message);
      return recipients.map((account) => ({ indexRequest, account, message }));
    }),
  );
  const inOrder = deliveries.flat();
  const results = new Map<OneDelivery, DeliveryResult>();
  const byAccount = Map.groupBy(inOrder, ({ account }) => account);
  await Promise.all([...byAccount].map(([account, own]) => deliverTo(context, request, account, own, results)));
  return inOrder.map((delivery) => results.get(delivery) as DeliveryResult);
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
  incidents.note({ kind: 'message-unproved', by: senderDomain, account: recipients[0] ?? '', detail }, clock());
}

/** Fills in what becomes of the messages for one recipient. */
async function deliverTo(
  context: ShardContext,
  request: DeliverRequest,
  account: string,
  deliveries: readonly OneDelivery[],
  results: Map<OneDelivery, DeliveryResult>,
): Promise<void> {
  const { domain: service } = parseAddress(account);
  const addressed = new Map<OneDelivery, VerifiedMessage>();
  for (const delivery of deliveries) {
    const { indexRequest, message } = delivery;
    const code = refusalOf(message, account) ?? (context.domains.has(service) ? undefined : 'domain-not-served');
    if (code === undefined) addressed.set(delivery, message as VerifiedMessage);
    else {
      const isOffer = !(message instanceof MeshError) && message.isOffer;
      results.set(delivery, { indexRequest, account, result: 'Reject', code, receipt: undefined, isOffer });
    }
  }
  if (addressed.size === 0) return;
  const messages = [...addressed.values()];
  // Whether somebody is here, or was here lately, must not show in what is read for him (S80).
  await context.store.approachAccount(account);
  const taken = await context.store.transactAccount(account, (transactor) =>
    takeMessages(context, request, transactor, messages),
  );
  const filled = [...addressed].map(async ([delivery, message], at) => {
    const { indexRequest } = delivery;
    const done = { indexRequest, account, code: undefined, receipt: undefined, isOffer: message.isOffer };
    const outcome = taken[at] as FilingOutcome;
    if ('refused' in outcome) {
      results.set(delivery, { ...done, result: 'Reject', code: outcome.refused });
      return;
    }
    const wanted = !message.isOffer && request.receipts;
    const receipt = wanted ? await receiptFor(context, request, { account, service, message }, outcome) : undefined;
    results.set(delivery, { ...done, result: 'Accept', receipt });
  });
  await Promise.all(filled);
}

function refusalOf(message: VerifiedMessage | MeshError, account: string): ErrorCode | undefined {
  if (message instanceof MeshError) return message.code;
  return message.recipients.includes(account) ? undefined : 'manifest';
}

function receiptFor(
  context: ShardContext,
  { senderDomain }: DeliverRequest,
  { account, service, message }: { account: string; service: string; message: VerifiedMessage },
  { receiptId, seenAtMs }: Pick<MessageSeen, 'receiptId' | 'seenAtMs'>,
): Promise<EnvelopeOctets> {
  return makeReceipt(context.host(), {
    ...{ service, senderService: senderDomain, recipient: account },
    ...{ core: message.core, receiptId, timeMs: seenAtMs },
  });
}

/**
 * Takes messages for one address, which need not be an account, in one commit. All is looked up before the first is judged;
 * each is judged as if those before it were filed.
 *
 * @returns one outcome a message, in order.
 */
async function takeMessages(
  context: ShardContext,
  request: DeliverRequest,
  transactor: AccountTransactor,
  messages: readonly VerifiedMessage[],
): Promise<readonly FilingOutcome[]> {
  const writing = writingOf(request, transactor.address);
  const [answered, looked] = await Promise.all([
    writing === undefined ? undefined : findAnswer(transactor, writing),
    lookUp(transactor, messages),
  ]);
  const filing = new Filing(context, request, transactor, looked);
  const taken = messages.map((message) => filing.take(message));
  const write = filing.write();
  if (write === undefined) return taken;
  const isFirst = writing !== undefined && answered === undefined;
  await transactor.commit({ ...write, ...(isFirst ? { seen: answerOf(writing, 'Accept') } : {}) });
  filing.committed();
  return taken;
}

/**
 * A host's request at one recipient: what another request under its `ID` must not be (S27). Messages of several domains come
 * in calls of their own.
 */
function writingOf({ hostUdf, senderDomain, identity }: DeliverRequest, address: string): WritingRequest | undefined {
  if (hostUdf === '' || identity === undefined) return undefined;
  return { principal: `host ${hostUdf} ${senderDomain} ${address}`, identity };
}
