import type { EnvelopeOctets } from '@meshd/dare/envelope';
import type {
  EntryResult,
  Envelope,
  DownloadPart as RpcDownloadPart,
  DownloadRequest as RpcDownloadRequest,
  Post as RpcPost,
  Principal as RpcPrincipal,
  RequestIdentity as RpcRequestIdentity,
  Selection as RpcSelection,
  Status as RpcStatus,
  StatusResult as RpcStatusResult,
  Upload as RpcUpload,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { MeshError } from '@meshd/schema/status';
import type { Principal } from './authorise.js';
import type { RequestIdentity } from './context.js';
import type { DownloadPart, DownloadRequest, Selection } from './transactions/download.js';
import type { PostRequest } from './transactions/post.js';
import type { StatusRequest, StatusResult } from './transactions/status.js';
import type { AcceptedRun, UploadProbed, UploadRequest } from './transactions/upload.js';
import { type EntryFault, extendedOf, isFault } from './upload/fault.js';

/*
 * Between the messages of the rpc and the values of the transactions. Absent parts are `undefined` there and `null` here;
 * octets are passed on, never copied.
 */

/** An envelope as received. */
export function envelopeOctets({ header, payload, trailer }: Envelope): EnvelopeOctets {
  return { header, payload: payload ?? null, trailer: trailer ?? null };
}

/** An envelope to send on. */
export function rpcEnvelope({ header, payload, trailer }: EnvelopeOctets): Envelope {
  return { header, payload: payload ?? undefined, trailer: trailer ?? undefined };
}

/** What a router must send; its absence is a defect of the router, not of the client. */
export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new MeshError('internal', `the router sent no ${name}`);
  return value;
}

/** Who asks. */
export function principalOf(principal: RpcPrincipal | undefined): Principal {
  const { account, key, connectionDigest, connection, ticketIssuedMs, moves } = required(principal, 'principal');
  const octets = connection === undefined ? undefined : envelopeOctets(connection);
  return { account, key, connectionDigest, connection: octets, ticketIssuedMs, moves };
}

export function identityOf(identity: RpcRequestIdentity | undefined): RequestIdentity {
  const { id, payloadDigest } = required(identity, 'identity');
  return { id, payloadDigest };
}

/** An Upload. */
export function uploadRequestOf(upload: RpcUpload, identity: RpcRequestIdentity | undefined): UploadRequest {
  return {
    principal: principalOf(upload.principal),
    identity: identityOf(identity),
    updates: upload.updates.map(({ container, index, digest, envelopes }) => ({
      container,
      index,
      digest,
      envelopes: envelopes.map(envelopeOctets),
    })),
    self: upload.self.map(envelopeOctets),
    heads: upload.heads,
  };
}

/** A Post. */
export function postRequestOf(
  { principal, accounts, messages, self }: RpcPost,
  identity: RpcRequestIdentity | undefined,
): PostRequest {
  return {
    ...{ principal: principalOf(principal), identity: identityOf(identity), accounts },
    ...{ messages: messages.map(envelopeOctets), self: self.map(envelopeOctets) },
  };
}

/** One answer an entry. */
export function acceptedEntries(runs: readonly AcceptedRun[]): EntryResult[] {
  return runs.flatMap(({ indexRequest, indexContainer, count }) =>
    Array.from({ length: count }, (_, at) => ({
      indexRequest: indexRequest + at,
      indexContainer: indexContainer + at,
      result: 'Accept',
      statusExtended: 0,
    })),
  );
}

/** One answer an entry at fault. */
export function refusedEntries(faults: readonly EntryFault[]): EntryResult[] {
  return faults.map(({ indexRequest, result, code }) => ({ indexRequest, result, statusExtended: extendedOf(code) }));
}

/** One answer an entry of a probe. */
export function probedEntries(entries: UploadProbed['entries']): EntryResult[] {
  return entries.map((entry) => {
    if (isFault(entry)) return refusedEntries([entry])[0] as EntryResult;
    const { indexRequest, constraints } = entry;
    return { indexRequest, result: 'Accept', statusExtended: 0, constraints };
  });
}

/** An envelope that may be absent. */
export function optionalEnvelope(octets: EnvelopeOctets | undefined): Envelope | undefined {
  return octets === undefined ? undefined : rpcEnvelope(octets);
}

/** A Status. */
export function statusRequestOf(asked: RpcStatus): StatusRequest {
  const { principal, deviceUdf, profileMasterDigest, containers, known, waitMs, heads } = asked;
  return {
    principal: principalOf(principal),
    ...{ deviceUdf, profileMasterDigest, containers, known, waitMs, heads },
  };
}

/** An answer to Status. */
export function rpcStatusResult({ containers, profileMesh, deviceEntry, heads }: StatusResult): RpcStatusResult {
  return {
    containers: [...containers],
    profileMesh: optionalEnvelope(profileMesh),
    deviceEntry: optionalEnvelope(deviceEntry),
    heads: optionalEnvelope(heads),
  };
}

/** A Download. */
export function downloadRequestOf(request: RpcDownloadRequest): DownloadRequest {
  const { entriesMax, payloadBytesMax, payloadOffset, heads, describePrincipal, header, payload, trailer } = request;
  return {
    principal: principalOf(request.principal),
    selections: request.selections.map(selectionOf),
    ...{ entriesMax, payloadBytesMax, payloadOffset, heads, describePrincipal },
    parts: { header, payload, trailer },
  };
}

function selectionOf(selection: RpcSelection): Selection {
  const { container, indexMin, indexMax, notBeforeMs, beforeMs, filters, frameCount, proveFrom, prove } = selection;
  return { container, indexMin, indexMax, notBeforeMs, beforeMs, filters, frameCount, proveFrom, prove };
}

/** A piece of an answer to Download. */
export function rpcDownloadPart(part: DownloadPart): RpcDownloadPart {
  switch (part.kind) {
    case 'container': {
      const { selectionIndex: selection, status, consistency } = part;
      return {
        part: { $case: 'container', value: { selection, status: { ...status }, consistency: [...consistency] } },
      };
    }
    case 'frames': {
      const envelopes = part.envelopes.map(rpcEnvelope);
      const proofs = part.proofs.map(({ inclusion, leafDigest }) => ({ inclusion: [...inclusion], leafDigest }));
      return { part: { $case: 'frames', value: { envelopes, proofs } } };
    }
    case 'container-end':
      return { part: { $case: 'containerEnd', value: { indexNext: part.indexNext } } };
    case 'end': {
      const { frameCount, cut, principal } = part;
      const heads = optionalEnvelope(part.heads);
      return { part: { $case: 'end', value: { frameCount, cut, heads, principal } } };
    }
  }
}
