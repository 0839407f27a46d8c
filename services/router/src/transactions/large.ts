/**
 * Large data by reference (ours, feature `large-1`): StoreLarge of a connected device, slice by slice; FetchLarge of whoever
 * holds the locator. Each request and each answer carries one slice at most, so that a file of any size takes no more of
 * this process than other requests do.
 */

import { keyOfAuthentication } from '@meshd/binding/request-authenticate';
import { largeSliceBytesMax } from '@meshd/limits/large';
import type { LargeFile as RpcLargeFile, StoreLarge } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { canonicalAddress } from '@meshd/schema/address';
import type { LargeFile, StoreLargeRequest } from '@meshd/schema/large';
import { MeshError } from '@meshd/schema/status';
import { whole } from '../reply.js';
import { requireSuccess } from '../shard-router.js';
import type { TransactionHandler } from '../transaction.js';
import { bufferOf, callerOf, callOf, describedOf, successCode, userCall } from './shared.js';

export const storeLarge: TransactionHandler<'StoreLarge'> = async (message, context) => {
  const { principal, call } = await userCall(message, context);
  const value = { principal, identifier: message.Identifier ?? '', step: stepOf(message) };
  const answer = await context.shards.transact(call, { $case: 'storeLarge', value });
  const { outcome, result } = answer;
  requireSuccess(outcome);
  if (result?.$case !== 'storeLarge') throw new Error('the shard answered another request');
  const { files, bytesUsed, bytesMax } = result.value;
  const members = {
    Files: files.map(largeFile),
    ...(bytesUsed === undefined || bytesMax === undefined ? {} : { OctetsUsed: bytesUsed, OctetsMax: bytesMax }),
  };
  return whole<'StoreLarge'>(successCode(outcome), members, { described: describedOf(call, answer) });
};

/** The one thing that is asked for; more than one is a mistake. */
function stepOf(message: StoreLargeRequest): StoreLarge['step'] {
  const { Octets, Reader, Expires, Offset, Data, Withdraw } = message;
  if ([Octets !== undefined, Data !== undefined, Withdraw === true].filter(Boolean).length > 1) {
    throw new MeshError('malformed', 'one of Octets, Data and Withdraw');
  }
  if (Octets !== undefined) {
    if (Octets < 1 || Reader === undefined) throw new MeshError('malformed', 'Octets or Reader is missing');
    return {
      $case: 'begin',
      value: { bytesTotal: Octets, reader: bufferOf(Reader), expiresMs: Expires?.getTime() },
    };
  }
  if (Data !== undefined) {
    if (Offset === undefined || Offset < 0) throw new MeshError('malformed', 'Offset is missing or negative');
    if (Data.length > largeSliceBytesMax) {
      throw new MeshError('too-large', `a slice holds at most ${largeSliceBytesMax} octets`);
    }
    return { $case: 'slice', value: { offset: Offset, data: bufferOf(Data) } };
  }
  return Withdraw === true ? { $case: 'withdraw', value: {} } : undefined;
}

function largeFile({ identifier, bytesTotal, bytesStored, expiresMs }: RpcLargeFile): LargeFile {
  return { Identifier: identifier, Octets: bytesTotal, Stored: bytesStored, Expires: new Date(expiresMs) };
}

/**
 * The requester is nobody whom this service knows: a key that the locator gives, in the device form. That it signed is
 * verified before anything is looked up; whether it is the key of that file, the shard says.
 */
export const fetchLarge: TransactionHandler<'FetchLarge'> = async (message, context) => {
  const { authentication } = context;
  const caller = callerOf(authentication);
  if (caller === 'host') throw new MeshError('policy', 'not for hosts');
  if (caller === 'connected') throw new MeshError('not-authorised');
  const reader = keyOfAuthentication(authentication);
  if (caller !== 'device' || reader === undefined) throw new MeshError('not-authenticated');
  const { Account: account, Identifier: identifier, Offset: offset = 0, BytesMax: bytesMax = 0 } = message;
  if (account === undefined || identifier === undefined) {
    throw new MeshError('malformed', 'Account or Identifier is missing');
  }
  if (offset < 0 || bytesMax < 0) throw new MeshError('malformed', 'Offset or BytesMax is negative');
  const owner = canonicalAddress(account);
  const { outcome, result } = await context.shards.transact(
    { ...callOf(owner, context), describePrincipal: false },
    {
      $case: 'fetchLarge',
      value: {
        ...{ account: owner, identifier, reader: bufferOf(reader), offset },
        bytesMax: Math.min(bytesMax, largeSliceBytesMax),
      },
    },
  );
  requireSuccess(outcome);
  if (result?.$case !== 'fetchLarge') throw new Error('the shard answered another request');
  const { bytesTotal, data } = result.value;
  return whole<'FetchLarge'>(successCode(outcome), { Octets: bytesTotal, Data: data });
};
