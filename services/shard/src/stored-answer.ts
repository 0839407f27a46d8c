import { constantTimeEqual } from '@meshd/crypto/digest';
import { MeshError } from '@meshd/schema/status';
import type { RequestIdentity } from './context.js';
import type { AccountReader, SeenWrite } from './storage/store.js';

/*
 * Answers of writing requests, remembered in the database transaction of their effect (S27, encoding 6.6). What is kept
 * is the result, as JSON: the router makes and signs the response anew for each repetition.
 */

/** A writing request and who sent it. */
export interface WritingRequest {
  /** See {@link devicePrincipal} and {@link meshPrincipal}. */
  readonly principal: string;
  readonly identity: RequestIdentity;
}

/** A device acting for an account; the raw key, since names of keys may collide (S04). */
export function devicePrincipal(address: string, key: Uint8Array): string {
  return `device ${address} ${Buffer.from(key).toString('base64url')}`;
}

/** A Mesh acting before there is an account. */
export function meshPrincipal(meshUdf: string): string {
  return `mesh ${meshUdf}`;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/**
 * The result that the request left behind, if it was executed before.
 *
 * @throws MeshError `request-id-reused` (401/20) when the `ID` was used for another request.
 */
export async function findAnswer<T>(reader: AccountReader, request: WritingRequest): Promise<T | undefined> {
  const seen = await reader.findSeen(request.principal, request.identity.id);
  if (seen === undefined) return undefined;
  if (!constantTimeEqual(seen.digest, request.identity.payloadDigest)) throw new MeshError('request-id-reused');
  // Written by this module, in this form.
  return JSON.parse(decoder.decode(seen.result)) as T;
}

/** The record of a result, for the commit of its effect. Results are plain values without octets. */
export function answerOf(request: WritingRequest, result: unknown): SeenWrite {
  return {
    principal: request.principal,
    id: request.identity.id,
    digest: request.identity.payloadDigest,
    result: encoder.encode(JSON.stringify(result)),
  };
}
