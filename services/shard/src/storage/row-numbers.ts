/** Numbers for new rows, at hand without asking the database for each. */
import { numberBlockSize } from './sql/lease.js';

/** Takes numbers from the database in blocks. What is left of a block is lost at the end; numbers are plenty. */
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
