/**
 * Puts the storage together: lease, writers, readers, memory of accounts, sweeper.
 */
import {
  clockSkewMsMax,
  deletedNameMs,
  leaseMs,
  shardWriteConnectionsMax,
  shutdownMsMax,
  sweepMs,
  sweepRowsMax,
} from '@meshd/limits/limits';
import { AccountWatches } from './account-watches.js';
import { type AddressState, prepareWrite } from './apply-write.js';
import { type Coalescer, makeCoalescer } from './coalescer.js';
import { makeClient, rowsOf, storageError } from './database.js';
import { StorageError } from './errors.js';
import { openLarge } from './large.js';
import { holdLease } from './lease.js';
import { makeMutexes } from './mutex.js';
import { openOutbox } from './outbox.js';
import { openPublications } from './publications.js';
import { findDamaged, makeParts, makeReader, type Parts } from './reader.js';
import { runApart } from './sessions.js';
import { selectLeftBefore } from './sql/account.js';
import { type ErasureSelectRow, selectErasures } from './sql/erasure.js';
import { type AccountTransactor, type AccountWrite, type ContainerState, type Store, serviceAddress } from './store.js';
import type { StoreOptions } from './store-options.js';
import { sweepOnce } from './sweeper.js';
import { makeWriter } from './writer.js';

/** The state of the service's stores between the commits of the coalescer. */
interface ServiceStores {
  containers: ReadonlyMap<string, ContainerState>;
}

function makeWrites(parts: Parts, service: ServiceStores): Coalescer {
  const { options, lease, cache } = parts;
  const clientMaker = options.makeClient ?? makeClient;
  const count = options.writeConnections ?? shardWriteConnectionsMax;
  return makeCoalescer({
    writers: Array.from({ length: count }, () => makeWriter({ url: options.url, lease, makeClient: clientMaker })),
    serviceContainer: (name) => {
      const container = service.containers.get(name);
      if (container === undefined) throw new StorageError('invalid', `the service has no ${name} yet`);
      return container;
    },
    serviceMoved: (moved) => {
      const containers = new Map(service.containers);
      for (const container of moved) containers.set(container.name, container);
      service.containers = containers;
      cache.adjust(serviceAddress, (known) => withContainers(known, containers));
    },
    serviceDoubtful: async () => {
      cache.drop(serviceAddress);
      // without an answer the old state stays; the database then refuses what rests on it
      await cache.get(serviceAddress).then(
        ({ state }) => {
          if (state !== undefined) service.containers = state.containers;
        },
        (error) => options.onError?.(storageError(error)),
      );
    },
    now: options.now,
    onLeaseLost: (reason) => lease.lose(reason),
    ...(options.onGroup === undefined ? {} : { onGroup: options.onGroup }),
  });
}

function withContainers({ state, name }: AddressState, containers: ReadonlyMap<string, ContainerState>): AddressState {
  if (state === undefined) return { state, name };
  const all = [...containers.values()];
  const bytesUsed = all.reduce((sum, container) => sum + container.bytesUsed, 0);
  const frameCount = all.reduce((sum, container) => sum + container.frameCount, 0);
  return { state: { ...state, containers, bytesUsed, frameCount }, name };
}

function checkSeen(write: AccountWrite, nowMs: number): void {
  if (write.seen === undefined) return;
  const { id } = write.seen;
  const madeMs = id.length === 24 ? Number(Buffer.from(id).readBigUInt64BE(0)) : Number.POSITIVE_INFINITY;
  // an identity from a far future would never be swept up
  if (madeMs > nowMs + 2 * clockSkewMsMax)
    throw new StorageError('invalid', 'the request identity is not of this time');
}

/** Frames are found by the time of their storing, so these times follow their order though the clock be set back. */
function neverBack(now: () => number): () => number {
  let latest = 0;
  return () => {
    latest = Math.max(latest, now());
    return latest;
  };
}

/**
 * Takes the shard's lease and opens its storage.
 *
 * @throws StorageError `lease-lost` when another process keeps the lease, `unavailable` when the database does not answer
 */
export async function openStore(given: StoreOptions): Promise<Store> {
  const options = { ...given, now: neverBack(given.now) };
  let lostBecause: string | undefined;
  const lease = await holdLease({
    url: options.url,
    shardName: options.shardName,
    makeClient: options.makeClient ?? makeClient,
    takeMsMax: options.leaseWaitMsMax ?? 2 * leaseMs,
    onLost: (reason) => {
      lostBecause = reason;
      options.onLeaseLost(reason);
    },
  }).catch((error) => {
    throw storageError(error);
  });
  const parts = makeParts(options, lease);
  try {
    await findDamaged(parts);
  } catch (error) {
    await lease.release();
    await parts.pool.end();
    throw error;
  }
  const service: ServiceStores = { containers: new Map() };
  const coalescer = makeWrites(parts, service);
  const mutexes = makeMutexes();
  const watches = new AccountWatches();
  const outbox = openOutbox(parts);
  const large = openLarge(parts);
  const publications = openPublications(parts);
  const { cache, numbers, pool, fresh } = parts;

  let activeCount = 0;
  let stopping: Promise<void> | undefined;
  /** Counts what is under way, so that stopping can wait for it. */
  const active = async <T>(work: () => Promise<T>): Promise<T> => {
    if (stopping !== undefined) throw new StorageError('closed', 'the shard is stopping');
    lease.expectHeld();
    activeCount += 1;
    try {
      return await work();
    } finally {
      activeCount -= 1;
    }
  };

  const readAccount: Store['readAccount'] = (address, read) =>
    active(async () => {
      const known = await cache.get(address);
      return read(makeReader(parts, address, () => known));
    });

  const commit = async (address: string, before: AddressState, write: AccountWrite): Promise<AddressState> => {
    lease.expectHeld();
    const nowMs = options.now();
    checkSeen(write, nowMs);
    let number = await numbers.reserve(1 + (write.containers?.length ?? 0) + (write.outbox?.length ?? 0));
    const nextNumber = (): number => number++;
    const prepared = prepareWrite(write, { address, before, nowMs, nextNumber });
    try {
      await coalescer.write({ rows: prepared.rows, service: write.service ?? [] });
    } catch (error) {
      // the database knows better, or nobody knows: read again before the next use
      cache.drop(address);
      throw error;
    }
    cache.set(address, prepared.after);
    fresh.follow(write, prepared.after.state);
    watches.tell(address);
    return prepared.after;
  };

  const transactAccount: Store['transactAccount'] = (address, transact) =>
    active(() => mutexes.run(address, () => transactNow(address, transact)));

  const transactNow = async <T>(address: string, transact: (one: AccountTransactor) => Promise<T> | T): Promise<T> => {
    let current = await cache.get(address);
    let over = false;
    const reader = makeReader(parts, address, () => current);
    const transactor: AccountTransactor = Object.create(reader, {
      commit: {
        value: async (write: AccountWrite) => {
          if (over) throw new StorageError('invalid', 'the transaction is over');
          current = await commit(address, current, write);
        },
      },
    });
    try {
      return await transact(transactor);
    } finally {
      over = true;
    }
  };

  const ensureService: Store['ensureService'] = (make) =>
    transactAccount(serviceAddress, async (transactor) => {
      if (transactor.state === undefined) {
        const { fields, containers } = make();
        await transactor.commit({ create: fields, containers });
      }
      service.containers = transactor.state?.containers ?? new Map();
    });

  /** Ends accounts that left long ago: in their turn, since what is in memory of them must end as well. */
  const endLeft = async (): Promise<void> => {
    const left = await rowsOf<[string]>(pool, selectLeftBefore(options.now() - deletedNameMs, sweepRowsMax));
    for (const [address] of left) {
      await transactAccount(address, async (transactor) => {
        if (transactor.state?.status === 'moved') await transactor.commit({ remove: true });
      });
    }
  };

  const sweep = async (): Promise<void> => {
    await endLeft();
    await sweepOnce(
      (statements) => runApart(options, lease, statements),
      async (statement) => (await rowsOf<[number]>(pool, statement)).map(([id]) => id),
      options.now(),
    );
  };
  const sweepTimer = setInterval(() => {
    if (lease.isHeld()) sweep().catch((error) => options.onError?.(storageError(error)));
  }, sweepMs);
  sweepTimer.unref();

  const stop = async (): Promise<void> => {
    clearInterval(sweepTimer);
    const end = performance.now() + shutdownMsMax / 2;
    while (activeCount > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
    await coalescer.drain();
    await outbox.end();
    await large.end();
    await publications.end();
    await lease.release();
    await pool.end();
  };
  return {
    epoch: lease.epoch,
    outbox: outbox.tables,
    large: large.tables,
    publications: publications.tables,
    ...{ readAccount, transactAccount, ensureService, sweep },
    approachAccount: (address) => active(() => cache.approach(address)),
    erasures: (after, countMax) =>
      active(async () => {
        const rows = await rowsOf<ErasureSelectRow>(pool, selectErasures(after, countMax));
        return rows.map(([containerId, frameIndex, address, container]) => {
          return { containerId, frameIndex, address, container };
        });
      }),
    watchAccount: (address, listener) => watches.add(address, listener),
    problems: () => [
      ...(lostBecause === undefined && lease.isHeld() ? [] : [`lease of the shard: ${lostBecause ?? 'not held'}`]),
      ...[...parts.damaged.values()].map(
        ({ address, container, frameIndex }) =>
          `damaged: ${container} of ${address}${frameIndex === null ? '' : `, frame ${frameIndex}`}`,
      ),
    ],
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}
