/** What lies in a shard's database: containers and their frames, as rows. */
import pg from 'pg';
import type { Wire } from './dare.js';
import { b64 } from './octets.js';

export interface StoredFrame {
  readonly frame_index: string;
  readonly header: Buffer;
  readonly payload: Buffer | null;
  readonly trailer: Buffer | null;
  readonly payload_digest: Buffer;
  readonly tree_digest: Buffer;
  readonly leaf: Buffer;
}
export interface StoredContainer {
  readonly address: string;
  readonly account_udf: string;
  readonly name: string;
  readonly frame_count: string;
  readonly log_id: Buffer;
  readonly frames: readonly StoredFrame[];
}

/** Every container of a shard, frames in order. */
export async function readShard(connectionString: string): Promise<StoredContainer[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<StoredContainer & { id: string }>(
      'SELECT container.*, address, account_udf FROM container JOIN account ON account.id = account_id ORDER BY container.id',
    );
    const all: StoredContainer[] = [];
    for (const row of rows) {
      const frames = await client.query<StoredFrame>(
        'SELECT * FROM frame WHERE container_id = $1 ORDER BY frame_index',
        [row.id],
      );
      all.push({ ...row, frames: frames.rows });
    }
    return all;
  } finally {
    await client.end();
  }
}

/** A stored frame as the envelope that it was. */
export function wireOf({ header, payload, trailer }: StoredFrame): Wire {
  const head = JSON.parse(header.toString('utf8')) as object;
  const body = payload === null ? null : b64(payload);
  return trailer === null ? [head, body] : [head, body, JSON.parse(trailer.toString('utf8')) as object];
}
