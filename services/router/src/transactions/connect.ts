/** Connect: a device asks to be connected to an account (draft 8, semantics 7.2). */
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { EncodingError } from '@meshd/encoding/errors';
import { RequestConnection } from '@meshd/schema/messages-mesh';
import { MeshError } from '@meshd/schema/status';
import { whole } from '../reply.js';
import { requireSuccess } from '../shard-router.js';
import type { TransactionHandler } from '../transaction.js';
import { accountNamed, askingDevice } from './asking-device.js';
import { callerOf, callOf, envelopeOfRpc, rpcEnvelope, successCode } from './shared.js';

const requestTags = defineTags('request to connect', { RequestConnection });

/** The shard verifies the request; here it is only read for which account it is. */
export const connect: TransactionHandler<'Connect'> = async (message, context) => {
  const device = askingDevice(context.authentication);
  if (device === undefined) throw refusalOf(callerOf(context.authentication));
  const octets = message.MessageConnectionRequestClient;
  if (octets?.payload === undefined || octets.payload === null) {
    throw new MeshError('malformed', 'MessageConnectionRequestClient is missing');
  }
  const account = accountNamed(serviceIdOf(octets.payload));
  const { outcome, result } = await context.shards.transact(callOf(account, context), {
    $case: 'connect',
    value: { device: { account, ...device }, message: rpcEnvelope(octets) },
  });
  requireSuccess(outcome);
  if (result?.$case !== 'connect') throw new Error('the shard answered another request');
  const { acknowledgement, profileMesh, profileAccount } = result.value;
  return whole<'Connect'>(successCode(outcome), {
    ...(acknowledgement === undefined ? {} : { EnvelopedConnectionResponse: envelopeOfRpc(acknowledgement) }),
    ...(profileMesh === undefined ? {} : { EnvelopedProfileMaster: envelopeOfRpc(profileMesh) }),
    ...(profileAccount === undefined ? {} : { EnvelopedAccountAssertion: envelopeOfRpc(profileAccount) }),
  });
};

function serviceIdOf(payload: Uint8Array): string | undefined {
  try {
    return decodeTagged(requestTags, payload, { form: 'json', refuseRepeated: true }).value.ServiceID;
  } catch (error) {
    if (error instanceof EncodingError) throw new MeshError('malformed', error.message, { cause: error });
    throw error;
  }
}

/** Who is connected, or a host, is somebody and has no business here. */
export function refusalOf(caller: ReturnType<typeof callerOf>): MeshError {
  if (caller === 'host') return new MeshError('policy', 'not for hosts');
  return new MeshError(caller === 'connected' ? 'not-authorised' : 'not-authenticated', 'a device by its profile');
}
