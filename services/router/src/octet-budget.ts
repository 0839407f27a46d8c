/** Octets of bodies in memory, counted for the router and for each source (semantics 2.2). */
import { bodyBytesInFlightMax, bodyBytesInFlightPerSourceMax, comeBackMs } from '@meshd/limits/limits';
import { MeshError } from '@meshd/schema/status';

/** A share of the budget; grows while a body comes in. */
export interface Reservation {
  /**
   * Takes more.
   *
   * @throws MeshError `overloaded` for the router's bound, `rate-limited` for that of the source
   */
  grow(bytes: number): void;
  /** Gives all back. Further calls do nothing. */
  release(): void;
}

/** What bounds a budget. */
export interface OctetBudgetOptions {
  readonly bytesMax?: number;
  readonly bytesPerSourceMax?: number;
}

/** The budget of one router. */
export class OctetBudget {
  readonly #bytesMax: number;
  readonly #bytesPerSourceMax: number;
  readonly #ofSource = new Map<string, number>();
  #bytes = 0;

  constructor(options: OctetBudgetOptions = {}) {
    this.#bytesMax = options.bytesMax ?? bodyBytesInFlightMax;
    this.#bytesPerSourceMax = options.bytesPerSourceMax ?? bodyBytesInFlightPerSourceMax;
  }

  /** Octets taken now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Opens an empty share for one request. */
  open(source: string): Reservation {
    let taken = 0;
    return {
      grow: (bytes) => {
        this.#take(source, bytes);
        taken += bytes;
      },
      release: () => {
        this.#give(source, taken);
        taken = 0;
      },
    };
  }

  #take(source: string, bytes: number): void {
    const ofSource = (this.#ofSource.get(source) ?? 0) + bytes;
    const retry = { retryAfterMs: comeBackMs };
    if (ofSource > this.#bytesPerSourceMax) {
      throw new MeshError('rate-limited', '', { ...retry, resource: 'bodies of one source' });
    }
    if (this.#bytes + bytes > this.#bytesMax) throw new MeshError('overloaded', '', { ...retry, resource: 'bodies' });
    this.#bytes += bytes;
    this.#ofSource.set(source, ofSource);
  }

  #give(source: string, bytes: number): void {
    this.#bytes -= bytes;
    const left = (this.#ofSource.get(source) ?? 0) - bytes;
    if (left > 0) this.#ofSource.set(source, left);
    else this.#ofSource.delete(source);
  }
}
