/**
 * `ID`s of reading requests that were served a short while ago (S27, encoding 6.6): the same request again is served
 * again, another under the same `ID` is refused. Writing requests are the shard's: its index outlives restarts.
 *
 * Bounded for each principal, so that none can push out what another left, and in all. Each principal has a ring of records in
 * one piece of memory: entries of maps, with two strings for each of some thousand requests a second, the collector would move.
 */
import {
  requestIdBytes,
  requestSeenMs,
  requestSeenPerPrincipalMax,
  requestSeenPrincipalsMax,
  requestSeenTotalMax,
} from '@meshd/limits/limits';
import { LRUCache } from 'lru-cache';

/** Enough of a digest to tell two requests of one principal apart. */
const digestBytesKept = 16;
const timeAt = requestIdBytes + digestBytesKept;
/** `ID`, beginning of the digest, Unix milliseconds from which it is forgotten. */
const recordBytes = timeAt + 8;
/** The end of an `ID`, which is random, is looked for first. */
const tagAt = requestIdBytes - 4;
/** Room that a principal begins with; doubled when it is full. */
const roomFirst = 8;

const view = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength);

/** The requests of one principal, oldest first. */
class SeenRing {
  #records = Buffer.alloc(roomFirst * recordBytes);
  #tags = new Uint32Array(roomFirst);
  #first = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Slot of an `ID`; -1 where it is not known. */
  find(id: Buffer): number {
    const tag = id.readUInt32LE(tagAt);
    for (let slot = this.#tags.indexOf(tag); slot >= 0; slot = this.#tags.indexOf(tag, slot + 1)) {
      const start = slot * recordBytes;
      if (this.#isUsed(slot) && id.compare(this.#records, start, start + requestIdBytes) === 0) return slot;
    }
    return -1;
  }

  hasDigest(slot: number, payloadDigest: Uint8Array): boolean {
    const start = slot * recordBytes + requestIdBytes;
    return this.#records.compare(payloadDigest, 0, digestBytesKept, start, start + digestBytesKept) === 0;
  }

  isOver(slot: number, nowMs: number): boolean {
    return this.#records.readDoubleLE(slot * recordBytes + timeAt) <= nowMs;
  }

  /** Writes a record in its place, or behind the newest. */
  put(id: Buffer, payloadDigest: Uint8Array, untilMs: number): void {
    const slot = this.find(id);
    const start = (slot >= 0 ? slot : this.#append(id)) * recordBytes;
    this.#records.set(payloadDigest.subarray(0, digestBytesKept), start + requestIdBytes);
    this.#records.writeDoubleLE(untilMs, start + timeAt);
  }

  dropExpired(nowMs: number): void {
    while (this.#count > 0 && this.isOver(this.#first, nowMs)) this.#dropFirst();
  }

  #isUsed(slot: number): boolean {
    return (slot - this.#first + this.#tags.length) % this.#tags.length < this.#count;
  }

  #append(id: Buffer): number {
    if (this.#count === requestSeenPerPrincipalMax) this.#dropFirst();
    else if (this.#count === this.#tags.length) this.#grow();
    const slot = (this.#first + this.#count) % this.#tags.length;
    this.#tags[slot] = id.readUInt32LE(tagAt);
    this.#records.set(id, slot * recordBytes);
    this.#count += 1;
    return slot;
  }

  #dropFirst(): void {
    this.#first = (this.#first + 1) % this.#tags.length;
    this.#count -= 1;
  }

  /** Twice the room, the oldest in front. */
  #grow(): void {
    const cut = this.#first;
    const [records, tags] = [this.#records, this.#tags];
    this.#records = Buffer.concat(
      [records.subarray(cut * recordBytes), records.subarray(0, cut * recordBytes)],
      2 * records.length,
    );
    this.#tags = new Uint32Array(2 * tags.length);
    this.#tags.set(tags.subarray(cut));
    this.#tags.set(tags.subarray(0, cut), tags.length - cut);
    this.#first = 0;
  }
}

/** What one router remembers. */
export class SeenRequests {
  /** The one served longest ago goes first. */
  readonly #principals = new LRUCache<string, SeenRing>({
    max: requestSeenPrincipalsMax,
    dispose: ({ count }) => {
      this.#count -= count;
    },
  });
  #count = 0;

  /** `ID`s remembered now. */
  get count(): number {
    return this.#count;
  }

  /**
   * Whether the `ID` was used by this principal for another request.
   *
   * @param id 24 octets, as authentication demands
   * @param payloadDigest SHA-2-512 of the request's payload
   */
  isReused(principal: string, id: Uint8Array, payloadDigest: Uint8Array, nowMs: number): boolean {
    // Nobody has said yet that the principal is genuine: it does not count as served.
    const ring = this.#principals.peek(principal);
    const slot = ring?.find(view(id)) ?? -1;
    return ring !== undefined && slot >= 0 && !ring.isOver(slot, nowMs) && !ring.hasDigest(slot, payloadDigest);
  }

  /** Remembers a request that was served. */
  remember(principal: string, id: Uint8Array, payloadDigest: Uint8Array, nowMs: number): void {
    const ring = this.#ringOf(principal);
    const before = ring.count;
    ring.dropExpired(nowMs);
    ring.put(view(id), payloadDigest, nowMs + requestSeenMs);
    this.#count += ring.count - before;
    while (this.#count > requestSeenTotalMax) this.#principals.pop();
  }

  #ringOf(principal: string): SeenRing {
    const known = this.#principals.get(principal);
    if (known !== undefined) return known;
    const ring = new SeenRing();
    this.#principals.set(principal, ring);
    return ring;
  }
}
