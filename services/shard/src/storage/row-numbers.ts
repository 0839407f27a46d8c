import { numberBlockSize } from './sql/lease.js';

/** Numbers for rows, taken from the database in blocks. */
export class RowNumbers {
  #next = 0;
  #end = 0;
  #refill: Promise<void> | undefined;
  readonly #take: () => Promise<number>;

  constructor(take: () => Promise<number>) {
    this.#take = take;
  }

  /** Sets `count` numbers aside and returns the first; at most a block's. */
  async reserve(count: number): Promise<number> {
    while (this.#end - this.#next < count) {
      this.#refill ??= this.#take()
        .then((first) => {
          this.#next = first;
          this.#end = first + numberBlockSize;
        })
        .finally(() => {
          this.#refill = undefined;
        });
      await this.#refill;
    }
    const first = this.#next;
    this.#next += count;
    return first;
  }
}
