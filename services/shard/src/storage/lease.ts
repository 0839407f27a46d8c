/**
 * Holds the shard's lease: takes it, renews it, notices its loss.
 *
 * Two clocks guard it. The database compares the epoch inside every writing transaction, so a stale process cannot
 * write whatever it believes. The process itself counts from the moment it *sent* its last successful renewal, on a
 * clock that does not jump, and stops reading from its memory before anybody else could have taken the lease.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { leaseMs, leaseRenewMs, leaseTakePollMs } from '@meshd/limits/limits';
import type pg from 'pg';
import { type ClientMaker, keeperConfig, rowsOf } from './database.js';
import { StorageError } from './errors.js';
import { type LeaseHeld, releaseLease, renewLease, selectLeaseOwner, takeLease } from './sql/lease.js';

/** The process stops trusting its lease this much before it ends in the database: for a renewal that was slow on its way. */
const leaseMarginMs = leaseMs / 5;

/** Owners in this very process, so that a second one in it is not mistaken for a dead one. */
const ownersHere = new Set<string>();

/** Whether an owner ran on this machine in a process that is no more. */
function isGone(owner: string): boolean {
  const [host, pidText] = owner.split('/');
  const pid = Number(pidText);
  if (host !== hostname() || !Number.isSafeInteger(pid)) return false;
  // containers begin counting anew: the same host name and our own number mean an earlier life of this container
  if (pid === process.pid) return !ownersHere.has(owner);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** What {@link holdLease} needs. */
export interface LeaseOptions {
  readonly url: string;
  readonly shardName: string;
  readonly makeClient: ClientMaker;
  /** Give up taking the lease after this long; must exceed the time of a lease. */
  readonly takeMsMax: number;
  /** Called once when the lease is lost, not when it is given back. */
  readonly onLost: (reason: string) => void;
}

/** The lease while it is held. */
export interface Lease extends LeaseHeld {
  /** Whether nobody else can have taken it yet. */
  isHeld(): boolean;
  /** @throws StorageError `lease-lost` unless held */
  expectHeld(): void;
  /** Says that the database has refused our epoch. */
  lose(reason: string): void;
  /** Gives it back. */
  release(): Promise<void>;
}

/** @returns the epoch, and when the request that got it was sent. */
async function take(client: pg.Client, options: LeaseOptions, owner: string): Promise<[epoch: number, sentAt: number]> {
  const end = performance.now() + options.takeMsMax;
  for (;;) {
    const [holder] = await rowsOf<[string]>(client, selectLeaseOwner(options.shardName));
    const gone = holder !== undefined && isGone(holder[0]) ? holder[0] : null;
    const sentAt = performance.now();
    const [taken] = await rowsOf<[number]>(client, takeLease(options.shardName, owner, gone));
    if (taken !== undefined) return [taken[0], sentAt];
    if (performance.now() > end) {
      const message = `shard ${options.shardName} is held by ${holder?.[0] ?? 'another process'}`;
      throw new StorageError('lease-lost', message);
    }
    await new Promise((resolve) => setTimeout(resolve, leaseTakePollMs));
  }
}

/**
 * Takes the lease and keeps it until released.
 *
 * @throws StorageError `lease-lost` when another process keeps it, `unavailable` when the database does not answer
 */
export async function holdLease(options: LeaseOptions): Promise<Lease> {
  const owner = `${hostname()}/${process.pid}/${randomBytes(8).toString('hex')}`;
  ownersHere.add(owner);
  let client = await connect(options);
  const [epoch, takenAt] = await take(client, options, owner).catch(async (error) => {
    ownersHere.delete(owner);
    await client.end();
    throw error;
  });
  const held: LeaseHeld = { name: options.shardName, epoch };
  let sentAt = takenAt;
  let lostBecause: string | undefined;
  let released = false;

  const lose = (reason: string): void => {
    if (lostBecause !== undefined || released) return;
    lostBecause = reason;
    ownersHere.delete(owner);
    clearInterval(timer);
    options.onLost(reason);
  };
  const isHeld = (): boolean => {
    if (released || lostBecause !== undefined) return false;
    if (performance.now() - sentAt < leaseMs - leaseMarginMs) return true;
    lose('not renewed in time');
    return false;
  };
  let renewing = false;
  const renew = async (): Promise<void> => {
    if (renewing || !isHeld()) return;
    renewing = true;
    const sent = performance.now();
    try {
      if ((await rowsOf(client, renewLease(held))).length === 0) lose('taken over by another process');
      else sentAt = Math.max(sentAt, sent);
    } catch {
      // the connection may be gone: try with a new one until the time is over
      client.end().catch(() => {});
      client = await connect(options).catch(() => client);
    } finally {
      renewing = false;
    }
  };
  const timer = setInterval(() => void renew(), leaseRenewMs);
  timer.unref();
  return {
    ...held,
    isHeld,
    expectHeld: () => {
      if (!isHeld()) throw new StorageError('lease-lost', `lease of ${held.name} ${lostBecause ?? 'given back'}`);
    },
    lose,
    release: async () => {
      if (released) return;
      released = true;
      clearInterval(timer);
      ownersHere.delete(owner);
      await rowsOf(client, releaseLease(held)).catch(() => {});
      await client.end().catch(() => {});
    },
  };
}

async function connect({ url, makeClient }: LeaseOptions): Promise<pg.Client> {
  const client = makeClient(keeperConfig(url));
  client.on('error', () => {}); // the next renewal fails and says so
  await client.connect();
  return client;
}
