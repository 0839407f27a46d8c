import { nonceUdf, udfEquals } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { deviceCatalog, inboundSpool } from '@meshd/schema/container-name';
import { RevealConnection } from '@meshd/schema/messages-mesh';
import { MeshError } from '@meshd/schema/status';
import { sameKey } from '../account-keys.js';
import { authorise, type Principal } from '../authorise.js';
import { noteFirstUse } from '../connect/first-use.js';
import { isHailing } from '../connect/offers.js';
import { isAccepted, isPending } from '../connect/pending.js';
import type { ShardContext } from '../context.js';
import { mayRead } from '../permissions.js';
import { appendMessages, signObject } from '../service-frames.js';
import type { ConnectionRow } from '../storage/connection-rows.js';
import type { AccountReader, AccountState, ContainerState, DeviceRow } from '../storage/store.js';
import { type AskingDevice, frameAt } from './connect.js';
import { type ContainerStatus, containerStatus } from './status.js';

/** What a device is told of its connection. */
export interface CompleteResult {
  readonly status: 201 | 300;
  /** Its entry of the device catalog, or an offer that was left for it; with 201. */
  readonly entry?: EnvelopeOctets | undefined;
  readonly profileMesh?: EnvelopeOctets | undefined;
  /** The containers that it may read. */
  readonly containers?: readonly ContainerStatus[];
  /** The administrator's challenge, which the device answers once; with 300 (S53). */
  readonly challenge?: EnvelopeOctets | undefined;
}

/** A device that asks by its base key. */
export interface CompleteRequest {
  readonly device: AskingDevice;
  /** The device that it asks for: itself. */
  readonly deviceUdf: string;
  /** The device's secret, in answer to a challenge: filed for the administrator, once. */
  readonly reveal: Uint8Array | undefined;
}

/**
 * Complete, as a device asks that is not connected yet (semantics 7.3, S53, S55): what became of its request.
 *
 * Unknown, foreign and forgotten requests are answered alike. After the device has acted under its new keys, whoever
 * holds the base key learns nothing any more.
 *
 * @throws MeshError `connection-unknown`, `connection-rejected`, `policy`
 */
export async function complete(
  context: ShardContext,
  { device, deviceUdf, reveal }: CompleteRequest,
): Promise<CompleteResult> {
  if (!isNamed(deviceUdf, device)) throw new MeshError('connection-unknown');
  const answer = await context.store.readAccount(device.account, (reader) => answerOf(context, device, reader));
  if (reveal === undefined || answer.challenge === undefined) return answer;
  await fileReveal(context, device, reveal);
  return { status: 300 };
}

async function answerOf(context: ShardContext, device: AskingDevice, reader: AccountReader): Promise<CompleteResult> {
  const { state } = reader;
  const { clock } = context;
  const row = state === undefined ? undefined : ownRow(state, device);
  if (state !== undefined && row === undefined && isHailing(state)) return offered(context, device, reader, state);
  if (state === undefined || row === undefined) throw unknown(state, device);
  // A device that is not connected yet learns nothing of where the account is (semantics 6.3).
  if (state.away !== null) throw new MeshError('connection-unknown');
  const listed = state.devices.get(device.deviceUdf);
  if (listed?.revokedAtMs === null && isAccepted(row, listed.entryIndex)) return connected(reader, state, listed);
  if (!isPending(row, clock()) && row.status !== 'accepted') throw new MeshError('connection-rejected');
  if (row.challengeIndex === null || row.revealed) return { status: 300 };
  const spool = state.containers.get(inboundSpool) as ContainerState;
  return { status: 300, challenge: await frameAt(reader, spool, row.challengeIndex) };
}

/**
 * What a device gets that hails (semantics 7.6, S56): an offer that was left for it, another one each time. Its own account's
 * device is connected and hails in vain. Which devices there are the account does not know: all others are told to wait.
 */
async function offered(
  { offerTurns }: ShardContext,
  device: AskingDevice,
  reader: AccountReader,
  state: AccountState,
): Promise<CompleteResult> {
  const spool = state.containers.get(inboundSpool) as ContainerState;
  const { frameIndexes } = await reader.waitingOffers(device.deviceUdf);
  // Read after the state: one that was committed in between lies in a frame that the state does not know yet.
  const known = frameIndexes.filter((frameIndex) => frameIndex < spool.frameCount);
  const next = offerTurns.next(state.id, device.deviceUdf, known);
  if (next === undefined) {
    if (state.devices.has(device.deviceUdf)) throw unknown(state, device);
    return { status: 300 };
  }
  return { status: 201, entry: await frameAt(reader, spool, next) };
}

function ownRow(state: AccountState, { deviceUdf, key }: AskingDevice): ConnectionRow | undefined {
  const row = state.connections.get(deviceUdf);
  return row !== undefined && sameKey(row.keyAuthentication, key) ? row : undefined;
}

/** A device that is connected is told so; that it is, its profile proves, by which it asks (S55). */
function unknown(state: AccountState | undefined, { deviceUdf }: AskingDevice): MeshError {
  const listed = state?.devices.get(deviceUdf);
  if (listed === undefined || state?.connections.has(deviceUdf)) return new MeshError('connection-unknown');
  return new MeshError('policy', 'the device is connected: its base key is not taken any more');
}

async function connected(
  reader: AccountReader,
  state: AccountState,
  { entryIndex, permissions }: DeviceRow,
): Promise<CompleteResult> {
  const catalog = state.containers.get(deviceCatalog) as ContainerState;
  const readable = [...state.containers.values()].filter(({ name }) => mayRead(permissions, name));
  return {
    status: 201,
    entry: await frameAt(reader, catalog, entryIndex),
    profileMesh: state.profileMesh,
    containers: readable.map(containerStatus),
  };
}

/** Files the device's secret beside the challenge that it answers, in the host's name: the device cannot write yet. */
async function fileReveal(context: ShardContext, device: AskingDevice, reveal: Uint8Array): Promise<void> {
  await context.store.transactAccount(device.account, async (transactor) => {
    const { state } = transactor;
    const row = state === undefined ? undefined : ownRow(state, device);
    const nowMs = context.clock();
    if (state === undefined || row === undefined || row.revealed || row.challengeIndex === null) return;
    if (!isPending(row, nowMs)) return;
    const spool = state.containers.get(inboundSpool) as ContainerState;
    const messageId = nonceUdf(context.random);
    const signed = signObject(context.host(), RevealConnection, {
      ...{ MessageID: messageId, Recipient: state.address, ClientReveal: reveal },
      References: [{ MessageID: row.messageId }],
    });
    const append = appendMessages(spool, [{ signed, uniqueId: messageId, createdMs: nowMs }]);
    await transactor.commit({
      containers: [{ name: spool.name, expectedFrameCount: spool.frameCount, ...append }],
      connections: [{ put: { ...row, revealed: true } }],
    });
  });
}

/**
 * Complete, as a connected device asks: its entry, as a device does that lost the answer under its base key, or whose connection
 * was superseded, or whose account is at another service by now. Of another device of the account it is told whether that has
 * acted under its new keys yet (S57), and no more.
 *
 * @throws MeshError as `authorise`; `connection-unknown` for a `DeviceUDF` that is no device of the account.
 */
export async function completeConnected(
  context: ShardContext,
  principal: Principal,
  deviceUdf: string,
): Promise<CompleteResult> {
  const { caller, answer } = await context.store.readAccount(principal.account, async (reader) => {
    const caller = await authorise(principal, reader.state, { away: 'entry', superseded: true });
    const { device, state } = caller;
    if (device === undefined) throw new MeshError('connection-unknown');
    const answer = isNamed(deviceUdf, device) ? await connected(reader, state, device) : firstSign(state, deviceUdf);
    return { caller, answer };
  });
  if (caller.state.away === null) await noteFirstUse(context, caller);
  return answer;
}

/** A request that is still there was not used: the device's first act under its new keys removes it (S55). */
function firstSign({ devices, connections }: AccountState, text: string): CompleteResult {
  const listed = [...devices.values()].find((row) => isNamed(text, row));
  if (listed === undefined || listed.revokedAtMs !== null) throw new MeshError('connection-unknown');
  return { status: connections.has(listed.deviceUdf) ? 300 : 201 };
}

function isNamed(text: string, { deviceUdf }: Pick<DeviceRow, 'deviceUdf'>): boolean {
  try {
    return udfEquals(text, deviceUdf);
  } catch {
    return false;
  }
}
