import { accountSpools, deviceCatalog } from '@meshd/schema/container-name';
import type { DevicePermission } from './storage/store.js';

/*
 * What a device may do in which store (semantics 4.1). An empty list grants every store, as the reference grants
 * everything to every connected device; administration is never granted here but proved by a signature (S25).
 */

/** Stores that a permission named otherwise than the store opens. */
const storesOf: Readonly<Record<string, readonly string[]>> = {
  Messaging: accountSpools,
};

function grants(permission: DevicePermission, container: string): boolean {
  return permission.name === container || (storesOf[permission.name]?.includes(container) ?? false);
}

/**
 * Whether a device with these permissions may read a container. Whoever writes a store reads it too, to stay in step; the
 * device catalog is read by all, since whoever verifies frames needs to know who may write them (S43).
 */
export function mayRead(permissions: readonly DevicePermission[], container: string): boolean {
  if (permissions.length === 0 || container === deviceCatalog) return true;
  return permissions.some((permission) => grants(permission, container));
}

/** Whether a device with these permissions may write a container. */
export function mayWrite(permissions: readonly DevicePermission[], container: string): boolean {
  if (permissions.length === 0) return true;
  return permissions.some((permission) => grants(permission, container) && permission.role !== 'read');
}
