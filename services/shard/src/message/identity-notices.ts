import { nonceUdf } from '@meshd/crypto/udf';
import {
  identityNoticeRepeatMs,
  identityNoticesPerDomainMax,
  identityNoticesRememberedMax,
} from '@meshd/limits/requesters';
import { parseAddress } from '@meshd/schema/address';
import { inboundSpool } from '@meshd/schema/container-name';
import { identityChanged, MessageComplete } from '@meshd/schema/messages-mesh';
import { appendMessages, signObjectAsync } from '../service-frames.js';
import type { RecordMaker } from '../service-records.js';
import { type AccountState, type FrameWrite, frameBytes, type Store } from '../storage/store.js';

/*
 * Notices for a recipient, whose service has refused a message because she knows its address by another key (S72: user told).
 * A notice is a mark in her own inbound spool, made and signed as delivery marks in the outbound one are (encoding 3.9).
 *
 * They are written beside the answer and not before it: the work for a message must not show whose it was (S80). And they are
 * written into somebody's quota by the act of a stranger: seldom, and never twice in a day.
 */

/** Somebody wrote under a known address with another account than the known one. */
export interface IdentityChange {
  /** Canonical address of the recipient. */
  readonly account: string;
  /** Canonical address under which it was written. */
  readonly sender: string;
  /** `UniqueID` of the message that was refused. */
  readonly messageId: string;
}

interface Told {
  readonly domain: string;
  readonly untilMs: number;
}

/**
 * Decides which changes the recipients are told of: each address once in a day, and so many of one sending domain and of all.
 *
 * What was told is remembered for its day, whatever comes: were the oldest to give way, as in a `Tally`, a domain with enough
 * known addresses could have each told again and again.
 */
export class IdentityNotices {
  readonly #write: (change: IdentityChange) => Promise<void>;
  readonly #onError: (error: unknown) => void;
  /** By recipient and address, oldest first. */
  readonly #told = new Map<string, Told>();
  readonly #ofDomain = new Map<string, number>();

  constructor(write: (change: IdentityChange) => Promise<void>, onError: (error: unknown) => void = () => {}) {
    this.#write = write;
    this.#onError = onError;
  }

  /** Notes a change. Nobody waits for the recipient to be told. */
  note(change: IdentityChange, nowMs: number): void {
    this.#forget(nowMs);
    const subject = `${change.account} ${change.sender}`;
    const { domain } = parseAddress(change.sender);
    const ofDomain = this.#ofDomain.get(domain) ?? 0;
    if (this.#told.has(subject) || ofDomain >= identityNoticesPerDomainMax) return;
    // The operator hears of it all the same.
    if (this.#told.size >= identityNoticesRememberedMax) return;
    this.#told.set(subject, { domain, untilMs: nowMs + identityNoticeRepeatMs });
    this.#ofDomain.set(domain, ofDomain + 1);
    this.#write(change).catch(this.#onError);
  }

  #forget(nowMs: number): void {
    for (const [subject, { domain, untilMs }] of this.#told) {
      if (nowMs < untilMs) return;
      this.#told.delete(subject);
      const left = (this.#ofDomain.get(domain) ?? 0) - 1;
      if (left > 0) this.#ofDomain.set(domain, left);
      else this.#ofDomain.delete(domain);
    }
  }
}

/**
 * Puts a notice into the recipient's spool. Where there is no account, where it is away, and where nothing more can be
 * written, nothing is.
 *
 * @throws StorageError
 */
export async function writeIdentityNotice(store: Store, maker: RecordMaker, change: IdentityChange): Promise<void> {
  const { account, sender, messageId } = change;
  const uniqueId = nonceUdf(maker.random);
  const signed = await signObjectAsync(maker.host, MessageComplete, {
    MessageID: uniqueId,
    References: [{ MessageID: messageId, Relationship: identityChanged, Account: sender }],
  });
  await store.transactAccount(account, async (transactor) => {
    const { state } = transactor;
    const spool = state?.away === null ? state.containers.get(inboundSpool) : undefined;
    if (state === undefined || spool === undefined || spool.damaged) return;
    const append = appendMessages(spool, [{ signed, uniqueId, createdMs: maker.nowMs }]);
    if (!hasRoom(state, append.frames)) return;
    const containers = [{ name: spool.name, expectedFrameCount: spool.frameCount, ...append }];
    await transactor.commit({ containers });
  });
}

function hasRoom({ quota, bytesUsed, frameCount }: AccountState, frames: readonly FrameWrite[]): boolean {
  const bytes = frames.reduce((sum, frame) => sum + frameBytes(frame), bytesUsed);
  return bytes <= quota.bytesMax && frameCount + frames.length <= quota.framesMax;
}
