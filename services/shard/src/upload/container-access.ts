import {
  deviceCatalog,
  inboundSpool,
  isAccountContainer,
  isContainerName,
  outboundSpool,
} from '@meshd/schema/container-name';
import { mayWrite } from '../permissions.js';
import type { DevicePermission } from '../storage/store.js';
import { type EntryFault, reject } from './fault.js';

/** Spools that only the service appends to: what others send, and what was sent (semantics 6.6). */
const writtenByService: ReadonlySet<string> = new Set([inboundSpool, outboundSpool]);

/**
 * Judges whether a device may append to a container of this name at all (schema 7, semantics 6.6). Administration is
 * judged by the manifest's signature, not here.
 */
export function judgeAccess(
  name: string,
  permissions: readonly DevicePermission[],
  indexRequest: number,
): EntryFault | undefined {
  if (!isContainerName(name)) return reject(indexRequest, 'malformed', 'not a container name');
  if (!isAccountContainer(name)) return reject(indexRequest, 'not-authorised', 'names with mmm_ are reserved');
  if (writtenByService.has(name)) return reject(indexRequest, 'not-authorised', 'only the service writes this spool');
  if (name !== deviceCatalog && !mayWrite(permissions, name)) {
    return reject(indexRequest, 'not-authorised', 'the device has no permission to write this container');
  }
  return undefined;
}
