import { type Authentication, authenticateRequest } from '@meshd/binding/request-authenticate';
import { type AnyRequest, decodeRequest, type ReceivedRequest, receiveRequest } from '@meshd/binding/request-open';
import { type EnvelopeOctets, writeEnvelope } from '@meshd/dare/envelope';
import { MeshError } from '@meshd/schema/status';
import type { RequestIdentity, ShardContext } from './context.js';

/*
 * CreateAccount and DeleteAccount reach the shard as the whole request envelope, and the shard verifies every signature
 * itself: a router that was taken over must not be able to make or delete accounts (S24).
 */

/** Requests whose envelope travels to the shard. */
export type EnvelopedTransaction = 'CreateAccount' | 'DeleteAccount';
type RequestNamed<T extends EnvelopedTransaction> = Extract<AnyRequest, { transaction: T }>['message'];

/** A request whose signature holds, whatever it is worth here. */
export interface SignedRequest<T extends EnvelopedTransaction> {
  readonly message: RequestNamed<T>;
  readonly authentication: Authentication;
  readonly received: ReceivedRequest;
  readonly identity: RequestIdentity;
}

/**
 * Opens and authenticates a request envelope as the router has done before (S20, S21).
 *
 * @throws MeshError as `authenticateRequest`, and `malformed` where the envelope holds another transaction.
 */
export async function verifySignedRequest<T extends EnvelopedTransaction>(
  context: ShardContext,
  transaction: T,
  envelope: EnvelopeOctets,
): Promise<SignedRequest<T>> {
  // The message may have come in JSON-B, whose reader takes JSON as well; in which, the router judged.
  const received = receiveRequest(writeEnvelope(envelope), 'json-b');
  const opened = decodeRequest(received);
  if (opened.request.transaction !== transaction) throw new MeshError('malformed', `not a ${transaction}`);
  // `Host` was compared with `Service` where there was an HTTP request.
  const options = { nowMs: context.clock(), domains: context.domains, host: received.base.service };
  const authentication = await authenticateRequest(opened, options);
  const message = opened.request.message as RequestNamed<T>;
  // Judged by authenticateRequest: 24 octets.
  const identity = { id: message.ID as Uint8Array, payloadDigest: received.payloadDigest };
  return { message, authentication, received, identity };
}
