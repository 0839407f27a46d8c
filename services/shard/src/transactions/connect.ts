import { fingerprint64 } from '@meshd/crypto/key-udf';
import { nonceUdf } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { pendingConnectionMs } from '@meshd/limits/limits';
import {
  connectNonceBytes,
  type VerifiedConnectionRequest,
  verifyConnectionRequest,
} from '@meshd/schema/connection-check';
import { connectionWitness } from '@meshd/schema/connection-witness';
import { deviceCatalog, inboundSpool } from '@meshd/schema/container-name';
import { AcknowledgeConnection } from '@meshd/schema/messages-mesh';
import { MeshError } from '@meshd/schema/status';
import { sameKey } from '../account-keys.js';
import { makeRoom } from '../connect/pending.js';
import type { RequestIdentity, ShardContext } from '../context.js';
import { appendMessages, signObject } from '../service-frames.js';
import { type AccountState, type AccountTransactor, type ContainerState, frameBytes } from '../storage/store.js';
import { answerOf, findAnswer, type WritingRequest } from '../stored-answer.js';

/** A device that is not connected, as the router authenticated it by its profile. */
export interface AskingDevice {
  /** Canonical address of the account. */
  readonly account: string;
  readonly deviceUdf: string;
  /** Raw base key of its profile that signed the request. */
  readonly key: Uint8Array;
}

/** A Connect request. */
export interface ConnectRequest {
  readonly device: AskingDevice;
  readonly identity: RequestIdentity;
  /** The RequestConnection. */
  readonly message: EnvelopeOctets;
}

/** What the device needs to know of those it asks. */
export interface ConnectResult {
  /** The AcknowledgeConnection, as it stands in the inbound spool. */
  readonly acknowledgement: EnvelopeOctets;
  readonly profileMesh: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;
}

/**
 * Connect (semantics 7.2, S50): files a device's request in the account's inbound spool, under the host's signature, and
 * tells the device whom it asks. Nothing is granted by it.
 *
 * The request is verified before it is known whether the account exists, so that both cost the same.
 *
 * @throws MeshError `malformed`, `payload-digest`, `object-signature` for the request; `account-unknown`,
 *   `account-pending`, `account-blocked`, `rate-limited`, `quota`.
 */
export async function connect(context: ShardContext, request: ConnectRequest): Promise<ConnectResult> {
  const { device, identity, message } = request;
  const verified = await verifyConnectionRequest(message);
  requireOwn(verified, device);
  const writing = { principal: `connect ${device.account} ${Buffer.from(device.key).toString('base64url')}`, identity };
  return context.store.transactAccount(device.account, async (transactor) => {
    const answered = await findAnswer<{ frameIndex: number }>(transactor, writing);
    const { state } = transactor;
    if (state === undefined || state.away !== null) throw new MeshError('account-unknown');
    if (state.status === 'pending') throw new MeshError('account-pending');
    if (state.status === 'blocked') throw new MeshError('account-blocked');
    const spool = spoolOf(state);
    if (answered !== undefined) return resultOf(state, await frameAt(transactor, spool, answered.frameIndex));
    return resultOf(state, await file(context, transactor, { state, spool, verified, writing }));
  });
}

/** The request is signed by the device that brings it, and for the account that it was routed by. */
function requireOwn({ account, profile, keyAuthentication }: VerifiedConnectionRequest, device: AskingDevice): void {
  if (account !== device.account) throw new MeshError('malformed', 'ServiceID is another account');
  if (profile.offlineKey.udf !== device.deviceUdf || !sameKey(keyAuthentication.raw, device.key)) {
    throw new MeshError('object-signature', 'the request is one of another device');
  }
}

interface Filing {
  readonly state: AccountState;
  readonly spool: ContainerState;
  readonly verified: VerifiedConnectionRequest;
  readonly writing: WritingRequest;
}

async function file(
  context: ShardContext,
  transactor: AccountTransactor,
  { state, spool, verified, writing }: Filing,
): Promise<EnvelopeOctets> {
  const nowMs = context.clock();
  const { udf: deviceUdf } = verified.profile.offlineKey;
  const removed = makeRoom(state.connections, deviceUdf, nowMs);
  const messageId = nonceUdf(context.random);
  const signed = signObject(context.host(), AcknowledgeConnection, acknowledge(context, state, verified, messageId));
  const append = appendMessages(spool, [{ signed, uniqueId: messageId, createdMs: nowMs }]);
  const [frame] = append.frames;
  if (frame === undefined) throw new Error('no frame was made');
  requireRoom(state, frameBytes(frame));
  const row = {
    ...{ deviceUdf, keyAuthentication: verified.keyAuthentication.raw, messageId, status: 'pending' as const },
    ...{ catalogFrom: state.containers.get(deviceCatalog)?.frameCount ?? 0, challengeIndex: null, revealed: false },
    expiresAtMs: nowMs + pendingConnectionMs,
  };
  await transactor.commit({
    containers: [{ name: spool.name, expectedFrameCount: spool.frameCount, ...append }],
    connections: [...removed, { put: row }],
    seen: answerOf(writing, { frameIndex: spool.frameCount }),
  });
  return frame;
}

/** The `Witness` is for old devices, and both ends compute it again (S51). */
function acknowledge(
  context: ShardContext,
  state: AccountState,
  { octets, profile, clientNonce }: VerifiedConnectionRequest,
  messageId: string,
): AcknowledgeConnection {
  const serverNonce = context.random(connectNonceBytes);
  return {
    MessageID: messageId,
    Recipient: state.address,
    EnvelopedRequestConnection: octets,
    ServerNonce: serverNonce,
    Witness: connectionWitness({
      meshFingerprint: fingerprint64('Ed448', state.meshOfflineKey),
      deviceFingerprint: fingerprint64('Ed448', profile.offlineKey.raw),
      ...{ serverNonce, clientNonce },
    }),
  };
}

function requireRoom({ quota, bytesUsed, frameCount }: AccountState, bytes: number): void {
  if (bytesUsed + bytes > quota.bytesMax || frameCount >= quota.framesMax) throw new MeshError('quota');
}

function spoolOf(state: AccountState): ContainerState {
  const spool = state.containers.get(inboundSpool);
  if (spool === undefined) throw new MeshError('internal', 'the account has no inbound spool');
  if (spool.damaged) throw new MeshError('overloaded', 'the container is read-only', { resource: inboundSpool });
  return spool;
}

function resultOf({ profileMesh, profileAccount }: AccountState, acknowledgement: EnvelopeOctets): ConnectResult {
  const { header, payload, trailer } = acknowledgement;
  return { acknowledgement: { header, payload, trailer }, profileMesh, profileAccount };
}

/** One whole frame of a container. */
export async function frameAt(
  reader: Pick<AccountTransactor, 'frames'>,
  container: ContainerState,
  frameIndex: number,
): Promise<EnvelopeOctets> {
  for await (const [frame] of reader.frames(container, { from: frameIndex, to: frameIndex })) {
    if (frame !== undefined) return { header: frame.header, payload: frame.payload, trailer: frame.trailer };
  }
  throw new MeshError('internal', `frame ${frameIndex} of ${container.name} is missing`);
}
