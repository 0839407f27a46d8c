/** What a service should answer: Hello about itself, a receipt for every message of a Post, refusals for the rest. */
import type { HostIdentity } from '@meshd/binding/host-files';
import { type Authentication, authenticateRequest } from '@meshd/binding/request-authenticate';
import { decodeRequest, type ReceivedRequest } from '@meshd/binding/request-open';
import type { Random } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { messageBytesMax, postMessagesMax } from '@meshd/limits/limits';
import { parseAddress } from '@meshd/schema/address';
import type { EntryResponse, Response } from '@meshd/schema/common';
import { itemContentType } from '@meshd/schema/container-name';
import { type Feature, mediaTypeJson, mediaTypeJsonB, protocolVersion, understands } from '@meshd/schema/features';
import { type VerifiedMessage, verifyMessage } from '@meshd/schema/message-check';
import type { MeshHelloResponse, PostRequest } from '@meshd/schema/protocol';
import { DeliveryReceipt } from '@meshd/schema/service';
import { MeshError, statusRegistry } from '@meshd/schema/status';

/** What {@link honestAnswer} needs. */
export interface AnswerContext {
  readonly host: HostIdentity;
  /** Canonical domain of the sink. */
  readonly domain: string;
  /** `Host` of the request, without port. */
  readonly hostName: string;
  readonly nowMs: number;
  readonly random: Random;
  /** Whether messages are taken; if not, each is refused. */
  readonly accepts: boolean;
  /** A word that it does not offer. */
  readonly without?: Feature;
  /** Told of every message that holds, for each recipient of ours. */
  readonly onMessage: (message: VerifiedMessage, recipient: string) => void;
}

/** Words of what the sink understands: those that a peer needs to believe it, and receipts. */
const features: readonly Feature[] = ['auth-1', 'host-1', 'manifest-1', 'gcm-1', 'entry', 'receipt-1'];

/**
 * The members of the answer, `Status` among them.
 *
 * @throws MeshError for a request that proves nothing, or asks for something else than Hello and Post
 */
export async function honestAnswer(received: ReceivedRequest, context: AnswerContext): Promise<Response> {
  const { hostName, domain, nowMs } = context;
  const opened = decodeRequest(received);
  const authentication = await authenticateRequest(opened, { nowMs, domains: new Set([domain]), host: hostName });
  const { request } = opened;
  if (request.transaction === 'Hello') return helloAnswer(context);
  if (request.transaction !== 'Post') throw new MeshError('not-implemented', 'a sink takes messages alone');
  requireHost(authentication);
  return postAnswer(request.message, context);
}

/** Messages come from services: a device posts to its own. */
function requireHost({ form }: Authentication): void {
  if (form !== 'host') throw new MeshError('not-authorised', 'a service posts as a host');
}

function helloAnswer({ host, without }: AnswerContext): MeshHelloResponse {
  return {
    Status: statusRegistry.success.status,
    Version: {
      ...protocolVersion,
      Encodings: [{ ID: [mediaTypeJson] }, { ID: [mediaTypeJsonB] }],
      Features: features.filter((word) => word !== without),
    },
    ConstraintsPost: { MaxEntries: postMessagesMax, BytesMax: messageBytesMax },
    EnvelopedProfileService: host.profileService,
    EnvelopedProfileHost: host.profileHost,
    EnvelopedConnectionHost: host.connectionHost,
  };
}

async function postAnswer(message: PostRequest, context: AnswerContext): Promise<Response> {
  const { Accounts: accounts = [], Message: messages = [] } = message;
  const wantsReceipts = understands(message.Features, 'receipt-1');
  const perMessage = messages.map(async (octets, at) => {
    const verified = await verifyMessage(octets).catch(malformedOf);
    return accounts.map((account) => entryFor(verified, at, account, wantsReceipts, context));
  });
  const Entries = (await Promise.all(perMessage)).flat();
  const isAllRejected = Entries.length > 0 && Entries.every(({ Result }) => Result === 'Reject');
  const { status, extended } = isAllRejected ? statusRegistry.policy : statusRegistry.success;
  return { Status: status, ...(extended === undefined ? {} : { StatusExtended: extended }), Entries } as Response;
}

function malformedOf(error: unknown): undefined {
  if (error instanceof MeshError) return undefined;
  throw error;
}

function entryFor(
  verified: VerifiedMessage | undefined,
  at: number,
  account: string,
  wantsReceipts: boolean,
  context: AnswerContext,
): EntryResponse {
  const isOurs = verified?.recipients.includes(account) && parseAddress(account).domain === context.domain;
  const entry = { IndexRequest: at, Account: account };
  if (verified === undefined || !isOurs) return { ...entry, Result: 'Reject' };
  context.onMessage(verified, account);
  if (!context.accepts) return { ...entry, Result: 'Reject' };
  const receipt = wantsReceipts ? { Receipt: receiptFor(verified, account, context) } : {};
  return { ...entry, Result: 'Accept', ...receipt };
}

/** The word of a service that it took responsibility for a message (S81). */
function receiptFor(message: VerifiedMessage, recipient: string, context: AnswerContext): EnvelopeOctets {
  const { host, domain, nowMs, random } = context;
  const receipt = {
    ...{ Service: domain, SenderService: parseAddress(message.sender).domain, Recipient: recipient },
    ...{ Core: message.core, ReceiptID: nonceUdf(random), Time: new Date(nowMs), Result: 'Accept' },
  };
  return signEnvelope({
    payload: encodeTagged(DeliveryReceipt, receipt, 'json'),
    keys: [host.signingKey],
    entryMembers: [{ Profile: host.profileHost, Connection: host.connectionHost }],
    contentMeta: { MessageType: DeliveryReceipt.name },
    contentType: itemContentType,
  });
}
