/** Complete: a device asks what became of its request to be connected (draft 8, semantics 7.3). */
import { completePollMsMin } from '@meshd/limits/limits';
import type { CompleteResult } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { CompleteRequest, StatusResponse } from '@meshd/schema/protocol';
import { MeshError, statusRegistry } from '@meshd/schema/status';
import { whole } from '../reply.js';
import { requireSuccess } from '../shard-router.js';
import type { TransactionContext, TransactionHandler } from '../transaction.js';
import { accountNamed, askingDevice } from './asking-device.js';
import { refusalOf } from './connect.js';
import { bufferOf, callerOf, callOf, envelopeOfRpc, successCode, userCall } from './shared.js';
import { containerStatus } from './status.js';

const revealBytes = 32;

/**
 * Under its base key a device asks while its request is open (S55); under its new keys it may ask for its entry again.
 *
 * @throws MeshError `connection-unknown` (404) for what is not the caller's own, whatever it is
 */
export const complete: TransactionHandler<'Complete'> = async (message, context) => {
  const connected = callerOf(context.authentication) === 'connected';
  const { call, value } = connected ? await connectedCall(message, context) : askingCall(message, context);
  const { outcome, result } = await context.shards.transact(call, { $case: 'complete', value });
  requireSuccess(outcome);
  if (result?.$case !== 'complete') throw new Error('the shard answered another request');
  // One of several codes of that status.
  const isPending = outcome.status === statusRegistry['connection-pending'].status;
  const code = isPending ? 'connection-pending' : successCode(outcome);
  return whole<'Complete'>(
    code,
    membersOf(result.value, context),
    isPending ? { retryAfterMs: completePollMsMin } : {},
  );
};

async function connectedCall(message: CompleteRequest, context: TransactionContext) {
  const { principal, call } = await userCall({ Account: message.ServiceID, ...message }, context);
  const value = { device: undefined, principal, deviceUdf: message.DeviceUDF ?? '', reveal: undefined };
  return { call, value };
}

function askingCall({ ServiceID, DeviceUDF, ClientReveal }: CompleteRequest, context: TransactionContext) {
  const device = askingDevice(context.authentication);
  if (device === undefined) throw refusalOf(callerOf(context.authentication));
  if (DeviceUDF === undefined) throw new MeshError('malformed', 'DeviceUDF is missing');
  if (ClientReveal !== undefined && ClientReveal.length !== revealBytes) {
    throw new MeshError('malformed', `ClientReveal has ${revealBytes} octets`);
  }
  const account = accountNamed(ServiceID);
  const reveal = ClientReveal === undefined ? undefined : bufferOf(ClientReveal);
  const value = { device: { account, ...device }, principal: undefined, deviceUdf: DeviceUDF, reveal };
  return { call: callOf(account, context), value };
}

function membersOf(
  { entry, profileMesh, containers, challenge }: CompleteResult,
  { understands }: Pick<TransactionContext, 'understands'>,
): Partial<StatusResponse> {
  return {
    ...(entry === undefined ? {} : { EnvelopedCatalogEntryDevice: envelopeOfRpc(entry) }),
    ...(profileMesh === undefined ? {} : { EnvelopedProfileMaster: envelopeOfRpc(profileMesh) }),
    ...(containers.length === 0 ? {} : { ContainerStatus: containers.map(containerStatus) }),
    ...(challenge === undefined || !understands('connect-2') ? {} : { EnvelopedChallenge: envelopeOfRpc(challenge) }),
  };
}
