/**
 * Download: frames of the account's containers (draft 7.2, semantics 6.5).
 *
 * The answer is written while the shard sends it. Of a frame only its payload is encoded; header and trailer are JSON
 * text already and go out as they were stored.
 */
import type { ResponseStream } from '@meshd/binding/response-sign';
import { type EnvelopeOctets, writeEnvelope } from '@meshd/dare/envelope';
import {
  downloadEntriesDefault,
  downloadEntriesMax,
  downloadPayloadBytesDefault,
  downloadPayloadBytesMax,
  downloadSelectionsMax,
} from '@meshd/limits/limits';
import type {
  DownloadContainer,
  DownloadPart,
  DownloadRequest,
  Envelope,
  Selection,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ConstraintsData, ConstraintsSelect } from '@meshd/schema/common';
import { MeshError, statusRegistry } from '@meshd/schema/status';
import type { TransactionHandler } from '../transaction.js';
import { envelopeOfRpc, refuseMembers, userCall } from './shared.js';

export const download: TransactionHandler<'Download'> = async (message, context) => {
  const { principal, call } = await userCall(message, context);
  refuseMembers({ Exchange: message.Exchange });
  const selections = (message.Select ?? []).map(selectionOf);
  if (selections.length > downloadSelectionsMax) {
    throw new MeshError('malformed', `a download has at most ${downloadSelectionsMax} selections`);
  }
  const bounds = boundsOf(message.ConstraintsPost ?? {});
  const parts = await context.shards.download(call, { principal, selections, ...bounds });
  const { status } = statusRegistry.success;
  return { kind: 'streamed', code: 'success', status, write: (stream, id) => writeResponse(stream, id, parts) };
};

function selectionOf(select: ConstraintsSelect): Selection {
  const { PageKey, Filter, ProveFrom, Prove } = select;
  refuseMembers({ PageKey, Filter, ProveFrom, Prove });
  if (select.Container === undefined) throw new MeshError('malformed', 'Container is missing');
  const { IndexMax: indexMax } = select;
  return {
    container: select.Container,
    // Negative is the same as absent (semantics 6.5).
    indexMin: select.IndexMin === undefined ? undefined : Math.max(0, select.IndexMin),
    // Below every index: a range that is empty, since the rpc has no negative one.
    ...(indexMax !== undefined && indexMax < 0 ? { indexMin: 1, indexMax: 0 } : { indexMax }),
    notBeforeMs: select.NotBefore?.getTime(),
    beforeMs: select.Before?.getTime(),
  };
}

type Bounds = Pick<DownloadRequest, 'entriesMax' | 'payloadBytesMax' | 'header' | 'payload' | 'trailer'>;

/** How much is sent: little to whoever names no bound (draft 10.8.2), and all parts to whoever names none. */
function boundsOf(constraints: ConstraintsData): Bounds {
  const { MaxEntries: entries, BytesMax: bytes, BytesOffset, Header, Payload, Trailer } = constraints;
  refuseMembers({ BytesOffset });
  if ((entries ?? 1) < 1 || (bytes ?? 0) < 0) throw new MeshError('malformed', 'ConstraintsPost out of range');
  const isUnbounded = entries === undefined && bytes === undefined;
  const all = Header === undefined && Payload === undefined && Trailer === undefined;
  return {
    entriesMax: isUnbounded ? downloadEntriesDefault : Math.min(entries ?? downloadEntriesMax, downloadEntriesMax),
    payloadBytesMax: isUnbounded
      ? downloadPayloadBytesDefault
      : Math.min(bytes ?? downloadPayloadBytesMax, downloadPayloadBytesMax),
    header: all || Header === true,
    payload: all || Payload === true,
    trailer: all || Trailer === true,
  };
}

const base64Url = (octets: Uint8Array) => Buffer.from(octets).toString('base64url');

/** Writes the payload of the answer from the parts that the shard sends. */
async function writeResponse(
  stream: ResponseStream,
  id: Uint8Array,
  parts: AsyncIterable<DownloadPart>,
): Promise<void> {
  const { status, description } = statusRegistry.success;
  const text = (piece: string) => stream.write(Buffer.from(piece, 'utf8'));
  await text(
    `{"DownloadResponse":{"Status":${status},"StatusDescription":${JSON.stringify(description)},"ID":"${base64Url(id)}"`,
  );
  const writer = new UpdatesWriter(stream);
  let isEnded = false;
  for await (const { part } of parts) {
    if (part?.$case === 'container') await writer.container(part.value);
    else if (part?.$case === 'frames') for (const envelope of part.value.envelopes) await writer.frame(envelope);
    else if (part?.$case === 'end') isEnded = true;
    else if (part?.$case === 'outcome') throw new Error('the shard broke off the download');
  }
  // Without its end the answer would be whole JSON about half of what was asked for.
  if (!isEnded) throw new Error('the download ended before its end');
  await writer.finish();
  await text('}}');
}

/** Writes `Updates`, one container after the other, empty arrays left out. */
class UpdatesWriter {
  readonly #stream: ResponseStream;
  #containers = 0;
  #frames = 0;

  constructor(stream: ResponseStream) {
    this.#stream = stream;
  }

  async container({ status }: DownloadContainer): Promise<void> {
    if (status === undefined) throw new Error('a container without its status');
    await this.#close();
    const digest = status.digest.length === 0 ? '' : `,"Digest":"${base64Url(status.digest)}"`;
    await this.#text(
      `${this.#containers === 0 ? ',"Updates":[' : ','}{"Container":${JSON.stringify(status.container)},"Index":${status.index}${digest}`,
    );
    this.#containers += 1;
    this.#frames = 0;
  }

  async frame(envelope: Envelope): Promise<void> {
    await this.#text(this.#frames === 0 ? ',"Envelopes":[' : ',');
    this.#frames += 1;
    await writeFrame(this.#stream, envelopeOfRpc(envelope));
  }

  async finish(): Promise<void> {
    await this.#close();
    if (this.#containers > 0) await this.#text(']');
  }

  async #close(): Promise<void> {
    if (this.#containers === 0) return;
    await this.#text(this.#frames === 0 ? '}' : ']}');
  }

  #text(piece: string): Promise<void> {
    return this.#stream.write(Buffer.from(piece, 'utf8'));
  }
}

const opening = Buffer.from('[');
const beforePayload = Buffer.from(',"');
const afterPayload = Buffer.from('"');
const comma = Buffer.from(',');
const closing = Buffer.from(']');

async function writeFrame(stream: ResponseStream, envelope: EnvelopeOctets): Promise<void> {
  const { header, payload, trailer } = envelope;
  if (payload === null) {
    // Redacted: the trailer's members move into the header (encoding 2.1).
    await stream.write(writeEnvelope(envelope, 'json'));
    return;
  }
  await stream.write(opening);
  await stream.write(header);
  await stream.write(beforePayload);
  await stream.writeBase64(payload);
  await stream.write(afterPayload);
  if (trailer !== null) {
    await stream.write(comma);
    await stream.write(trailer);
  }
  await stream.write(closing);
}
