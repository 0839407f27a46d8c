import type { KeyValue } from '@meshd/dare/header';
import type { ContainerHead } from '@meshd/schema/connections';
import type { Device } from '../device.js';
import { octetsToText } from '../octet-text.js';
import type { TrustedHead } from '../reader.js';
import { Replica } from '../replica.js';
import { storesOf } from '../store-floors.js';

/**
 * What this device has verified of the account's containers, for the activation of another device (S47). Containers without
 * manifests are left out: nothing proves their order, and a name that is listed is never read without one (S49).
 */
export async function verifiedStores(device: Device): Promise<ContainerHead[]> {
  const heads: [string, TrustedHead][] = [];
  for (const name of await Replica.namesIn(device.session.home)) {
    const { reader, trusted } = await device.replica(name);
    if (trusted !== undefined && !reader.isLegacy) heads.push([name, trusted]);
  }
  return storesOf(heads);
}

/** Where a revoked device's hand ends in each store, as this device has verified it (S48). */
export function cutsOfStores(stores: readonly ContainerHead[]): KeyValue[] {
  return stores.flatMap(({ Container: name, Index: size, Root: root }) => {
    if (name === undefined || size === undefined || root === undefined) return [];
    return [{ Key: `Cut:${name}`, Value: `${size}:${octetsToText(root)}` }];
  });
}
