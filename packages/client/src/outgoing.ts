import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { messageCreatedPastMsMax } from '@meshd/limits/limits';
import type { Home } from './home.js';
import { octetsToText, textToOctets } from './octet-text.js';
import { nextQueueName } from './queue-name.js';

/*
 * Messages that the service has not answered for yet, on disk before anything is sent. What one command sends is one file,
 * with the envelopes as they are signed: whatever happens then, the same message goes out again and never another one. Beside
 * it stands what became of each, rewritten as it changes.
 */

const folder = 'outgoing';
const suffix = '.json';
const fateSuffix = '.fate.json';

/** An attempt whose answer is not known. */
export interface Attempt {
  /** `ID` of the request. */
  readonly requestId: Uint8Array;
  readonly sentMs: number;
}

/** The service's no. */
export interface MessageRefusal {
  readonly reason: string;
  readonly atMs: number;
}

/** A message to one recipient. */
export interface OutgoingMessage {
  /** `UniqueID` and `MessageID`. */
  readonly id: string;
  readonly type: string;
  readonly recipient: string;
  readonly createdMs: number;
  readonly isEncrypted: boolean;
  readonly envelope: EnvelopeOctets;
}

/** A message in the queue, and what is known of it. */
export interface WaitingMessage extends OutgoingMessage {
  /** Name of its batch in the queue. */
  readonly batch: string;
  readonly attempt: Attempt | undefined;
  /** It is over, and kept only to say why. */
  readonly refusal: MessageRefusal | undefined;
}

/** What became of a message, as far as is known here. */
type Fate = { readonly attempt: Attempt } | { readonly refusal: MessageRefusal } | 'taken';

interface StoredMessage {
  id: string;
  type: string;
  recipient: string;
  createdMs: number;
  isEncrypted: boolean;
  envelope: string;
}

interface StoredBatch {
  version: 1;
  messages: StoredMessage[];
}

interface StoredFate {
  taken?: true;
  attempt?: { requestId: string; sentMs: number };
  refusal?: MessageRefusal;
}

interface StoredFates {
  version: 1;
  byId: Record<string, StoredFate>;
}

async function namesIn(home: Home): Promise<string[]> {
  const files = await home.list(folder);
  return files
    .filter((file) => file.endsWith(suffix) && !file.endsWith(fateSuffix))
    .map((file) => file.slice(0, -suffix.length))
    .sort();
}

async function fatesOf(home: Home, batch: string): Promise<Record<string, StoredFate>> {
  const stored = await home.readJson<StoredFates>(folder, `${batch}${fateSuffix}`);
  return stored?.version === 1 ? stored.byId : {};
}

function toWaiting(batch: string, stored: StoredMessage, fate: StoredFate = {}): WaitingMessage {
  const { attempt, refusal } = fate;
  return {
    ...stored,
    ...{ batch, refusal, envelope: readEnvelope(textToOctets(stored.envelope), 'json-b') },
    attempt: attempt && { requestId: textToOctets(attempt.requestId), sentMs: attempt.sentMs },
  };
}

/** Puts the messages of one command at the end of the queue, durably: all of them or none. @returns its name there */
export async function queueMessages(home: Home, messages: readonly OutgoingMessage[]): Promise<string> {
  const name = nextQueueName(await namesIn(home));
  // A name may come again after its batch is done; what was known of that one is not about this one.
  await home.remove(folder, `${name}${fateSuffix}`);
  const stored: StoredBatch = {
    version: 1,
    messages: messages.map(({ envelope, ...message }) => ({
      ...message,
      envelope: octetsToText(writeEnvelope(envelope, 'json-b')),
    })),
  };
  await home.writeJson(stored, folder, `${name}${suffix}`);
  return name;
}

/** The queue in order, with what the service refused lately. */
export async function loadOutgoing(home: Home): Promise<WaitingMessage[]> {
  const waiting: WaitingMessage[] = [];
  for (const name of await namesIn(home)) {
    const stored = await home.readJson<StoredBatch>(folder, `${name}${suffix}`);
    if (stored?.version !== 1) continue;
    const fates = await fatesOf(home, name);
    const left = stored.messages.filter(({ id }) => fates[id]?.taken !== true);
    waiting.push(...left.map((message) => toWaiting(name, message, fates[message.id])));
  }
  return waiting;
}

/** Whether a message is still to be sent. */
export const isWaiting = ({ refusal }: WaitingMessage): boolean => refusal === undefined;

/** Notes durably what became of a message. */
export async function noteFate(home: Home, { batch, id }: WaitingMessage, fate: Fate): Promise<void> {
  const byId = { ...(await fatesOf(home, batch)), [id]: storedFate(fate) };
  await home.writeJson({ version: 1, byId } satisfies StoredFates, folder, `${batch}${fateSuffix}`);
}

function storedFate(fate: Fate): StoredFate {
  if (fate === 'taken') return { taken: true };
  if ('refusal' in fate) return fate;
  return { attempt: { requestId: octetsToText(fate.attempt.requestId), sentMs: fate.attempt.sentMs } };
}

/** Removes batches of which every message is taken, or was refused so long ago that its sender has heard of it. */
export async function clearOutgoing(home: Home, nowMs: number): Promise<void> {
  const left = await loadOutgoing(home);
  const isKept = ({ refusal }: WaitingMessage) =>
    refusal === undefined || nowMs - refusal.atMs < messageCreatedPastMsMax;
  const kept = new Set(left.filter(isKept).map(({ batch }) => batch));
  for (const name of await namesIn(home)) {
    if (kept.has(name)) continue;
    // In this order: a batch whose fate is not known would be sent again after a crash, a fate alone is nothing.
    await home.remove(folder, `${name}${suffix}`);
    await home.remove(folder, `${name}${fateSuffix}`);
  }
}
