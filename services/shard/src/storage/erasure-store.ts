/** Removing the bodies of deleted entries (S64), as the rest of the shard sees it: types only. */

/** A deletion whose bodies are still stored: the frame at which removing goes on, backwards. */
export interface Erasure {
  readonly container: string;
  readonly frameIndex: number;
}

/** One as the shard finds it among those of all accounts. */
export interface PendingErasure extends Erasure {
  readonly address: string;
  readonly containerId: number;
}

/** A frame whose body goes. */
export interface ErasedFrame {
  readonly frameIndex: number;
  /** As it stands afterwards: the same, or with `Malt` in the place of `Salt`. */
  readonly header: Uint8Array;
  /** Octets that the frame no longer counts against the quota; a little below 0 where the body was shorter than its `Malt`. */
  readonly bytesFreed: number;
}

/** A step of an erasure. */
export interface ErasureStep {
  readonly erasure: Erasure;
  readonly frames: readonly ErasedFrame[];
  /** Where it goes on; undefined: it is done. */
  readonly next: number | undefined;
}
