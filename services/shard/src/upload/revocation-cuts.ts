import { constantTimeEqual } from '@meshd/crypto/digest';
import type { KeyValue } from '@meshd/dare/header';
import { nodesOfRange, rootOfRange } from '@meshd/dare/log-proof';
import { decodeBase64Url, encodeBase64Url } from '@meshd/encoding/base64url';
import { EncodingError } from '@meshd/encoding/errors';
import { containersPerAccountMax } from '@meshd/limits/limits';
import type { AccountReader, AccountState, DeviceRow, RevocationCut } from '../storage/store.js';
import { conflict, type EntryFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';

/*
 * Revocation cuts (S48): the Delete of a device says, for each container, how far the device's hand reached. Frames of its
 * key behind the cut, made later and back-dated with whoever's help, are refused.
 */

const prefix = 'Cut:';
const form = /^(0|[1-9][0-9]{0,15}):([A-Za-z0-9_-]+)$/;
const rootBytes = 32;

/**
 * The cuts that the Delete of a device carries, compared with the containers as they are.
 *
 * @returns the cuts, or a fault: `event-rule` where one cannot be read, `index-mismatch` where the container is shorter or
 *   has another root at that size: the administrator was shown another history.
 */
export async function judgeCuts(
  reader: AccountReader,
  state: AccountState,
  { meta, indexRequest }: UploadedFrame,
): Promise<RevocationCut[] | EntryFault> {
  const entries = (meta.KeyValues ?? []).filter(({ Key }) => Key?.startsWith(prefix));
  if (entries.length > containersPerAccountMax) return reject(indexRequest, 'event-rule', 'too many revocation cuts');
  const cuts: RevocationCut[] = [];
  for (const entry of entries) {
    const cut = cutOf(entry);
    if (cut === undefined || cuts.some(({ container }) => container === cut.container)) {
      return reject(indexRequest, 'event-rule', 'a revocation cut is Cut:<container> = <size>:<root>, one a container');
    }
    if (!(await isHistory(reader, state, cut))) {
      return conflict(indexRequest, 'index-mismatch', `the cut of ${cut.container} is not in its history`);
    }
    cuts.push(cut);
  }
  return cuts;
}

/** The cuts of a Delete that was judged when it was made; those that cannot be read are none. */
export function cutsIn({ meta }: UploadedFrame): RevocationCut[] {
  const entries = (meta.KeyValues ?? []).filter(({ Key }) => Key?.startsWith(prefix));
  return entries.slice(0, containersPerAccountMax).flatMap((entry) => cutOf(entry) ?? []);
}

function cutOf({ Key: key = '', Value: value = '' }: KeyValue): RevocationCut | undefined {
  const [, size, text] = form.exec(value) ?? [];
  if (size === undefined || text === undefined) return undefined;
  try {
    const root = decodeBase64Url(text);
    if (root.length !== rootBytes || !Number.isSafeInteger(Number(size))) return undefined;
    return { container: key.slice(prefix.length), size: Number(size), root: encodeBase64Url(root) };
  } catch (error) {
    if (error instanceof EncodingError) return undefined;
    throw error;
  }
}

/** Whether the container had this root at this size. */
async function isHistory(reader: AccountReader, state: AccountState, { container, size, root }: RevocationCut) {
  const stored = state.containers.get(container);
  if (size > (stored?.frameCount ?? 0)) return false;
  const range = { start: 0, end: size };
  const lookUp = stored === undefined ? () => undefined : await reader.logNodes(stored, nodesOfRange(range));
  return constantTimeEqual(rootOfRange(range, lookUp), decodeBase64Url(root));
}

/**
 * Whether a revoked device's manifest at this index is behind its cut; a container that no cut names is behind it as a
 * whole.
 *
 * @param index of the frame that carries the manifest, the last that it vouches for.
 */
export function isBehindCut(device: DeviceRow, container: string, index: number): boolean {
  const cut = device.cuts.find((each) => each.container === container);
  return index >= (cut?.size ?? 0);
}
