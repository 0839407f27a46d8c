/** Sizes of messages, near enough for bounds: their octet strings, and something for the rest. */
import type {
  DownloadPart,
  Envelope,
  RowOutcome,
  TransactRequest,
  TransactResponse,
} from './generated/meshd/shard/v1/shard.js';

const overheadBytes = 256;
/** One container of a Status. */
const containerBytes = 128;
const hashBytes = 34;
/** An address or domain with what stands beside it. */
const addressBytes = 128;

/** Octets of an envelope. */
export function envelopeBytes(envelope: Envelope | undefined): number {
  if (envelope === undefined) return 0;
  return envelope.header.length + (envelope.payload?.length ?? 0) + (envelope.trailer?.length ?? 0);
}

/** A Status that waits for a change: for long, and doing nothing. */
export function isWaiting({ transaction }: Pick<TransactRequest, 'transaction'>): boolean {
  return transaction?.$case === 'status' && (transaction.value.waitMs ?? 0) > 0;
}

function receiptBytes({ outcome }: RowOutcome): number {
  return outcome?.$case === 'delivered' ? envelopeBytes(outcome.value.receipt) : 0;
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
      for (const envelope of transaction.value.self) bytes += envelopeBytes(envelope) + 16;
      return bytes;
    }
    case 'createAccount':
    case 'deleteAccount':
      return overheadBytes + envelopeBytes(transaction.value.request);
    case 'status':
      return (
        overheadBytes +
        envelopeBytes(transaction.value.principal?.connection) +
        transaction.value.known.length * containerBytes
      );
    case 'post': {
      const { principal, accounts, messages, self } = transaction.value;
      const entries = [...messages, ...self].reduce((bytes, envelope) => bytes + envelopeBytes(envelope) + 16, 0);
      return overheadBytes + envelopeBytes(principal?.connection) + accounts.length * addressBytes + entries;
    }
    case 'deliver': {
      const { messages } = transaction.value;
      return messages.reduce(
        (bytes, { message, recipients }) => bytes + envelopeBytes(message) + recipients.length * addressBytes + 16,
        overheadBytes,
      );
    }
    case 'settleOutbox':
      return transaction.value.rows.reduce((bytes, row) => bytes + 64 + receiptBytes(row), overheadBytes);
    case 'settlePeer':
      return overheadBytes + envelopeBytes(transaction.value.peer?.profileService);
    case 'storeLarge': {
      const { principal, step } = transaction.value;
      const sliceBytes = step?.$case === 'slice' ? step.value.data.length : 0;
      return overheadBytes + envelopeBytes(principal?.connection) + sliceBytes;
    }
    case 'authenticate':
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
        result.value.containers.length * containerBytes +
        envelopeBytes(result.value.profileMesh) +
        envelopeBytes(result.value.deviceEntry) +
        envelopeBytes(result.value.heads)
      );
    case 'upload':
      return overheadBytes + result.value.entries.length * 32 + envelopeBytes(result.value.heads);
    case 'post':
      return overheadBytes + result.value.entries.length * addressBytes;
    case 'deliver':
      return result.value.results.reduce(
        (bytes, { receipt }) => bytes + addressBytes + envelopeBytes(receipt),
        overheadBytes,
      );
    case 'leaseOutbox':
      return result.value.rows.reduce((bytes, { message }) => bytes + 256 + envelopeBytes(message), overheadBytes);
    case 'lookupPeer':
      return overheadBytes + envelopeBytes(result.value.peer?.profileService);
    case 'leasePeers':
      return result.value.peers.reduce(
        (bytes, { pinned }) => bytes + addressBytes + envelopeBytes(pinned?.profileService),
        overheadBytes,
      );
    case 'storeLarge':
      return overheadBytes + result.value.files.length * addressBytes;
    case 'fetchLarge':
      return overheadBytes + result.value.data.length;
    case 'listWork':
      return overheadBytes + result.value.lanes.length * addressBytes;
    case 'listDestinations':
      return overheadBytes + result.value.destinations.length * 2 * addressBytes;
    case 'listWaiting':
      return overheadBytes + result.value.messages.length * 4 * addressBytes;
    default:
      return overheadBytes;
  }
}

/** Octets of a part of a download. */
export function partBytes({ part }: DownloadPart): number {
  switch (part?.$case) {
    case 'frames': {
      const { envelopes, proofs } = part.value;
      const sent = envelopes.reduce((bytes, envelope) => bytes + envelopeBytes(envelope), overheadBytes);
      return proofs.reduce((bytes, { inclusion }) => bytes + (inclusion.length + 1) * hashBytes, sent);
    }
    case 'container':
      return overheadBytes + part.value.consistency.length * hashBytes;
    case 'end':
      return overheadBytes + envelopeBytes(part.value.heads);
    default:
      return overheadBytes;
  }
}
