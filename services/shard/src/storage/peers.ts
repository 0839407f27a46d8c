/**
 * Other services and their pins (S70), kept in the database of the directory: the same for all shards and routers. What may
 * follow a pin is judged by who settles; here is only that it is judged and written in one transaction.
 */
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import {
  peerConnectionsToDirectoryMax,
  peerFailureMs,
  peerFetchesPerSecondMax,
  peersWantedMax,
  peerWantedNotedMs,
} from '@meshd/limits/peers';
import pg from 'pg';
import { keeperConfig, rowsOf, type Statement, storageError } from './database.js';
import * as sql from './sql/peer.js';

/** What a service is pinned to. */
export interface PinnedPeer {
  readonly domain: string;
  /** Raw offline key of the ProfileService. */
  readonly serviceKey: Uint8Array;
  readonly profileService: EnvelopeOctets;
  readonly features: readonly string[];
  /** When it was last called with success, milliseconds since 1970. */
  readonly verifiedMs: number;
}

/** A domain that was asked for. */
export type KnownPeer =
  | { readonly pinned: PinnedPeer }
  /** Not known yet; failures are kept until `dueMs`. */
  | { readonly pinned: undefined; readonly lastFailure: string; readonly dueMs: number };

/** A domain leased to be called, with its pin if it has one. */
export interface LeasedPeer {
  readonly domain: string;
  readonly pinned: PinnedPeer | undefined;
}

/** How a call ended: with what is pinned from now on, or with a failure, and when to call again. */
export type PeerSettlement =
  | { readonly pinned: PinnedPeer; readonly dueMs: number }
  | { readonly failure: string; readonly dueMs: number };

/** The table of other services. Every method throws StorageError. */
export interface PeerStore {
  /** What is known of a domain; one that is not is thereby wanted. */
  lookup(domain: string, nowMs: number): Promise<KnownPeer>;
  /** Leases domains that are due, so few that all shards together call no more than S70 allows. */
  lease(owner: string, countMax: number, leaseMs: number, nowMs: number): Promise<LeasedPeer[]>;
  /**
   * Ends a lease.
   *
   * @param judge gets the pin as it is and says what becomes of it; nobody else changes it meanwhile
   * @returns false where the owner does not have the lease any more: nothing was judged or changed
   */
  settle(
    owner: string,
    domain: string,
    judge: (pinned: PinnedPeer | undefined) => Promise<PeerSettlement>,
  ): Promise<boolean>;
  stop(): Promise<void>;
}

/** Opens the table; it connects when it is first needed. */
export function openPeers(url: string): PeerStore {
  const pool = new pg.Pool({ ...keeperConfig(url), max: peerConnectionsToDirectoryMax });
  // a connection that breaks tells whoever waits for it and the pool; an event without listener would end the process
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));

  const inTransaction = async <T>(work: (run: <R extends unknown[]>(of: Statement) => Promise<R[]>) => Promise<T>) => {
    const client = await pool.connect().catch((error) => {
      throw storageError(error);
    });
    try {
      await client.query('BEGIN');
      const result = await work((statement) => rowsOf(client, statement));
      await client.query('COMMIT');
      client.release();
      return result;
    } catch (error) {
      // Closed, not given back: whether its transaction is over nobody knows.
      client.release(true);
      throw storageError(error);
    }
  };

  const wanted = async (domain: string, nowMs: number): Promise<KnownPeer> => {
    await rowsOf(pool, sql.insertWanted(domain, nowMs, peersWantedMax));
    return { pinned: undefined, lastFailure: '', dueMs: nowMs };
  };

  return {
    lookup: async (domain, nowMs) => {
      const [row] = await rowsOf<sql.PeerRow>(pool, sql.selectPeer(domain));
      if (row === undefined) return wanted(domain, nowMs);
      const [, , , , , , , dueMs, lastFailure, lastWantedMs] = row;
      if (lastWantedMs <= nowMs - peerWantedNotedMs) await rowsOf(pool, sql.touchWanted(domain, nowMs));
      const pinned = pinnedOf(row);
      return pinned === undefined ? { pinned, lastFailure, dueMs } : { pinned };
    },
    lease: (owner, countMax, leaseMs, nowMs) =>
      inTransaction(async (run) => {
        await run(sql.lockLeasing);
        await run(sql.deleteUnwanted(nowMs, peerFailureMs));
        const [counted] = await run<[number]>(sql.countLeasedSince(nowMs - 1000));
        const left = Math.min(countMax, peerFetchesPerSecondMax - (counted?.[0] ?? 0));
        if (left <= 0) return [];
        const rows = await run<sql.PeerRow>(sql.leasePeers(owner, nowMs, leaseMs, left));
        return rows.map((row) => ({ domain: row[0], pinned: pinnedOf(row) }));
      }),
    settle: (owner, domain, judge) =>
      inTransaction(async (run) => {
        const [row] = await run<sql.PeerRow>(sql.selectLeasedPeer(domain, owner));
        if (row === undefined) return false;
        const settled = await judge(pinnedOf(row));
        await run(
          'pinned' in settled
            ? sql.updatePinned({ ...settled.pinned, ...settled.pinned.profileService, ...withPayload(settled) })
            : sql.updateFailed(domain, settled.failure, settled.dueMs),
        );
        return true;
      }),
    stop: () => pool.end(),
  };
}

function withPayload({ pinned, dueMs }: Extract<PeerSettlement, { pinned: PinnedPeer }>) {
  const { payload } = pinned.profileService;
  if (payload === null) throw new TypeError('a verified profile has a payload');
  return { payload, dueMs };
}

function pinnedOf(row: sql.PeerRow): PinnedPeer | undefined {
  const [domain, serviceKey, header, payload, trailer, features, verifiedMs] = row;
  if (serviceKey === null || header === null || payload === null) return undefined;
  const words = features === '' ? [] : features.split(' ');
  return { domain, serviceKey, profileService: { header, payload, trailer }, features: words, verifiedMs };
}
