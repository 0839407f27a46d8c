/**
 * The service's half of responses (S22, S32): an envelope written around a payload, whole or as it comes.
 *
 * Digest and proof stand in the trailer, behind the payload. So a large answer is digested and signed while it is sent,
 * and never exists as a whole.
 */
import { createHash, type Hash } from 'node:crypto';
import { hmacSha512, type MacKey, sha512 } from '@meshd/crypto/digest';
import type { SigningKey } from '@meshd/crypto/ed448';
import { type EnvelopeOctets, envelope } from '@meshd/dare/envelope';
import { codeBinary, codeBinaryChunk } from '@meshd/encoding/json-b-codes';
import { prepareName, TokenWriter } from '@meshd/encoding/token-writer';
import { credDigest, responseAlgorithm, responseInput, ticketResponseAlgorithm } from './credential.js';
import type { BodyForm } from './media-type.js';
import { messageHeaders } from './request-sign.js';

/** The keys and credentials that a host signs with. */
export interface ResponseSigner {
  readonly signingKey: SigningKey;
  readonly profileHost: EnvelopeOctets;
  readonly connectionHost: EnvelopeOctets;
}

/** The ticket that authenticated the request: its answer is MACed under it. */
export interface ResponseTicket {
  readonly id: string;
  readonly serverToClient: Uint8Array | MacKey;
}

/** Either way of proving an answer. */
export type ResponseProver = ResponseSigner | ResponseTicket;

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
  /** Entry members after the signature, by encoding. */
  readonly credentials: Readonly<Record<BodyForm, Uint8Array>>;
}

const prepared = new WeakMap<ResponseSigner, Prepared>();

function prepare(signer: ResponseSigner): Prepared {
  const known = prepared.get(signer);
  if (known !== undefined) return known;
  const { profileHost, connectionHost } = signer;
  const members = (form: BodyForm) => {
    const writer = new TokenWriter(form);
    writer.name('Profile');
    envelope.write(writer, profileHost);
    writer.name('Connection');
    envelope.write(writer, connectionHost);
    return writer.finish();
  };
  const fresh = {
    credDigest: credDigest({
      profile: profileHost.payload ?? undefined,
      connection: connectionHost.payload ?? undefined,
    }),
    credentials: { json: members('json'), 'json-b': members('json-b') },
  };
  prepared.set(signer, fresh);
  return fresh;
}

const asBuffer = (octets: Uint8Array): Buffer => Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
const noCredentials = credDigest({});
const quote = Buffer.from('"');
const names = {
  signatures: prepareName('signatures'),
  alg: prepareName('alg'),
  kid: prepareName('kid'),
  signature: prepareName('signature'),
  payloadDigest: prepareName('PayloadDigest'),
};

/** The octets before the payload: the same for every response. */
const heads: Readonly<Record<BodyForm, Buffer>> = {
  json: Buffer.concat([Buffer.from('['), messageHeaders.json, Buffer.from(',"')]),
  'json-b': Buffer.concat([Buffer.from('['), messageHeaders['json-b']]),
};

/** The octets behind the payload: one entry, and in JSON the digest, which a reader computes in any case. */
async function tail(
  prover: ResponseProver,
  request: AnsweredRequest,
  payloadDigest: Uint8Array,
  form: BodyForm,
): Promise<Uint8Array> {
  const isSigner = 'signingKey' in prover;
  const credentials = isSigner ? prepare(prover) : undefined;
  const input = responseInput({
    service: request.service,
    requestPayloadDigest: request.payloadDigest,
    reqAuth: request.reqAuth,
    responsePayloadDigest: payloadDigest,
    credDigest: credentials?.credDigest ?? noCredentials,
  });
  const signature = isSigner ? await prover.signingKey.signAsync(input) : hmacSha512(prover.serverToClient, input);
  const writer = new TokenWriter(form);
  // The end of the payload's text, which a separator follows.
  if (form === 'json') writer.raw(quote);
  writer.beginObject();
  writer.preparedName(names.signatures);
  writer.beginArray();
  writer.beginObject();
  writer.preparedName(names.alg);
  writer.string(isSigner ? responseAlgorithm : ticketResponseAlgorithm);
  writer.preparedName(names.kid);
  writer.string(isSigner ? prover.signingKey.publicKey.udf : prover.id);
  writer.preparedName(names.signature);
  writer.binary(signature);
  if (credentials !== undefined) writer.raw(credentials.credentials[form]);
  writer.endObject();
  writer.endArray();
  if (form === 'json') {
    writer.preparedName(names.payloadDigest);
    writer.binary(payloadDigest);
  }
  writer.endObject();
  // The envelope's own array, which began with the head.
  writer.endArray();
  return writer.finish();
}

/**
 * Signs a response payload, or MACs it.
 *
 * @param payload the tagged response object in the encoding of the body
 * @returns the body to send
 */
export async function signResponse(
  prover: ResponseProver,
  request: AnsweredRequest,
  payload: Uint8Array,
  form: BodyForm = 'json',
): Promise<Uint8Array> {
  const end = await tail(prover, request, sha512(payload), form);
  if (form === 'json-b') return Buffer.concat([heads[form], lengthCode(codeBinary, payload.length), payload, end]);
  return Buffer.concat([heads[form], Buffer.from(asBuffer(payload).toString('base64url'), 'latin1'), end]);
}

/** A code and its length, in the fewest octets (encoding 4.1). */
function lengthCode(code: number, bytes: number): Buffer {
  if (bytes <= 0xff) return Buffer.from([code, bytes]);
  const head = Buffer.allocUnsafe(bytes <= 0xffff ? 3 : 5);
  head[0] = bytes <= 0xffff ? code + 1 : code + 2;
  if (bytes <= 0xffff) head.writeUInt16BE(bytes, 1);
  else head.writeUInt32BE(bytes, 1);
  return head;
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
const textBytes = heads.json.length + (blockBytes / 3) * 4;
/** Octets of this size and more are not gathered where they need no encoding, but sent as they lie. */
const wholeBytes = 16 * 1024;
const nothing = Buffer.alloc(0);

/**
 * A response whose payload is written piece by piece.
 *
 * @example
 * const stream = new ResponseStream(prover, request, write, form);
 * for (const piece of pieces) await stream.write(piece);
 * await stream.finish();
 */
export class ResponseStream {
  readonly form: BodyForm;
  readonly #prover: ResponseProver;
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

  constructor(prover: ResponseProver, request: AnsweredRequest, send: BodyWriter, form: BodyForm = 'json') {
    this.#prover = prover;
    this.#request = request;
    this.#send = send;
    this.form = form;
  }

  /** Adds payload octets. */
  async write(octets: Uint8Array): Promise<void> {
    if (this.form === 'json-b' && octets.length >= wholeBytes) {
      await this.#sendWhole(octets);
      return;
    }
    for (let at = 0; at < octets.length; ) {
      const part = octets.subarray(at, at + blockBytes - this.#blockUsed);
      this.#block.set(part, this.#blockUsed);
      this.#blockUsed += part.length;
      at += part.length;
      if (this.#blockUsed === blockBytes) await this.#flush();
    }
  }

  /** Adds octets as a value of the payload: text in JSON, the second of its two layers of base64; an item in JSON-B. */
  async writeBinary(octets: Uint8Array): Promise<void> {
    if (this.form === 'json') {
      await this.write(quote);
      await this.#writeBase64(octets);
      await this.write(quote);
      return;
    }
    await this.write(lengthCode(codeBinary, octets.length));
    await this.write(octets);
  }

  async #writeBase64(octets: Uint8Array): Promise<void> {
    const source = asBuffer(octets);
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

  /** Proves and sends what is left. */
  async finish(): Promise<void> {
    const rest = this.form === 'json' ? this.#takeText(this.#restText()) : this.#takeItem(codeBinary);
    const end = await tail(this.#prover, this.#request, this.#digest.digest(), this.form);
    await this.#sending;
    await this.#send(Buffer.concat([rest, end]));
  }

  #restText(): Buffer {
    return Buffer.allocUnsafe(heads.json.length + Math.ceil((this.#blockUsed * 4) / 3));
  }

  async #flush(): Promise<void> {
    if (this.form === 'json-b') {
      await this.#send(this.#takeItem(codeBinaryChunk));
      return;
    }
    this.#texts ??= { filling: Buffer.allocUnsafeSlow(textBytes), sending: Buffer.allocUnsafeSlow(textBytes) };
    const { filling, sending } = this.#texts;
    const text = this.#takeText(filling);
    await this.#sending;
    this.#texts = { filling: sending, sending: filling };
    this.#sending = this.#send(text);
    // thrown where it is awaited: at the next block, or at the end
    this.#sending?.catch(() => {});
  }

  /** Sends what was gathered and then a chunk of the caller's own octets, uncopied. */
  async #sendWhole(octets: Uint8Array): Promise<void> {
    const gathered = this.#blockUsed > 0 || !this.#begun ? this.#takeItem(codeBinaryChunk) : nothing;
    this.#digest.update(octets);
    await this.#send(Buffer.concat([gathered, lengthCode(codeBinaryChunk, octets.length)]));
    await this.#send(octets);
  }

  /** Digests what was gathered and gives it as one item or chunk of JSON-B, with the head before the first of them. */
  #takeItem(code: number): Uint8Array {
    const octets = this.#block.subarray(0, this.#blockUsed);
    this.#digest.update(octets);
    const item = Buffer.concat([this.#begun ? nothing : heads['json-b'], lengthCode(code, octets.length), octets]);
    this.#begun = true;
    this.#blockUsed = 0;
    return item;
  }

  /** Digests what was gathered and writes it as text, with the head before the first of it. */
  #takeText(text: Buffer): Uint8Array {
    const octets = this.#block.subarray(0, this.#blockUsed);
    this.#digest.update(octets);
    let used = this.#begun ? 0 : heads.json.copy(text);
    for (let at = 0; at < octets.length; at += pieceBytes) {
      const end = Math.min(octets.length, at + pieceBytes);
      used += text.write(octets.toString('base64url', at, end), used, 'latin1');
    }
    this.#begun = true;
    this.#blockUsed = 0;
    return text.subarray(0, used);
  }
}
