/** Sizes of messages, near enough for bounds: their octet strings, and something for the rest. */
import type { DownloadPart, Envelope, TransactRequest, TransactResponse } from './generated/meshd/shard/v1/shard.js';

const overheadBytes = 256;

/** Octets of an envelope. */
export function envelopeBytes(envelope: Envelope | undefined): number {
  if (envelope === undefined) return 0;
  return envelope.header.length + (envelope.payload?.length ?? 0) + (envelope.trailer?.length ?? 0);
}

/** Octets of a request. */
export function requestBytes({ transaction }: Pick<TransactRequest, 'transaction'>): number {
  switch (transaction?.$case) {
    case 'upload': {
      let bytes = overheadBytes + envelopeBytes(transaction.value.principal?.connection);
      for (const update of transaction.value.updates) {
        bytes += overheadBytes;
        for (const envelope of update.envelopes) bytes += envelopeBytes(envelope) + 16;
      }
      return bytes;
    }
    case 'createAccount':
    case 'deleteAccount':
      return overheadBytes + envelopeBytes(transaction.value.request);
    case 'status':
      return overheadBytes + envelopeBytes(transaction.value.principal?.connection);
    default:
      return overheadBytes;
  }
}

/** Octets of an answer. */
export function responseBytes({ result }: Pick<TransactResponse, 'result'>): number {
  switch (result?.$case) {
    case 'status':
      return (
        overheadBytes +
        result.value.containers.length * 128 +
        envelopeBytes(result.value.profileMesh) +
        envelopeBytes(result.value.deviceEntry)
      );
    case 'upload':
      return overheadBytes + result.value.entries.length * 32;
    default:
      return overheadBytes;
  }
}

/** Octets of a part of a download. */
export function partBytes({ part }: DownloadPart): number {
  if (part?.$case !== 'frames') return overheadBytes;
  return part.value.envelopes.reduce((bytes, envelope) => bytes + envelopeBytes(envelope), overheadBytes);
}
