/**
 * Post of another service (S70–S75, S80, S82): who speaks is judged here, what is said at the shards of the recipients.
 *
 * The answer says Accept or Reject and nothing that depends on who lives here: all recipients of our domains are asked for
 * in the same calls, whether they exist or not, and all answers of a batch leave together, not before a fixed time.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { openEnvelope } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import { decodeManifest, manifestKinds, recipientsOf } from '@meshd/dare/manifest';
import { EncodingError } from '@meshd/encoding/errors';
import { foreignAnswerMsMin, messageBytesMax, postMessagesMax } from '@meshd/limits/limits';
import type { DeliveryResult } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { AddressError, canonicalAddress, parseAddress } from '@meshd/schema/address';
import type { EntryResponse } from '@meshd/schema/common';
import type { PostRequest, PostResponse } from '@meshd/schema/protocol';
import { MeshError, statusRegistry } from '@meshd/schema/status';
import type { PeerHost } from '../peers.js';
import { refusal, type WholeReply, whole } from '../reply.js';
import { refusalOf } from '../shard-router.js';
import type { TransactionContext } from '../transaction.js';
import { perMessage, postParts, refuseRepeated } from './post-bounds.js';
import { callOf, envelopeOfRpc, rpcEnvelope } from './shared.js';

/** A message as far as the router reads it: from whom, and for whom it was made. */
interface ForeignMessage {
  readonly indexRequest: number;
  readonly envelope: EnvelopeOctets;
  readonly senderDomain: string;
  readonly recipients: ReadonlySet<string>;
}

/** An account as the peer wrote it, and its canonical form if it is one of ours. */
interface Addressee {
  readonly written: string;
  readonly account: string | undefined;
}

/**
 * Answers a Post of another service.
 *
 * @throws MeshError `policy` with `Self`, `manifest`, `too-large`, `malformed`, and as {@link Peers.hostOf}
 */
export async function postForeign(message: PostRequest, context: TransactionContext): Promise<WholeReply<'Post'>> {
  if ((message.Self ?? []).length > 0) throw new MeshError('policy', 'Self is for own devices');
  const { accounts, messages } = postParts(message);
  const read = messages.map(readMessage);
  const domains = [...new Set(read.map(({ senderDomain }) => senderDomain))];
  const call = callOf('', context);
  const host = await context.peers.hostOf(context.authentication, domains, call);
  for (const domain of domains) {
    await context.limits.checkService(domain, read.length);
    context.peers.spoke(domain, call);
  }
  const addressees = accounts.map((written) => addresseeOf(written, context.domains));
  refuseRepeated(addressees.map(({ written, account }) => account ?? written));
  // One timer for all, begun before anything is looked up: a rest that is measured afterwards would show in its rounding how
  // long the looking took (S80). Timers may be early by less than a millisecond.
  const released = pause(foreignAnswerMsMin + 1);
  const results = await deliver(read, addressees, host, context).finally(() => released);
  return answerOf(read, addressees, results, host, context);
}

function readMessage(envelope: EnvelopeOctets, indexRequest: number): ForeignMessage {
  try {
    const octets = openEnvelope(envelope).signatures.find(({ Manifest }) => Manifest !== undefined)?.Manifest;
    if (octets === undefined) throw new MeshError('manifest', `message ${indexRequest} has no manifest`);
    const manifest = decodeManifest(octets);
    if (manifest.kind !== manifestKinds.message) throw new MeshError('manifest', 'not a manifest of a message');
    const { domain } = parseAddress(manifest.subject);
    const recipients = new Set(recipientsOf(manifest).map(canonicalAddress));
    return { indexRequest, envelope, senderDomain: domain, recipients };
  } catch (error) {
    if (error instanceof AddressError || error instanceof DareError) {
      throw new MeshError('manifest', `message ${indexRequest}: ${error.message}`, { cause: error });
    }
    if (error instanceof EncodingError) throw new MeshError('malformed', error.message, { cause: error });
    throw error;
  }
}

/** Nothing is relayed (semantics 8.1): an account of another domain is rejected like one that takes no messages. */
function addresseeOf(written: string, ours: ReadonlySet<string>): Addressee {
  try {
    const { address, domain } = parseAddress(written);
    return { written, account: ours.has(domain) ? address : undefined };
  } catch (error) {
    if (error instanceof AddressError) return { written, account: undefined };
    throw error;
  }
}

/** One call a shard and sending domain, all at once. */
async function deliver(
  messages: readonly ForeignMessage[],
  addressees: readonly Addressee[],
  { hostUdf }: PeerHost,
  context: TransactionContext,
): Promise<readonly DeliveryResult[]> {
  const groups = new Map<string, { account: string; senderDomain: string; messages: Map<ForeignMessage, string[]> }>();
  for (const message of messages) {
    for (const { account } of addressees) {
      // Filed only for whom it was made (S71).
      if (account === undefined || !message.recipients.has(account)) continue;
      const { senderDomain } = message;
      const name = `${context.shards.shardOf(account)} ${senderDomain}`;
      const group = groups.get(name) ?? { account, senderDomain, messages: new Map() };
      groups.set(name, group);
      group.messages.set(message, [...(group.messages.get(message) ?? []), account]);
    }
  }
  const receipts = context.understands('receipt-1');
  const asked = [...groups.values()].map(async ({ account, senderDomain, messages: addressed }) => {
    const value = {
      ...{ senderDomain, hostUdf, receipts },
      messages: [...addressed].map(([{ indexRequest, envelope }, recipients]) => ({
        ...{ indexRequest, recipients },
        message: rpcEnvelope(envelope),
      })),
    };
    const call = { ...callOf(account, context), describePrincipal: false };
    const { outcome, result } = await context.shards.transact(call, { $case: 'deliver', value });
    const refused = refusalOf(outcome);
    if (refused !== undefined) throw refused;
    if (result?.$case !== 'deliver') throw new Error('the shard answered another request');
    return result.value.results;
  });
  // All are waited for: what one shard refused must not end the answer while another still works.
  const settled = await Promise.allSettled(asked);
  const failed = settled.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return settled.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
}

function answerOf(
  messages: readonly ForeignMessage[],
  addressees: readonly Addressee[],
  results: readonly DeliveryResult[],
  { described }: PeerHost,
  context: TransactionContext,
): WholeReply<'Post'> {
  const found = new Map(results.map((each) => [`${each.indexRequest} ${each.account}`, each]));
  const entries = messages.flatMap(({ indexRequest }) =>
    addressees.map(({ written, account }) => {
      const result = account === undefined ? undefined : found.get(`${indexRequest} ${account}`);
      return entryOf(indexRequest, written, result, context);
    }),
  );
  const Entries = context.understands('entry') ? entries : perMessage(entries);
  const isOffer = messages.some(({ envelope }) => envelope.payload === null);
  const members: Pick<PostResponse, 'Entries' | 'ConstraintsData'> = {
    Entries,
    // Of this service, never of an account (S80).
    ...(isOffer ? { ConstraintsData: { MaxEntries: postMessagesMax, BytesMax: messageBytesMax } } : {}),
  };
  if (entries.every(({ Result }) => Result === 'Reject')) {
    return { kind: 'whole', code: 'policy', message: { ...refusal(new MeshError('policy')), ...members } };
  }
  return whole<'Post'>(isOffer ? 'bodies-awaited' : 'success', members, { described });
}

const { 'account-moved': moved } = statusRegistry;

/** Accept or Reject, and a receipt that says no more (S80, S81); a reason only where somebody known has moved. */
function entryOf(
  IndexRequest: number,
  Account: string,
  result: DeliveryResult | undefined,
  { understands }: Pick<TransactionContext, 'understands'>,
): EntryResponse {
  const isAccepted = result?.result === 'Accept';
  const hasMoved = result?.statusExtended === moved.extended;
  const receipt = isAccepted && understands('receipt-1') ? result.receipt : undefined;
  return {
    ...{ IndexRequest, Account, Result: isAccepted ? 'Accept' : 'Reject' },
    ...(receipt === undefined ? {} : { Receipt: envelopeOfRpc(receipt) }),
    ...(hasMoved && understands('entry') ? { StatusExtended: moved.extended } : {}),
  };
}
