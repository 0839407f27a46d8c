import { archiveSpool, containerKind, inboundSpool, isMeshCatalog, outboundSpool } from '@meshd/schema/container-name';
import type { ReplayRules } from './replay.js';

/** Spools whose every frame the service makes around a message; their order rests on heads, not on manifests (S49). */
const servicesOwn: ReadonlySet<string> = new Set([inboundSpool, outboundSpool]);

/** Whether the service writes this spool: no manifests of kind 1, nothing to upload. */
export function isServiceSpool(name: string): boolean {
  return servicesOwn.has(name);
}

/** Whether the service makes frame 0, so that manifests cover the others only (S43). */
export function hasServiceMadeZero(name: string): boolean {
  return name === archiveSpool || isServiceSpool(name);
}

/** How the frames of a container are replayed. @param contentType `cty` of its frame 0 */
export function replayRules(name: string, contentType: string | undefined): ReplayRules {
  return { kind: containerKind(name, contentType), keyed: isMeshCatalog(name) };
}
