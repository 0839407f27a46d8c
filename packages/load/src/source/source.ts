/** Sends messages of one account, each at its time, and notes what its provider said. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Device } from '@meshd/client/device';
import { ClientError } from '@meshd/client/errors';
import { buildMessage } from '@meshd/client/message-build';
import { nonceUdf } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { writeJson } from '@meshd/encoding/json-writer';
import { messageBytesMax } from '@meshd/limits/limits';
import { sourceInWorkMax } from '@meshd/limits/load';

/** What is to be sent. */
export interface SourceOptions {
  /** Canonical addresses; each message goes to the next of them. */
  readonly recipients: readonly string[];
  readonly count: number;
  /** Messages a second; as fast as the provider takes them when absent. */
  readonly perSecond?: number | undefined;
  /** Octets of content of each message, drawn at random so that nothing can be compressed. */
  readonly contentBytes: number;
  /** `MessageType`. */
  readonly type: string;
}

/** A message and what the provider said to it. */
export interface SentOne {
  /** `UniqueID`. */
  readonly id: string;
  readonly recipient: string;
  /** `failed`: no answer that proves anything; the provider may have taken it all the same. */
  readonly result: 'accepted' | 'refused' | 'failed';
  /** From the time at which it was to be sent until it was answered, milliseconds. */
  readonly tookMs: number;
  /** Why it was not accepted. */
  readonly reason?: string;
}

/** A message, made and not yet sent. */
interface Made {
  readonly id: string;
  readonly recipient: string;
  readonly envelope: EnvelopeOctets;
}

/**
 * Sends all of them. What is due goes out although earlier ones are still on their way, up to `sourceInWorkMax`; times count
 * from when a message was to be sent, so that waiting for a slow provider is seen.
 *
 * @param onAnswer told of each message as it is answered
 * @throws ClientError where a message is too large
 */
export async function sendAll(
  device: Device,
  options: SourceOptions,
  onAnswer: (sent: SentOne) => void = () => undefined,
): Promise<SentOne[]> {
  const { count, perSecond } = options;
  const sent: SentOne[] = [];
  const inWork = new Set<Promise<void>>();
  const startMs = performance.now();
  for (let at = 0; at < count; at += 1) {
    const made = makeOne(device, options, at);
    const dueMs = perSecond === undefined ? performance.now() : startMs + (at * 1000) / perSecond;
    const earlyMs = dueMs - performance.now();
    if (earlyMs > 0) await sleep(earlyMs);
    while (inWork.size >= sourceInWorkMax) await Promise.race(inWork);
    const one: Promise<void> = sendOne(device, made).then((answer) => {
      inWork.delete(one);
      const { id, recipient } = made;
      sent.push({ id, recipient, ...answer, tookMs: performance.now() - dueMs });
      onAnswer(sent.at(-1) as SentOne);
    });
    inWork.add(one);
  }
  await Promise.all(inWork);
  return sent;
}

function makeOne({ session }: Device, options: SourceOptions, at: number): Made {
  const { state, identity, keys, environment } = session;
  const { recipients, type, contentBytes } = options;
  const recipient = recipients[at % recipients.length] as string;
  const id = nonceUdf(environment.random);
  const Content = Buffer.from(environment.random(contentBytes)).toString('base64url');
  const body = writeJson({ [type]: { MessageID: id, Sender: state.address, Recipient: recipient, Content } });
  const sender = {
    ...{ address: state.address, signer: keys.key('connectionSignature') },
    ...{ connectionAccount: identity.connectionAccount, profileAccount: identity.profileAccount },
  };
  const maker = { nowMs: environment.nowMs(), random: environment.random };
  const draft = { type, body, uniqueId: id, recipient, readers: [] };
  return { id, recipient, envelope: buildMessage(draft, sender, maker, messageBytesMax) };
}

async function sendOne(
  { session }: Device,
  { recipient, envelope }: Made,
): Promise<Pick<SentOne, 'result' | 'reason'>> {
  try {
    const { succeeded, status, message } = await session.call('Post', { Accounts: [recipient], Message: [envelope] });
    const [entry] = message.Entries ?? [];
    if (succeeded && entry?.Result === 'Accept') return { result: 'accepted' };
    return { result: 'refused', reason: `${status}/${entry?.StatusExtended ?? 0}` };
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    return { result: 'failed', reason: error.message };
  }
}
