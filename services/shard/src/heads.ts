import type { HostIdentity } from '@meshd/binding/host-files';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { decodeEdge, root } from '@meshd/dare/log-tree';
import { accountStatesMax, headsReuseMs } from '@meshd/limits/limits';
import { ContainerHeads } from '@meshd/schema/service';
import { LRUCache } from 'lru-cache';
import { signEnvelopeOf } from './service-frames.js';
import type { AccountState } from './storage/store.js';

/** The last heads of an account. */
interface SignedHeads {
  readonly containers: AccountState['containers'];
  readonly frameCount: number;
  readonly timeMs: number;
  readonly host: HostIdentity;
  readonly envelope: Promise<EnvelopeOctets>;
}

/**
 * Signed heads (S45): what the service says of the length and root of every container of an account, signed once and given
 * again until something changes or a minute has passed.
 *
 * Two heads of which the older names the longer container are proof against the service, so their times must never
 * contradict their lengths, whatever requests overtake each other and whatever the clock does.
 */
export class AccountHeads {
  readonly #host: () => HostIdentity;
  readonly #last = new LRUCache<number, SignedHeads>({ max: accountStatesMax });

  constructor(host: () => HostIdentity) {
    this.#host = host;
  }

  /**
   * The heads of an account as an `EnvelopedHeads`.
   *
   * @param seenAtMs when the state was read.
   */
  async envelopeOf(state: AccountState, seenAtMs: number): Promise<EnvelopeOctets> {
    const host = this.#host();
    const last = this.#last.get(state.id);
    if (last !== undefined && isCurrent(last, state, seenAtMs, host)) return last.envelope;
    const overtaken = last !== undefined && state.frameCount < last.frameCount;
    const timeMs = timeAfter(last, overtaken, seenAtMs);
    const envelope = signHeads(state, timeMs, host);
    const { containers, frameCount } = state;
    if (!overtaken) this.#last.set(state.id, { containers, frameCount, timeMs, host, envelope });
    return envelope;
  }
}

function isCurrent(last: SignedHeads, state: AccountState, seenAtMs: number, host: HostIdentity): boolean {
  return last.containers === state.containers && last.host === host && seenAtMs - last.timeMs < headsReuseMs;
}

function timeAfter(last: SignedHeads | undefined, overtaken: boolean, seenAtMs: number): number {
  if (last === undefined) return seenAtMs;
  return overtaken ? Math.min(seenAtMs, last.timeMs) : Math.max(seenAtMs, last.timeMs);
}

function signHeads(state: AccountState, timeMs: number, host: HostIdentity): Promise<EnvelopeOctets> {
  const heads = {
    Account: state.accountUdf,
    Service: state.address.slice(state.address.indexOf('@') + 1),
    Time: new Date(timeMs),
    Heads: [...state.containers.values()].map((container) => ({
      Container: container.name,
      Log: container.logId,
      Index: container.frameCount,
      Root: root(decodeEdge(container.logTree)),
    })),
  };
  return signEnvelopeOf(host, ContainerHeads, heads);
}
