/** The directory: which shard owns which slot, where the shards listen. A database of its own, a few thousand small rows. */
import { slotCount } from '@meshd/schema/address';
import type { Statement } from '../database.js';

/** Holds off other makers until the transaction ends. */
export const lockDirectory: Statement = { text: 'SELECT pg_advisory_xact_lock(0x6d657364)', values: [] };

/** One row: the number of slots that are assigned. */
export const countSlots: Statement = { text: 'SELECT count(*) FROM directory_slot', values: [] };

/** Makes shards known by name, without address. */
export function insertShards(names: readonly string[]): Statement {
  return {
    text: 'INSERT INTO directory_shard (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING',
    values: [[...names]],
  };
}

/** Spreads all slots evenly over the shards, as ranges. */
export function spreadSlots(names: readonly string[]): Statement {
  return {
    text: `INSERT INTO directory_slot (slot, shard)
      SELECT slot, ($1::text[])[1 + slot * cardinality($1::text[]) / ${slotCount}]
      FROM generate_series(0, ${slotCount - 1}) AS slot`,
    values: [[...names]],
  };
}

/** One row if the shard has this address already. */
export function selectShardAt(name: string, address: string): Statement {
  return { text: 'SELECT 1 FROM directory_shard WHERE name = $1 AND address = $2', values: [name, address] };
}

/** Says where a shard listens. */
export function placeShard(name: string, address: string): Statement {
  return {
    text: `INSERT INTO directory_shard (name, address) VALUES ($1, $2)
      ON CONFLICT (name) DO UPDATE SET address = excluded.address`,
    values: [name, address],
  };
}

/** One row: the version. */
export const selectVersion: Statement = { text: 'SELECT version FROM directory_version', values: [] };
/** Rows of slot and shard, in the order of the slots. */
export const selectSlots: Statement = { text: 'SELECT slot, shard FROM directory_slot ORDER BY slot', values: [] };
/** Rows of account and shard. */
export const selectExceptions: Statement = { text: 'SELECT account, shard FROM directory_exception', values: [] };
/** Rows of shard and address, those that have one. */
export const selectAddresses: Statement = {
  text: 'SELECT name, address FROM directory_shard WHERE address IS NOT NULL ORDER BY name',
  values: [],
};
/** Asks to be told of every change. */
export const listenDirectory: Statement = { text: 'LISTEN directory_changed', values: [] };
