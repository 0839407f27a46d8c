import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
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
  /** T of S50 as it was when rA was drawn: with rA known, nobody may put another request in its place. */
  readonly transcript: Uint8Array;
  readonly wrongCount: number;
  /** The challenge as it was signed, until the service has taken it: whatever fails, no other one is made (S53). */
  readonly unposted?: EnvelopeOctets | undefined;
}

/** All that is remembered. */
export interface OpenedRequests {
  /** By the identifier of the acknowledgement. */
  readonly requests: ReadonlyMap<string, OpenedRequest>;
  /** `PinUDF` of requests that were accepted, and the messages that keep their PINs: none is taken twice (S54). */
  readonly usedPins: ReadonlySet<string>;
}

interface StoredRequest {
  adminNonce: string;
  transcript: string;
  wrongCount: number;
  unposted?: string | undefined;
}

interface Stored {
  version: 1;
  requests: Record<string, StoredRequest>;
  usedPins: string[];
}

/** What this home remembers. */
export async function loadOpened(home: Home): Promise<OpenedRequests> {
  const stored = await home.readJson<Stored>(file);
  const requests = Object.entries(stored?.requests ?? {}).map(
    ([id, { adminNonce, transcript, wrongCount, unposted }]) => {
      const octets = { adminNonce: textToOctets(adminNonce), transcript: textToOctets(transcript) };
      const challenge = unposted === undefined ? {} : { unposted: readEnvelope(textToOctets(unposted)) };
      return [id, { ...octets, wrongCount, ...challenge }] as const;
    },
  );
  return { requests: new Map(requests), usedPins: new Set(stored?.usedPins) };
}

/** Keeps it, durably. */
export async function saveOpened(home: Home, { requests, usedPins }: OpenedRequests): Promise<void> {
  const entries = [...requests].map(([id, { adminNonce, transcript, wrongCount, unposted }]) => {
    const texts = { adminNonce: octetsToText(adminNonce), transcript: octetsToText(transcript) };
    return [id, { ...texts, wrongCount, unposted: unposted && octetsToText(writeEnvelope(unposted)) }] as const;
  });
  const stored: Stored = { version: 1, requests: Object.fromEntries(entries), usedPins: [...usedPins] };
  await home.writeJson(stored, file);
}
