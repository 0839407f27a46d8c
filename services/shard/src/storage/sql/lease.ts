/** The lease under which a shard's process writes (design rule: a stale shard cannot write). */
import { leaseMs } from '@meshd/limits/limits';
import type { Statement } from '../database.js';

/** A lease that is held: the shard's name and the epoch of the taking. */
export interface LeaseHeld {
  readonly name: string;
  readonly epoch: number;
}

/** First statement of every writing transaction; fails with its own SQLSTATE when the epoch is another by now. */
export function expectLease(lease: LeaseHeld): Statement {
  return { name: 'lease-expect', text: 'SELECT lease_expect($1, $2)', values: [lease.name, lease.epoch] };
}

/**
 * Takes the lease where nobody has it, where it was not renewed for `leaseMs`, or where its owner is `ownerGone`.
 * One row with the new epoch, or none.
 */
export function takeLease(name: string, owner: string, ownerGone: string | null): Statement {
  return {
    text: `INSERT INTO shard_lease AS l (name, epoch, owner, renewed_at) VALUES ($1, 1, $2, clock_timestamp())
      ON CONFLICT (name) DO UPDATE SET epoch = l.epoch + 1, owner = excluded.owner, renewed_at = clock_timestamp()
      WHERE l.renewed_at < clock_timestamp() - make_interval(secs => $3) OR l.owner = $4
      RETURNING epoch`,
    values: [name, owner, leaseMs / 1000, ownerGone],
  };
}

/** Who has the lease: one row with the owner, or none. */
export function selectLeaseOwner(name: string): Statement {
  return { text: 'SELECT owner FROM shard_lease WHERE name = $1', values: [name] };
}

/** Keeps the lease; one row while it is still ours. */
export function renewLease(lease: LeaseHeld): Statement {
  return {
    name: 'lease-renew',
    text: 'UPDATE shard_lease SET renewed_at = clock_timestamp() WHERE name = $1 AND epoch = $2 RETURNING epoch',
    values: [lease.name, lease.epoch],
  };
}

/** Gives the lease back, so that the next process need not wait. */
export function releaseLease(lease: LeaseHeld): Statement {
  return {
    text: `UPDATE shard_lease SET renewed_at = '-infinity' WHERE name = $1 AND epoch = $2`,
    values: [lease.name, lease.epoch],
  };
}

/** A block of 1,024 numbers for new rows: the first of them. */
export const takeNumberBlock: Statement = { text: `SELECT nextval('row_number_block')`, values: [] };
/** Numbers in a block. */
export const numberBlockSize = 1024;
