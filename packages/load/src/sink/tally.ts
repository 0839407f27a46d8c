/** What a sink got: requests by kind, and messages by their identity (S73). */
import { sinkMessagesMax } from '@meshd/limits/load';
import type { VerifiedMessage } from '@meshd/schema/message-check';

/** A message for one recipient. */
export interface TallyMessage {
  /** `UniqueID`. */
  readonly id: string;
  readonly type: string;
  readonly sender: string;
  readonly recipient: string;
  /** How often it came, whatever was answered. */
  copies: number;
  /** Whether the sink took it: its sender may have learnt so. */
  taken: boolean;
  /** Unix time in milliseconds at which it first came. */
  readonly firstMs: number;
}

/** The counts. */
export interface TallyCounts {
  /** Connections accepted. */
  readonly connections: number;
  /** TLS handshakes that were given up, by the peer as a rule. */
  readonly failedHandshakes: number;
  /** Requests by transaction; `unreadable` for those that are none. */
  readonly requests: Readonly<Record<string, number>>;
  /** Requests and connections that were treated awkwardly. */
  readonly met: number;
  /** Requests that prove nothing, or not enough. */
  readonly refused: number;
  /** Messages for one recipient each, every one counted once … */
  readonly messages: number;
  /** … those that were taken … */
  readonly taken: number;
  /** … and how often they came in all. */
  readonly copies: number;
}

const noCounts = () => ({
  ...{ connections: 0, failedHandshakes: 0, met: 0, refused: 0, messages: 0, taken: 0, copies: 0 },
});

/** Counts what a sink gets. */
export class Tally {
  readonly #messages = new Map<string, TallyMessage>();
  #requests: Record<string, number> = {};
  #counts = noCounts();

  connection(): void {
    this.#counts.connections += 1;
  }

  failedHandshake(): void {
    this.#counts.failedHandshakes += 1;
  }

  /** A request or a connection that is treated awkwardly. */
  meeting(): void {
    this.#counts.met += 1;
  }

  request(transaction: string | undefined): void {
    const name = transaction ?? 'unreadable';
    this.#requests[name] = (this.#requests[name] ?? 0) + 1;
  }

  refusal(): void {
    this.#counts.refused += 1;
  }

  /** A message for a recipient; the same one again is known by the key of its signer and its core, as services do. */
  message(verified: VerifiedMessage, recipient: string, isTaken: boolean, nowMs: number): void {
    const { signer, core, uniqueId: id, messageType: type, sender } = verified;
    const name = `${signer.udf} ${Buffer.from(core).toString('base64url')} ${recipient}`;
    const known = this.#messages.get(name);
    const message = known ?? { id, type, sender, recipient, copies: 0, taken: false, firstMs: nowMs };
    if (known === undefined && this.#messages.size < sinkMessagesMax) this.#messages.set(name, message);
    this.#counts.messages += known === undefined ? 1 : 0;
    this.#counts.taken += isTaken && !message.taken ? 1 : 0;
    this.#counts.copies += 1;
    message.copies += 1;
    message.taken ||= isTaken;
  }

  get counts(): TallyCounts {
    return { ...this.#counts, requests: { ...this.#requests } };
  }

  /** One by one, in the order in which they first came; at most `sinkMessagesMax`. */
  get messages(): readonly Readonly<TallyMessage>[] {
    return [...this.#messages.values()];
  }

  /** Begins anew. */
  clear(): void {
    this.#messages.clear();
    this.#requests = {};
    this.#counts = noCounts();
  }
}
