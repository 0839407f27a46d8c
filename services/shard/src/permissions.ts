import { accountSpools, deviceCatalog, inboundSpool, outboundSpool } from '@meshd/schema/container-name';
import type { DevicePermission } from './storage/store.js';

/*
 * What a device may do in which store (semantics 4.1). An empty list grants every store, as the reference grants
 * everything to every connected device; administration is never granted here but proved by a signature (S25).
 */

/**
 * Stores that a permission named otherwise than the store opens. Connection requests and requests for confirmation arrive
 * on the inbound spool, so who answers them reads it and marks them there.
 */
const storesOf: Readonly<Record<string, readonly string[]>> = {
  Messaging: accountSpools,
  Confirmation: [inboundSpool],
  Administration: [inboundSpool],
};

/** What each role may do; whoever writes a store reads it too, to stay in step. No role is both. Unknown ones open nothing. */
const roles: Readonly<Record<string, readonly ('read' | 'write')[]>> = {
  '': ['read', 'write'],
  read: ['read'],
  write: ['read', 'write'],
};

function grants(permission: DevicePermission, container: string, act: 'read' | 'write'): boolean {
  const named = permission.name === container || ownOf(storesOf, permission.name)?.includes(container) === true;
  return named && ownOf(roles, permission.role ?? '')?.includes(act) === true;
}

/** A look-up by a name from outside, which may be that of a member every object has. */
function ownOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/**
 * Whether a device with these permissions may read a container. The device catalog is read by all, since whoever verifies
 * frames needs to know who may write them (S43).
 */
export function mayRead(permissions: readonly DevicePermission[], container: string): boolean {
  if (permissions.length === 0 || container === deviceCatalog) return true;
  return permissions.some((permission) => grants(permission, container, 'read'));
}

/** Whether a device with these permissions may write a container. */
export function mayWrite(permissions: readonly DevicePermission[], container: string): boolean {
  if (permissions.length === 0) return true;
  return permissions.some((permission) => grants(permission, container, 'write'));
}

/** Answers of a person, which only devices with the right to confirm may give (semantics 8.6). */
const confirmationType = 'ResponseConfirmation';
const confirmationRight = 'Confirmation';

/**
 * Whether a device with these permissions may send a message of a type: whoever writes the outbound spool sends, but what
 * confirms something is for devices with that right, which need no other to send it.
 */
export function maySend(permissions: readonly DevicePermission[], messageType: string): boolean {
  if (messageType !== confirmationType || permissions.length === 0) return mayWrite(permissions, outboundSpool);
  return permissions.some(({ name, role = '' }) => {
    return name === confirmationRight && ownOf(roles, role)?.includes('write') === true;
  });
}
