/** Requests: members that every one has (S20), and what exactly is signed (S21). */
import { randomBytes } from 'node:crypto';
import { open, type Wire } from './dare.js';
import type { Key } from './keys.js';
import { b64, concat, label, lv, sha512, u64, utf8 } from './octets.js';

/** Who signs, and which credentials travel in the entry. */
export interface Signer {
  readonly key: Key;
  readonly profile?: Wire;
  readonly connection?: Wire;
  readonly account?: Wire;
  /** Stands in the entry instead of `connection`, which is what gets signed: a swap on the way. */
  readonly swapped?: Wire;
  readonly alg?: string;
  readonly kid?: string;
}

/** What a request is made from. */
export interface RequestParts {
  /** Tag of the message: a transaction or a class name. */
  readonly tag: string;
  readonly message?: object;
  readonly service?: string;
  readonly id?: Uint8Array;
  readonly signers?: readonly Signer[];
  /** The payload's text itself, in place of tag, message, service and id. */
  readonly payloadText?: string;
  /** Header members beside `dig`. */
  readonly header?: object;
  /** What stands in the trailer as `PayloadDigest`, when not the right one. */
  readonly payloadDigest?: Uint8Array | null;
}

/** A request, and what its answer will be bound to. */
export interface Sent {
  readonly body: string;
  readonly service: string;
  readonly id: Uint8Array;
  readonly payloadDigest: Uint8Array;
  readonly reqAuth: Uint8Array;
}

/** Time and chance. */
export const newId = (nowMs = Date.now()): Uint8Array => concat(u64(nowMs), randomBytes(16));

const payloadOf = (wire: Wire | undefined): Uint8Array | undefined =>
  wire === undefined ? undefined : (open(wire).payload ?? undefined);

/** Digest over the credentials of one entry, payload octets only. */
export const credDigest = (profile?: Wire, connection?: Wire, account?: Wire): Uint8Array =>
  sha512(label('mesh-cred-1'), lv(payloadOf(profile)), lv(payloadOf(connection)), lv(payloadOf(account)));

export function makeRequest(parts: RequestParts): Sent {
  const { tag, message = {}, service = 'example.com', id = newId(), signers = [] } = parts;
  const payload = utf8(parts.payloadText ?? JSON.stringify({ [tag]: { Service: service, ID: b64(id), ...message } }));
  const payloadDigest = sha512(payload);
  const made = signers.map((signer) => makeEntry(signer, service, payloadDigest));
  const stated = parts.payloadDigest === undefined ? payloadDigest : parts.payloadDigest;
  const trailer = {
    ...(made.length === 0 ? {} : { signatures: made.map(({ entry }) => entry) }),
    ...(stated === null ? {} : { PayloadDigest: b64(stated) }),
  };
  const header = { dig: 'S512', ContentMetaData: b64(utf8('{"cty":"application/json"}')), ...parts.header };
  return {
    body: JSON.stringify([header, b64(payload), trailer]),
    service,
    id,
    payloadDigest,
    reqAuth: sha512(label('mesh-reqauth-1'), ...made.flatMap(({ kid, signature }) => [lv(kid), lv(signature)])),
  };
}

function makeEntry(signer: Signer, service: string, payloadDigest: Uint8Array) {
  const { key, profile, connection, account, swapped, alg = 'S512-REQ1', kid = key.udf } = signer;
  const bound = concat(label('mesh-request-1'), lv(service), payloadDigest, credDigest(profile, connection, account));
  const signature = key.sign(alg === 'S512' ? payloadDigest : bound);
  const entry = {
    alg,
    kid,
    signature: b64(signature),
    ...(profile === undefined ? {} : { Profile: profile }),
    ...(connection === undefined ? {} : { Connection: swapped ?? connection }),
    ...(account === undefined ? {} : { Account: account }),
  };
  return { kid, signature, entry };
}
