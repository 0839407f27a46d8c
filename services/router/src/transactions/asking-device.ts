/** A device that is not connected: who asks to be, by its profile or by a ticket that it got under it (semantics 4.1). */
import type { Authentication } from '@meshd/binding/request-authenticate';
import type { AskingDevice } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { AddressError, canonicalAddress } from '@meshd/schema/address';
import { MeshError } from '@meshd/schema/status';
import { bufferOf } from './shared.js';

/** The device that a request comes from; undefined where it is from anybody else. */
export function askingDevice(authentication: Authentication): Omit<AskingDevice, 'account'> | undefined {
  if (authentication.form === 'device') {
    return { deviceUdf: authentication.deviceUdf, key: bufferOf(authentication.key.raw) };
  }
  if (authentication.form !== 'ticket' || authentication.ticket.content.level !== 'device') return undefined;
  const { deviceUdf, key } = authentication.ticket.content;
  return { deviceUdf, key: bufferOf(key) };
}

/**
 * The account that a device names. One that cannot be is one that nobody has.
 *
 * @throws MeshError `malformed`, `account-unknown`
 */
export function accountNamed(text: string | undefined): string {
  if (text === undefined) throw new MeshError('malformed', 'ServiceID is missing');
  try {
    return canonicalAddress(text);
  } catch (error) {
    if (error instanceof AddressError) throw new MeshError('account-unknown', '', { cause: error });
    throw error;
  }
}
