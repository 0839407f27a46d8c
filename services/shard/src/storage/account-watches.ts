/** Who wants to know of commits, by address. */
export class AccountWatches {
  readonly #listeners = new Map<string, Set<() => void>>();

  /** @returns ends the watch. */
  add(address: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(address) ?? new Set();
    this.#listeners.set(address, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(address) === listeners) this.#listeners.delete(address);
    };
  }

  /** Calls the listeners of an address. */
  tell(address: string): void {
    for (const listener of [...(this.#listeners.get(address) ?? [])]) listener();
  }
}
