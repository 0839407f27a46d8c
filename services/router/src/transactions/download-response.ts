/**
 * The answer to a Download, written while the shard sends it. Of a frame only its payload is encoded; header and trailer
 * are JSON text already and go out as they were stored, in JSON-B too, whose readers take JSON.
 */
import type { ResponseStream } from '@meshd/binding/response-sign';
import { writeEnvelope } from '@meshd/dare/envelope';
import { type EnvelopeOctets, mergeParts } from '@meshd/dare/envelope-octets';
import { encodeObject } from '@meshd/encoding/codec';
import { TokenWriter } from '@meshd/encoding/token-writer';
import type {
  DownloadContainer,
  DownloadEnd,
  DownloadPart,
  DownloadRequest,
  FrameProof,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { ExchangeResponse } from '@meshd/schema/common';
import { statusRegistry } from '@meshd/schema/status';
import type { IssueTicket } from '../reply.js';
import { envelopeOfRpc } from './shared.js';

/** Which parts of frames are sent. */
export type PageParts = Pick<DownloadRequest, 'header' | 'payload' | 'trailer'>;

/** What {@link writeResponse} writes from. */
export interface DownloadAnswer {
  readonly id: Uint8Array;
  /** Canonical address. */
  readonly account: string;
  readonly parts: AsyncIterable<DownloadPart>;
  /** The page key with which a selection that was cut is continued; nothing for who does not know page keys. */
  readonly sealNext: (position: number, indexNext: number, frameCount: number) => string | undefined;
  readonly issue: IssueTicket;
}

/** Writes the payload of the answer from the parts that the shard sends. */
export async function writeResponse(stream: ResponseStream, answer: DownloadAnswer): Promise<void> {
  const writer = new DownloadWriter(stream, answer);
  let end: DownloadEnd | undefined;
  for await (const { part } of answer.parts) {
    if (part?.$case === 'container') writer.container(part.value);
    else if (part?.$case === 'frames') {
      const { envelopes, proofs } = part.value;
      for (const [at, envelope] of envelopes.entries()) await writer.frame(envelopeOfRpc(envelope), proofs[at]);
    } else if (part?.$case === 'containerEnd') writer.containerEnd(part.value.indexNext);
    else if (part?.$case === 'end') end = part.value;
    else if (part?.$case === 'outcome') throw new Error('the shard broke off the download');
  }
  // Without its end the answer would be whole text about half of what was asked for.
  if (end === undefined) throw new Error('the download ended before its end');
  await writer.finish(end);
}

/** Payloads up to this size are written with what is around them, larger ones pass by uncopied. */
const smallBytes = 8 * 1024;

/** Writes the members of a DownloadResponse, one container after the other, empty arrays left out. */
class DownloadWriter {
  readonly #stream: ResponseStream;
  readonly #answer: DownloadAnswer;
  readonly #writer: TokenWriter;
  #containers = 0;
  #frames = 0;
  #current: { readonly position: number; readonly frameCount: number } | undefined;

  constructor(stream: ResponseStream, answer: DownloadAnswer) {
    this.#stream = stream;
    this.#answer = answer;
    this.#writer = new TokenWriter(stream.form);
    const { status, description } = statusRegistry.success;
    const writer = this.#writer;
    writer.beginObject();
    writer.name('DownloadResponse');
    writer.beginObject();
    writer.name('Status');
    writer.integer(status);
    writer.name('StatusDescription');
    writer.string(description);
    writer.name('ID');
    writer.binary(answer.id);
  }

  container({ selection, status, consistency }: DownloadContainer): void {
    if (status === undefined) throw new Error('a container without its status');
    this.#close();
    const writer = this.#writer;
    if (this.#containers === 0) {
      writer.name('Updates');
      writer.beginArray();
    }
    this.#containers += 1;
    this.#frames = 0;
    this.#current = { position: selection, frameCount: status.index };
    writer.beginObject();
    writer.name('Container');
    writer.string(status.container);
    writer.name('Index');
    writer.integer(status.index);
    if (status.digest.length > 0) {
      writer.name('Digest');
      writer.binary(status.digest);
    }
    if (consistency.length === 0) return;
    writer.name('Consistency');
    writer.beginArray();
    for (const node of consistency) writer.binary(node);
    writer.endArray();
  }

  async frame(envelope: EnvelopeOctets, proof: FrameProof | undefined): Promise<void> {
    const writer = this.#writer;
    if (this.#frames === 0) {
      writer.name('Envelopes');
      writer.beginArray();
    }
    this.#frames += 1;
    const { header, payload, trailer } = envelope;
    if (payload === null) {
      // Redacted: the trailer's members move into the header (encoding 2.1).
      const merged = trailer === null ? header : mergeParts(header, trailer);
      writer.beginArray();
      writer.raw(withProof(merged, proof));
      writer.endArray();
    } else {
      writer.beginArray();
      writer.raw(withProof(header, proof));
      await this.#payload(payload);
      if (trailer !== null) writer.raw(trailer);
      writer.endArray();
    }
    await this.#flush();
  }

  async #payload(payload: Uint8Array): Promise<void> {
    if (payload.length <= smallBytes) {
      this.#writer.binary(payload);
      return;
    }
    // What is due before a value is written, and the value beside the writer.
    this.#writer.raw(nothing);
    await this.#flush();
    await this.#stream.writeBinary(payload);
  }

  /** A limit cut the selection: the key with which it goes on. */
  containerEnd(indexNext: number | undefined): void {
    if (indexNext === undefined || this.#current === undefined) return;
    const { position, frameCount } = this.#current;
    const pageKey = this.#answer.sealNext(position, indexNext, frameCount);
    if (pageKey === undefined) return;
    this.#endFrames();
    this.#writer.name('PageKey');
    this.#writer.string(pageKey);
  }

  async finish({ heads, principal }: DownloadEnd): Promise<void> {
    this.#close();
    const writer = this.#writer;
    if (this.#containers > 0) writer.endArray();
    if (heads !== undefined) {
      writer.name('EnvelopedHeads');
      writer.raw(writeEnvelope(envelopeOfRpc(heads), writer.form));
    }
    const { account, issue } = this.#answer;
    const exchange = issue(principal === undefined ? undefined : { account, principal });
    if (exchange !== undefined) {
      writer.name('Exchange');
      writer.raw(encodeObject(ExchangeResponse, exchange, writer.form));
    }
    writer.endObject();
    writer.endObject();
    await this.#flush();
  }

  #endFrames(): void {
    if (this.#frames > 0) this.#writer.endArray();
    this.#frames = 0;
  }

  #close(): void {
    if (this.#current === undefined) return;
    this.#endFrames();
    this.#writer.endObject();
    this.#current = undefined;
  }

  async #flush(): Promise<void> {
    await this.#stream.write(this.#writer.take());
  }
}

const nothing = new Uint8Array(0);
const closingBrace = Buffer.from('}');

/** A header with the proof of its frame (S46): members are added to the text, the others stay as they were stored. */
function withProof(header: Uint8Array, proof: FrameProof | undefined): Uint8Array {
  if (proof === undefined || (proof.inclusion.length === 0 && proof.leafDigest.length === 0)) return header;
  const text = (octets: Uint8Array) => `"${Buffer.from(octets).toString('base64url')}"`;
  const members = [
    ...(proof.inclusion.length === 0 ? [] : [`"Inclusion":[${proof.inclusion.map(text).join(',')}]`]),
    ...(proof.leafDigest.length === 0 ? [] : [`"LeafDigest":${text(proof.leafDigest)}`]),
  ];
  // Stored headers end with their brace; one without members has nothing before it that a comma could follow.
  const rest = header.subarray(0, header.length - 1);
  const isEmpty = header.length === 2;
  return Buffer.concat([rest, Buffer.from(`${isEmpty ? '' : ','}${members.join(',')}`), closingBrace]);
}
