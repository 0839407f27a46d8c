import { containerKind } from '@meshd/schema/container-name';
import type { ContainerKind } from '../storage/store.js';
import { type EntryFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';
import { manifestEntries } from './manifest-rules.js';

/** What frame 0 settles for the life of a container. */
export interface Opening {
  readonly kind: ContainerKind;
  readonly legacy: boolean;
}

/**
 * Judges the frame that opens a container (encoding 3.2, 3.8, 3.9; S42, S49): kind `Merkle`, data encoding JSON, no
 * payload. Without a manifest the container is legacy for life.
 */
export function judgeFrameZero(name: string, frame: UploadedFrame): Opening | EntryFault {
  const { indexRequest, info, payload, meta } = frame;
  if (info?.ContainerType !== 'Merkle') {
    return reject(indexRequest, 'event-rule', 'frame 0 must name the container type Merkle');
  }
  if (info.DataEncoding !== undefined && info.DataEncoding !== 'JSON') {
    return reject(indexRequest, 'event-rule', 'containers hold JSON: no other DataEncoding is stored');
  }
  if (payload.length > 0) return reject(indexRequest, 'event-rule', 'frame 0 carries no payload');
  return { kind: containerKind(name, meta.cty), legacy: manifestEntries(frame).length === 0 };
}
