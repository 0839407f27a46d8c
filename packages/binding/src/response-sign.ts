/**
 * The service's half of responses (S22): an envelope written around a payload, whole or as it comes.
 *
 * Digest and signature stand in the trailer, behind the payload. So a large answer is digested and signed while it is
 * sent, and never exists as a whole.
 */
import { createHash, type Hash } from 'node:crypto';
import type { SigningKey } from '@meshd/crypto/ed448';
import { type EnvelopeOctets, makeEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { credDigest, responseAlgorithm, responseInput } from './credential.js';
import { messageHeader } from './request-sign.js';

/** The keys and credentials that a host signs with. */
export interface ResponseSigner {
  readonly signingKey: SigningKey;
  readonly profileHost: EnvelopeOctets;
  readonly connectionHost: EnvelopeOctets;
}

/** What of the request a response is tied to. */
export interface AnsweredRequest {
  /** `Service` of the request; empty where it named none. */
  readonly service: string;
  readonly payloadDigest: Uint8Array;
  readonly reqAuth: Uint8Array;
}

/** All that is constant of a host's responses, prepared once: two thirds of the octets of a small answer. */
interface Prepared {
  readonly credDigest: Uint8Array;
  /** Entry members after the signature. */
  readonly credentials: string;
}

const prepared = new WeakMap<ResponseSigner, Prepared>();

function prepare(signer: ResponseSigner): Prepared {
  const known = prepared.get(signer);
  if (known !== undefined) return known;
  const { profileHost, connectionHost } = signer;
  const text = (envelope: EnvelopeOctets) => Buffer.from(writeEnvelope(envelope, 'json')).toString('utf8');
  const fresh = {
    credDigest: credDigest({
      profile: profileHost.payload ?? undefined,
      connection: connectionHost.payload ?? undefined,
    }),
    credentials: `"Profile":${text(profileHost)},"Connection":${text(connectionHost)}`,
  };
  prepared.set(signer, fresh);
  return fresh;
}

const base64 = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('base64url');

/** The octets before the payload: the same for every response. */
const head = (() => {
  const empty = makeEnvelope({ header: messageHeader, payload: new Uint8Array(0) });
  return `[${Buffer.from(empty.header).toString('utf8')},"`;
})();

const headBytes = head.length;

async function tail(signer: ResponseSigner, request: AnsweredRequest, payloadDigest: Uint8Array): Promise<string> {
  const { credDigest: credentialsDigest, credentials } = prepare(signer);
  const input = responseInput({
    service: request.service,
    requestPayloadDigest: request.payloadDigest,
    reqAuth: request.reqAuth,
    responsePayloadDigest: payloadDigest,
    credDigest: credentialsDigest,
  });
  const signature = base64(await signer.signingKey.signAsync(input));
  const { udf } = signer.signingKey.publicKey;
  const entry = `{"alg":"${responseAlgorithm}","kid":"${udf}","signature":"${signature}",${credentials}}`;
  return `",{"signatures":[${entry}],"PayloadDigest":"${base64(payloadDigest)}"}]`;
}

/**
 * Signs a response payload.
 *
 * @param payload the tagged response object in JSON
 * @returns the body to send
 */
export async function signResponse(
  signer: ResponseSigner,
  request: AnsweredRequest,
  payload: Uint8Array,
): Promise<Uint8Array> {
  const payloadDigest = createHash('sha512').update(payload).digest();
  return Buffer.from(`${head}${base64(payload)}${await tail(signer, request, payloadDigest)}`, 'utf8');
}

/**
 * Takes octets of a body; they are its own until the promise resolves, or until it returns without one. Rejects when the
 * peer is gone.
 */
export type BodyWriter = (octets: Uint8Array) => Promise<void> | undefined;

/** Octets become text in pieces of this size: longer strings land where the garbage collector is slow (measured: 3 ×). */
const pieceBytes = 48 * 1024;
/** Octets are gathered to this size before they are sent. A multiple of 3, so that base64 goes on evenly. */
const blockBytes = 4 * pieceBytes;
/** A block as text, the head before the first of them. */
const textBytes = headBytes + (blockBytes / 3) * 4;

/**
 * A response whose payload is written piece by piece.
 *
 * @example
 * const stream = new ResponseStream(signer, request, write);
 * for (const piece of pieces) await stream.write(piece);
 * await stream.finish();
 */
export class ResponseStream {
  readonly #signer: ResponseSigner;
  readonly #request: AnsweredRequest;
  readonly #send: BodyWriter;
  readonly #digest: Hash = createHash('sha512');
  /** Payload octets not yet sent. */
  readonly #block = Buffer.allocUnsafeSlow(blockBytes);
  #blockUsed = 0;
  #begun = false;
  /**
   * Texts of two blocks, one filled while the other is sent. Fresh ones for every block are memory outside the heap that
   * piles up until the collector has gone through everything (measured: a third of the router's work in a download).
   */
  #texts: { filling: Buffer; sending: Buffer } | undefined;
  #sending: Promise<void> | undefined;

  constructor(signer: ResponseSigner, request: AnsweredRequest, send: BodyWriter) {
    this.#signer = signer;
    this.#request = request;
    this.#send = send;
  }

  /** Adds payload octets. */
  async write(octets: Uint8Array): Promise<void> {
    for (let at = 0; at < octets.length; ) {
      const part = octets.subarray(at, at + blockBytes - this.#blockUsed);
      this.#block.set(part, this.#blockUsed);
      this.#blockUsed += part.length;
      at += part.length;
      if (this.#blockUsed === blockBytes) await this.#flush();
    }
  }

  /** Adds octets as base64url text: the second of the two layers that a frame's payload gets in JSON. */
  async writeBase64(octets: Uint8Array): Promise<void> {
    const source = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    for (let at = 0; at < source.length; ) {
      const roomBytes = blockBytes - this.#blockUsed;
      // Whole groups of three only, so that the pieces join without padding.
      const groups = Math.floor(roomBytes / 4);
      if (groups === 0) {
        await this.write(Buffer.from(source.toString('base64url', at, at + 3), 'latin1'));
        at += 3;
        continue;
      }
      const end = Math.min(source.length, at + groups * 3, at + pieceBytes);
      this.#blockUsed += this.#block.write(source.toString('base64url', at, end), this.#blockUsed, 'latin1');
      at = end;
      if (this.#blockUsed === blockBytes) await this.#flush();
    }
  }

  /** Signs and sends what is left. */
  async finish(): Promise<void> {
    const rest = this.#take(Buffer.allocUnsafe(headBytes + Math.ceil((this.#blockUsed * 4) / 3)));
    const end = await tail(this.#signer, this.#request, this.#digest.digest());
    await this.#sending;
    await this.#send(Buffer.concat([rest, Buffer.from(end, 'utf8')]));
  }

  async #flush(): Promise<void> {
    this.#texts ??= { filling: Buffer.allocUnsafeSlow(textBytes), sending: Buffer.allocUnsafeSlow(textBytes) };
    const { filling, sending } = this.#texts;
    const text = this.#take(filling);
    await this.#sending;
    this.#texts = { filling: sending, sending: filling };
    this.#sending = this.#send(text);
    // thrown where it is awaited: at the next block, or at the end
    this.#sending?.catch(() => {});
  }

  /** Digests what was gathered and writes it as text, with the head before the first of it. */
  #take(text: Buffer): Uint8Array {
    const octets = this.#block.subarray(0, this.#blockUsed);
    this.#digest.update(octets);
    let used = this.#begun ? 0 : text.write(head, 'latin1');
    for (let at = 0; at < octets.length; at += pieceBytes) {
      const end = Math.min(octets.length, at + pieceBytes);
      used += text.write(octets.toString('base64url', at, end), used, 'latin1');
    }
    this.#begun = true;
    this.#blockUsed = 0;
    return text.subarray(0, used);
  }
}
