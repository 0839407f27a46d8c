/**
 * `ID`s of reading requests that were served a short while ago (S27, encoding 6.6): the same request again is served
 * again, another under the same `ID` is refused. Writing requests are the shard's: its index outlives restarts.
 *
 * Bounded for each principal, so that none can push out what another left, and in all.
 */
import {
  requestSeenMs,
  requestSeenPerPrincipalMax,
  requestSeenPrincipalsMax,
  requestSeenTotalMax,
} from '@meshd/limits/limits';

interface Seen {
  readonly digest: string;
  readonly untilMs: number;
}

/** Enough of a digest to tell two requests of one principal apart. */
const digestBytesKept = 16;
const text = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, byteLength).toString('latin1');

/** What one router remembers. */
export class SeenRequests {
  /** Principals, the one served longest ago first; each with its `ID`s, oldest first. */
  readonly #principals = new Map<string, Map<string, Seen>>();
  #count = 0;

  /** `ID`s remembered now. */
  get count(): number {
    return this.#count;
  }

  /** Whether the `ID` was used by this principal for another request. */
  isReused(principal: string, id: Uint8Array, payloadDigest: Uint8Array, nowMs: number): boolean {
    const seen = this.#principals.get(principal)?.get(text(id));
    return seen !== undefined && seen.untilMs > nowMs && seen.digest !== digestKept(payloadDigest);
  }

  /** Remembers a request that was served. */
  remember(principal: string, id: Uint8Array, payloadDigest: Uint8Array, nowMs: number): void {
    const ids = this.#principals.get(principal) ?? new Map<string, Seen>();
    this.#principals.delete(principal);
    this.#principals.set(principal, ids);
    this.#dropExpired(ids, nowMs);
    const name = text(id);
    if (!ids.has(name)) this.#count += 1;
    ids.set(name, { digest: digestKept(payloadDigest), untilMs: nowMs + requestSeenMs });
    if (ids.size > requestSeenPerPrincipalMax) this.#dropFirst(ids);
    while (this.#principals.size > requestSeenPrincipalsMax || this.#count > requestSeenTotalMax) this.#dropPrincipal();
  }

  #dropExpired(ids: Map<string, Seen>, nowMs: number): void {
    for (const { untilMs } of ids.values()) {
      if (untilMs > nowMs) return;
      this.#dropFirst(ids);
    }
  }

  #dropFirst(ids: Map<string, Seen>): void {
    const first = ids.keys().next();
    if (first.done) return;
    ids.delete(first.value);
    this.#count -= 1;
  }

  #dropPrincipal(): void {
    const [first] = this.#principals;
    if (first === undefined) return;
    this.#principals.delete(first[0]);
    this.#count -= first[1].size;
  }
}

function digestKept(digest: Uint8Array): string {
  return text(digest.subarray(0, digestBytesKept));
}
