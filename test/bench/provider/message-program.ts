/**
 * People who write to each other: accounts at both providers, messages that are made, encrypted and signed beforehand,
 * and the sockets over which the senders' devices post them, as fast as they are taken or at a rate.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { signRequest } from '@meshd/binding/request-sign';
import type { HeldTicket } from '@meshd/binding/ticket-hold';
import { withDevice } from '@meshd/client/device';
import { systemEnvironment } from '@meshd/client/environment';
import { Home } from '@meshd/client/home';
import { buildMessage } from '@meshd/client/message-build';
import { allowContact } from '@meshd/client/operations/contacts';
import { createAccount } from '@meshd/client/operations/create-account';
import { Session } from '@meshd/client/session';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { type EnvelopeOctets, envelopeBytes } from '@meshd/dare/envelope';
import { messageBytesMax } from '@meshd/limits/limits';
import { serveCalls } from './child.ts';
import { obtainTicket, type TicketService } from './obtain-ticket.ts';
import { PostSocket, type Target } from './post-socket.ts';

/** Somebody who sends. */
interface Sender {
  readonly session: Session;
  readonly ticket: HeldTicket;
}

/** What to make. */
export interface MessagePlan {
  /** Names of senders, and to whom each of them writes, by turns; lists of the same length. */
  readonly senders: readonly string[];
  readonly recipients: readonly (readonly string[])[];
  /** Messages of each sender. */
  readonly each: number;
  /** Octets of a whole message, envelope included; `full`: as large as a message may be. */
  readonly messageBytes: number | 'full';
  readonly messagesPerPost: number;
}

const attemptsMax = 20;
const retryMs = 200;
const environment = systemEnvironment();
let services: { alpha: TicketService; beta: TicketService; folder: string } | undefined;
const senders = new Map<string, Sender>();
const people = new Set<string>();
/** Posts of each sender, in order. */
let prepared: Uint8Array[][] = [];

function known() {
  if (services === undefined) throw new Error('the services are not known yet');
  return services;
}

const folderOf = (address: string): string => join(known().folder, 'people', address);

async function makePerson(address: string, { url, ca }: TicketService) {
  const { state } = await createAccount(folderOf(address), environment, { address, url, ca });
  people.add(address);
  return state;
}

async function ensureSender(name: string): Promise<Sender> {
  const found = senders.get(name);
  if (found !== undefined) return found;
  const { alpha } = known();
  const address = `${name}@${alpha.domain}`;
  const state = await makePerson(address, alpha);
  const session = await Session.open(new Home(folderOf(address)), environment, state);
  const sender = { session, ticket: await obtainTicket(session, alpha) };
  senders.set(name, sender);
  return sender;
}

function senderOf(name: string): Sender {
  const sender = senders.get(name);
  if (sender === undefined) throw new Error(`no sender ${name}`);
  return sender;
}

/** Tag of the bodies: their readers are the same program, so any will do. */
const benchType = 'BenchText';

function makeMessage({ session }: Sender, recipient: string, bodyBytes: number, type = benchType): EnvelopeOctets {
  const { state, identity, keys } = session;
  const sender = {
    ...{ address: state.address, signer: keys.key('connectionSignature') },
    ...{ connectionAccount: identity.connectionAccount, profileAccount: identity.profileAccount },
  };
  const draft = {
    ...{ type, uniqueId: nonceUdf(systemRandom), recipient, body: randomBytes(bodyBytes) },
    readers: [keys.key('accountEncryption').publicKey.raw],
  };
  return buildMessage(draft, sender, { nowMs: Date.now(), random: systemRandom }, messageBytesMax);
}

/** The largest body of which the message is no larger than so many octets: padding makes it a matter of trying. */
function bodyBytesFor(sender: Sender, recipient: string, messageBytes: number): number {
  let [low, high] = [1, messageBytes];
  const fits = (bytes: number): boolean => {
    try {
      return envelopeBytes(makeMessage(sender, recipient, bytes)) <= messageBytes;
    } catch {
      return false;
    }
  };
  while (high - low > 16) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

async function makePost({ session, ticket }: Sender, recipient: string, messages: readonly EnvelopeOctets[]) {
  const { body } = await signRequest<'Post'>({
    transaction: 'Post',
    message: { Features: ['entry'], Accounts: [recipient], Message: [...messages] },
    service: known().alpha.domain,
    nowMs: Date.now(),
    random: systemRandom,
    signers: [session.deviceSigner],
    form: 'json-b',
    ticket,
  });
  return body;
}

const calls = {
  async use(options: { alpha: TicketService; beta: TicketService; folder: string }) {
    services = options;
  },

  /** Makes accounts of senders at alpha, and of recipients at beta who let them write. */
  async open({ senders: names, recipients }: { senders: readonly string[]; recipients?: readonly string[] }) {
    for (const [at, name] of names.entries()) {
      const { session } = await ensureSender(name);
      const recipient = recipients?.[at];
      if (recipient === undefined || people.has(recipient)) continue;
      await makePerson(recipient, known().beta);
      const allowance = { address: session.state.address, permissions: ['*'] };
      await withDevice(folderOf(recipient), environment, (device) => allowContact(device, allowance));
    }
  },

  /** One message of a sender to each of some addresses, as his device hands it over. */
  async messagesTo({ sender, type, to }: { sender: string; type: string; to: readonly string[] }) {
    return to.map((recipient) => makeMessage(senderOf(sender), recipient, 256, type));
  },

  /** Makes Posts; returns the octets of one message, envelope included. */
  async prepare({ senders: names, recipients, each, messageBytes, messagesPerPost }: MessagePlan): Promise<number> {
    prepared = [];
    let bytes = 0;
    const whole = messageBytes === 'full' ? messageBytesMax : messageBytes;
    for (const [at, name] of names.entries()) {
      const sender = senderOf(name);
      const own = recipients[at] ?? [];
      const bodyBytes = bodyBytesFor(sender, own[0] as string, whole);
      const posts: Uint8Array[] = [];
      for (let made = 0; made < each; made += messagesPerPost) {
        const recipient = own[posts.length % own.length] as string;
        const count = Math.min(messagesPerPost, each - made);
        const messages = Array.from({ length: count }, () => makeMessage(sender, recipient, bodyBytes));
        bytes = envelopeBytes(messages[0] as EnvelopeOctets);
        posts.push(await makePost(sender, recipient, messages));
      }
      prepared.push(posts);
      // Signing is long work; the parent must not take this program for dead.
      await pause(0);
    }
    return bytes;
  },

  /** Posts what was prepared, each sender's one after the other, all senders at the same time. */
  async post(target: Target): Promise<void> {
    await Promise.all(
      prepared.map(async (bodies) => {
        let socket: PostSocket | undefined;
        for (const body of bodies) {
          for (let attemptsLeft = attemptsMax; ; attemptsLeft -= 1) {
            try {
              socket ??= await PostSocket.open(target);
              await socket.post(body);
              break;
            } catch (error) {
              // Refused for want of time, as happens on a busy machine: the same request again, as devices do.
              if (attemptsLeft === 0) throw error;
              socket?.close();
              socket = undefined;
              await pause(retryMs);
            }
          }
        }
        socket?.close();
      }),
    );
  },

  /**
   * Posts what was prepared at a rate, whatever the answers do: one of each sender by turns, each sender over a socket of his
   * own. Returns when each was meant to be sent, Unix time in milliseconds, by sender.
   */
  async postAtRate({ target, perSecond }: { target: Target; perSecond: number }): Promise<number[][]> {
    const sockets = await Promise.all(prepared.map(() => PostSocket.open(target)));
    const intended: number[][] = prepared.map(() => []);
    const last: Promise<unknown>[] = prepared.map(async () => undefined);
    const start = Date.now();
    const count = prepared.reduce((sum, posts) => sum + posts.length, 0);
    for (let at = 0; at < count; at += 1) {
      const whose = at % prepared.length;
      const body = prepared[whose]?.[Math.floor(at / prepared.length)];
      if (body === undefined) continue;
      const dueMs = start + (1000 * at) / perSecond;
      await pause(Math.max(0, dueMs - Date.now()));
      intended[whose]?.push(dueMs);
      last[whose] = (last[whose] as Promise<unknown>).then(() => (sockets[whose] as PostSocket).post(body));
    }
    await Promise.all(last);
    for (const socket of sockets) socket.close();
    return intended;
  },
};

/** What the bench asks of people. */
export type MessageCalls = typeof calls;

serveCalls(calls);
