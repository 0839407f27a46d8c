/**
 * What addresses stand for, kept in memory: the shard is the only writer of its database, so what it committed last is
 * what is there. Worth nothing once the lease is gone; whoever asks checks that first.
 */
import { accountStatesMax, unknownNamesMax } from '@meshd/limits/limits';
import { LRUCache } from 'lru-cache';
import type { AddressState } from './apply-write.js';

/** The cache. */
export interface AccountCache {
  /**
   * Looks an address up as a stranger's request makes us do: the first time in a while it is read from the database,
   * whatever is in memory, so that the work does not tell a name in use from one that nobody has (S80).
   */
  approach(address: string): Promise<void>;
  /** From memory, else loaded; calls for one address that meet share a load. */
  get(address: string): Promise<AddressState>;
  /** Tells what a commit made of an address. */
  set(address: string, state: AddressState): void;
  /** Forgets an address whose state is in doubt. */
  drop(address: string): void;
  /** Changes a state in place of its commit; nothing happens where it is not in memory. */
  adjust(address: string, change: (state: AddressState) => AddressState): void;
}

interface Load {
  readonly result: Promise<AddressState>;
  /** A commit came between: what was read may be older than it. */
  overtaken: boolean;
}

/** Makes an empty one. */
export function makeAccountCache(load: (address: string) => Promise<AddressState>): AccountCache {
  const accounts = new LRUCache<string, AddressState>({ max: accountStatesMax });
  // apart, so that asking for names without end does not drive out accounts
  const unknown = new LRUCache<string, AddressState>({ max: unknownNamesMax });
  const approached = new LRUCache<string, true>({ max: unknownNamesMax });
  const loads = new Map<string, Load>();

  const keep = (address: string, known: AddressState): void => {
    (known.state === undefined ? accounts : unknown).delete(address);
    (known.state === undefined ? unknown : accounts).set(address, known);
  };
  const start = (address: string): Load => {
    const begun: Load = {
      overtaken: false,
      result: load(address).then(
        (loaded) => {
          loads.delete(address);
          if (begun.overtaken) return get(address);
          keep(address, loaded);
          return loaded;
        },
        (error) => {
          loads.delete(address);
          throw error;
        },
      ),
    };
    loads.set(address, begun);
    return begun;
  };
  const get = async (address: string): Promise<AddressState> =>
    accounts.get(address) ?? unknown.get(address) ?? (loads.get(address) ?? start(address)).result;
  const overtake = (address: string): void => {
    const running = loads.get(address);
    if (running !== undefined) running.overtaken = true;
  };

  const approach = async (address: string): Promise<void> => {
    const isFirst = !approached.has(address);
    approached.set(address, true);
    // What is in memory stays as it is: this only costs what a name that is not would cost.
    if (isFirst && (accounts.has(address) || unknown.has(address))) await load(address);
    else await get(address);
  };

  return {
    get,
    approach,
    set: (address, state) => {
      overtake(address);
      keep(address, state);
    },
    drop: (address) => {
      overtake(address);
      accounts.delete(address);
      unknown.delete(address);
    },
    adjust: (address, change) => {
      overtake(address);
      const known = accounts.get(address);
      if (known !== undefined) accounts.set(address, change(known));
    },
  };
}
