import { encodeEdge } from '@meshd/dare/log-tree';
import { encodeTree } from '@meshd/dare/merkle';
import { messageMsMax } from '@meshd/limits/limits';
import { laneOfRecipient, parseAddress } from '@meshd/schema/address';
import { outboundSpool } from '@meshd/schema/container-name';
import { type ErrorCode, MeshError } from '@meshd/schema/status';
import { sameKey, sendersOf } from '../account-keys.js';
import type { Caller } from '../authorise.js';
import { type SitePolicy, siteRefusal } from '../message/site-policy.js';
import type { VerifiedMessage } from '../message/verify-message.js';
import type { OutboxInsert } from '../storage/outbox-store.js';
import type { AccountReader, CatalogKey, ContainerWrite, FrameRow, FrameWrite } from '../storage/store.js';
import { isSameMessage, judgeContent, placeMessage, serviceTypes } from '../upload/self-entry.js';
import { type ContainerView, viewOf } from '../upload/view.js';

/** What is answered for one message and recipient. */
export interface DeliveryAnswer {
  readonly account: string;
  /** Why it is not sent; undefined: it will be. */
  readonly code: ErrorCode | undefined;
  /** Of the frame in `mmm_Outbound`. */
  readonly indexContainer: number | undefined;
}

/** A message of a Post: verified, or why it cannot be. */
export type OpenedMessage = VerifiedMessage | { readonly code: ErrorCode };

/** What a Post adds. */
export interface OutgoingWrite {
  /** Undefined: every message was filed before. */
  readonly container: ContainerWrite | undefined;
  readonly outbox: readonly OutboxInsert[];
}

/** What {@link Outgoing} works with. */
export interface OutgoingOptions {
  readonly reader: AccountReader;
  readonly caller: Caller;
  readonly nowMs: number;
  /** What the operator lets people send. */
  readonly site: SitePolicy;
  /** What the account may still hold. */
  readonly room: { readonly entries: number; readonly bytes: number };
}

/**
 * Messages of one Post as they add up (semantics 6.7, 8.1): each becomes one frame of `mmm_Outbound` and a row of the
 * outbox for each recipient, whichever service that is at. A recipient of our own is delivered like any other, later, so
 * that its policies and its existence do not show here.
 */
export class Outgoing {
  readonly #reader: AccountReader;
  readonly #caller: Caller;
  readonly #nowMs: number;
  readonly #site: SitePolicy;
  readonly #frames: FrameWrite[] = [];
  readonly #keys: CatalogKey[] = [];
  readonly #placed = new Map<string, VerifiedMessage>();
  readonly #rows: OutboxInsert[] = [];
  readonly #room: { entries: number; bytes: number };
  #known: ReadonlyMap<string, CatalogKey> = new Map();
  #view: ContainerView;

  constructor({ reader, caller, nowMs, site, room }: OutgoingOptions) {
    this.#reader = reader;
    this.#caller = caller;
    this.#nowMs = nowMs;
    this.#site = site;
    this.#room = { ...room };
    const spool = caller.state.containers.get(outboundSpool);
    if (spool === undefined) throw new MeshError('internal', 'the account has no outbound spool');
    if (spool.damaged) throw new MeshError('overloaded', 'the container is read-only', { resource: outboundSpool });
    this.#view = viewOf(spool);
  }

  /** Octets that may still be sent. */
  get bytesLeft(): number {
    return this.#room.bytes;
  }

  /** Deliveries taken so far. */
  get count(): number {
    return this.#rows.length;
  }

  /**
   * Takes messages for those recipients that may have them. Which of them the spool holds is looked up for all at once; each
   * is judged as if those before it were filed.
   *
   * @param accounts canonical addresses.
   * @returns the answers for each message, in order.
   */
  async add(
    messages: readonly OpenedMessage[],
    accounts: readonly string[],
  ): Promise<readonly (readonly DeliveryAnswer[])[]> {
    const spool = this.#caller.state.containers.get(outboundSpool);
    const names = messages.flatMap((message) => ('frame' in message ? [message.uniqueId] : []));
    if (spool !== undefined) this.#known = await this.#reader.catalogKeys(spool, [...new Set(names)]);
    const answers: (readonly DeliveryAnswer[])[] = [];
    for (const message of messages) answers.push(await this.#addOne(message, accounts));
    return answers;
  }

  async #addOne(message: OpenedMessage, accounts: readonly string[]): Promise<readonly DeliveryAnswer[]> {
    const refused = 'frame' in message ? this.#refusalOf(message) : message.code;
    if (!('frame' in message) || refused !== undefined) return accounts.map((account) => answer(account, refused));
    const judged = accounts.map((account) => answer(account, this.#refusalFor(message, account)));
    if (judged.every(({ code }) => code !== undefined)) return judged;
    const place = message.isOffer ? this.#roomFor(message) : await this.#placeOf(message);
    if (typeof place === 'string') return judged.map((one) => ({ ...one, code: one.code ?? place }));
    return judged.map((one) => {
      if (one.code !== undefined || place === undefined) return one;
      this.#rows.push(this.#rowOf(message, place, one.account));
      return { ...one, indexContainer: place };
    });
  }

  /** Everything that was taken. */
  write(): OutgoingWrite {
    const outbox = this.#rows;
    if (this.#frames.length === 0) return { container: undefined, outbox };
    const { dareTree, logTree, manifestFrom, frameCount } = this.#view;
    return {
      container: {
        ...{ name: outboundSpool, expectedFrameCount: frameCount - this.#frames.length, frames: this.#frames },
        ...{ dareTree: encodeTree(dareTree), logTree: encodeEdge(logTree), manifestFrom, keys: this.#keys },
      },
      outbox,
    };
  }

  /** S24, S71: the message is this account's, and bears the hand of a device that is connected now and may send it. */
  #refusalOf({ sender, accountKey, signer, messageType, frame }: VerifiedMessage): ErrorCode | undefined {
    const { state, keySignature } = this.#caller;
    if (sender !== state.address || accountKey.udf !== state.accountUdf) return 'not-authorised';
    const senders = sendersOf(state, messageType, keySignature);
    if (!senders.some(({ raw }) => sameKey(raw, signer.raw))) return 'not-authorised';
    if (serviceTypes.has(messageType)) return 'event-rule';
    return judgeContent(frame, messageType, state.address)?.code;
  }

  /** Who is not named under the sender's signature does not get it (S71); nor does whom the operator excludes. */
  #refusalFor({ recipients, messageType }: VerifiedMessage, account: string): ErrorCode | undefined {
    if (!recipients.includes(account)) return 'manifest';
    const refused = siteRefusal(this.#site, parseAddress(account).domain, messageType);
    return refused === undefined ? undefined : 'policy';
  }

  #roomFor({ frame }: VerifiedMessage): ErrorCode | undefined {
    const { entries, bytes } = this.#room;
    return entries < 1 || bytes < frame.sizeBytes ? 'quota' : undefined;
  }

  /** Index of the message's frame: the one that it got when it came first, or the next; else why there is none. */
  async #placeOf(message: VerifiedMessage): Promise<number | ErrorCode> {
    const { uniqueId, frame } = message;
    const twin = this.#placed.get(uniqueId);
    const known = this.#keys.find((key) => key.uniqueId === uniqueId);
    if (twin !== undefined && known !== undefined) return sameCore(twin, message) ? known.latestIndex : 'event-rule';
    const stored = await this.#stored(uniqueId);
    if (stored !== undefined)
      return isSameMessage({ frame, kid: kidOf(message) }, stored) ? stored.index : 'event-rule';
    const full = this.#roomFor(message);
    if (full !== undefined) return full;
    const index = this.#view.frameCount;
    const { write, view } = placeMessage({ frame, uniqueId }, this.#view);
    this.#frames.push(write);
    this.#keys.push({ uniqueId, latestIndex: index, firstIndex: index, deleted: false });
    this.#placed.set(uniqueId, message);
    this.#view = view;
    this.#room.entries -= 1;
    this.#room.bytes -= frame.sizeBytes;
    return index;
  }

  async #stored(uniqueId: string): Promise<FrameRow | undefined> {
    const spool = this.#caller.state.containers.get(outboundSpool);
    const key = this.#known.get(uniqueId);
    if (spool === undefined || key === undefined) return undefined;
    const selection = { from: key.latestIndex, to: key.latestIndex, payload: false };
    for await (const rows of this.#reader.frames(spool, selection)) return rows[0];
    return undefined;
  }

  #rowOf({ uniqueId, frame }: VerifiedMessage, frameIndex: number, recipient: string): OutboxInsert {
    return {
      ...{ container: outboundSpool, frameIndex, sender: this.#caller.state.address, recipient },
      ...{ domain: parseAddress(recipient).domain, lane: laneOfRecipient(recipient) },
      ...{ messageId: uniqueId, messageBytes: frame.sizeBytes },
      ...{ queuedAtMs: this.#nowMs, expiresAtMs: this.#nowMs + messageMsMax },
    };
  }
}

function answer(account: string, code: ErrorCode | undefined): DeliveryAnswer {
  return { account, code, indexContainer: undefined };
}

function sameCore(one: VerifiedMessage, other: VerifiedMessage): boolean {
  return Buffer.compare(one.core, other.core) === 0;
}

function kidOf({ frame }: VerifiedMessage): string {
  return frame.signatures.find(({ Manifest }) => Manifest !== undefined)?.kid ?? '';
}
