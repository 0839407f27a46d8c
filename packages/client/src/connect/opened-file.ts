import type { Home } from '../home.js';
import { octetsToText, textToOctets } from '../octet-text.js';

/*
 * What an administration device remembers of requests that it has opened: its own half of the code, how often the other
 * was typed wrong, and which proofs of PINs it has seen. None of it may depend on what the service shows later.
 */

const file = 'opened-requests.json';

/** A request that was challenged from this device (S53). */
export interface OpenedRequest {
  /** rA. */
  readonly adminNonce: Uint8Array;
  readonly wrongCount: number;
}

/** All that is remembered. */
export interface OpenedRequests {
  /** By the identifier of the acknowledgement. */
  readonly requests: ReadonlyMap<string, OpenedRequest>;
  /** `PinUDF` of requests that were accepted: none is taken twice (S54). */
  readonly usedPinUdfs: ReadonlySet<string>;
}

interface Stored {
  version: 1;
  requests: Record<string, { adminNonce: string; wrongCount: number }>;
  usedPinUdfs: string[];
}

/** What this home remembers. */
export async function loadOpened(home: Home): Promise<OpenedRequests> {
  const stored = await home.readJson<Stored>(file);
  const requests = Object.entries(stored?.requests ?? {}).map(([id, { adminNonce, wrongCount }]) => {
    return [id, { adminNonce: textToOctets(adminNonce), wrongCount }] as const;
  });
  return { requests: new Map(requests), usedPinUdfs: new Set(stored?.usedPinUdfs) };
}

/** Keeps it, durably. */
export async function saveOpened(home: Home, { requests, usedPinUdfs }: OpenedRequests): Promise<void> {
  const entries = [...requests].map(([id, { adminNonce, wrongCount }]) => {
    return [id, { adminNonce: octetsToText(adminNonce), wrongCount }] as const;
  });
  const stored: Stored = { version: 1, requests: Object.fromEntries(entries), usedPinUdfs: [...usedPinUdfs] };
  await home.writeJson(stored, file);
}
