import type { EnvelopeOctets } from '@meshd/dare/envelope';
import type {
  EntryResult,
  Envelope,
  DownloadPart as RpcDownloadPart,
  DownloadRequest as RpcDownloadRequest,
  Principal as RpcPrincipal,
  RequestIdentity as RpcRequestIdentity,
  Status as RpcStatus,
  StatusResult as RpcStatusResult,
  Upload as RpcUpload,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { MeshError } from '@meshd/schema/status';
import type { Principal } from './authorise.js';
import type { RequestIdentity } from './context.js';
import type { DownloadPart, DownloadRequest } from './transactions/download.js';
import type { StatusRequest, StatusResult } from './transactions/status.js';
import type { AcceptedRun, UploadRequest } from './transactions/upload.js';
import { type EntryFault, extendedOf } from './upload/fault.js';

/*
 * Between the messages of the rpc and the values of the transactions. Absent parts are `undefined` there and `null` here;
 * octets are passed on, never copied.
 */

/** An envelope as received. */
export function envelopeOctets({ header, payload, trailer }: Envelope): EnvelopeOctets {
  return { header, payload: payload ?? null, trailer: trailer ?? null };
}

function rpcEnvelope({ header, payload, trailer }: EnvelopeOctets): Envelope {
  return { header, payload: payload ?? undefined, trailer: trailer ?? undefined };
}

/** What a router must send; its absence is a defect of the router, not of the client. */
export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new MeshError('internal', `the router sent no ${name}`);
  return value;
}

/** Who asks. */
export function principalOf(principal: RpcPrincipal | undefined): Principal {
  const { account, key, connectionDigest, connection, ticketIssuedMs } = required(principal, 'principal');
  const octets = connection === undefined ? undefined : envelopeOctets(connection);
  return { account, key, connectionDigest, connection: octets, ticketIssuedMs };
}

function identityOf(identity: RpcRequestIdentity | undefined): RequestIdentity {
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
    profileMesh: profileMesh === undefined ? undefined : rpcEnvelope(profileMesh),
    deviceEntry: deviceEntry === undefined ? undefined : rpcEnvelope(deviceEntry),
    heads: heads === undefined ? undefined : rpcEnvelope(heads),
  };
}

/** A Download. */
export function downloadRequestOf(request: RpcDownloadRequest): DownloadRequest {
  const { selections, entriesMax, payloadBytesMax, header, payload, trailer } = request;
  return {
    principal: principalOf(request.principal),
    selections: selections.map(({ container, indexMin, indexMax, notBeforeMs, beforeMs }) => ({
      container,
      indexMin,
      indexMax,
      notBeforeMs,
      beforeMs,
    })),
    entriesMax,
    payloadBytesMax,
    parts: { header, payload, trailer },
  };
}

/** A piece of an answer to Download. */
export function rpcDownloadPart(part: DownloadPart): RpcDownloadPart {
  switch (part.kind) {
    case 'container': {
      const { selectionIndex: selection, status } = part;
      return { part: { $case: 'container', value: { selection, status: { ...status }, consistency: [] } } };
    }
    case 'frames':
      return { part: { $case: 'frames', value: { envelopes: part.envelopes.map(rpcEnvelope), proofs: [] } } };
    case 'end':
      return { part: { $case: 'end', value: { frameCount: part.frameCount, cut: part.cut } } };
  }
}
