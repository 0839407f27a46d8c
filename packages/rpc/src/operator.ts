/**
 * An operator's way to all shards of a provider at once: which there are, any of them says (the slot map); what is asked is
 * asked of each. For commands that ask and end; nothing is repeated, for somebody sits there who sees what went wrong.
 */

import { operatorAnswerMsMax } from '@meshd/limits/limits';
import { statusCodes, statusRegistry } from '@meshd/schema/status';
import type { Identity } from './credentials.js';
import { RpcError } from './errors.js';
import type { Outcome, SlotMap, TransactRequest, TransactResponse } from './generated/meshd/shard/v1/shard.js';
import { connectShard } from './shard-client.js';
import { SlotMapCopy } from './slot-map.js';

type Transaction = NonNullable<TransactRequest['transaction']>;
type Result = NonNullable<TransactResponse['result']>;
/** What an answer holds, by its name. */
type Results = { [R in Result as R['$case']]: R['value'] };

/** The shards, connected. */
export interface OperatedShards {
  /** Names, in the order of the map. */
  readonly names: readonly string[];
  /** The shard of an account, by its canonical address; undefined where the map has none. */
  shardOf(account: string): string | undefined;
  /**
   * Asks one of them.
   *
   * @throws RpcError, `refused` with what the shard said where it refused
   */
  ask<Case extends keyof Results>(shard: string, transaction: Transaction, expected: Case): Promise<Results[Case]>;
}

/** Where to begin, and as whom. */
export interface OperatorOptions {
  readonly identity: Identity;
  /** Shards to ask which there are, `host:port`; the first one that answers will do. */
  readonly addresses: readonly string[];
}

/**
 * Runs `work` with connections to all shards.
 *
 * @throws RpcError where no shard answers, and what `work` throws
 */
export async function withEveryShard<T>(
  { identity, addresses }: OperatorOptions,
  work: (shards: OperatedShards) => Promise<T>,
): Promise<T> {
  const open = new Map<string, ReturnType<typeof connectShard>>();
  const connection = (address: string) => {
    const known = open.get(address) ?? connectShard({ address, identity });
    open.set(address, known);
    return known;
  };
  try {
    const map = await firstMap(addresses, connection);
    const slots = new SlotMapCopy(map);
    const places = new Map(map.shards.map(({ shard, address }) => [shard, address]));
    return await work({
      names: [...places.keys()],
      shardOf: (account) => slots.placeOf(account)?.shard,
      ask: async (shard, transaction, expected) => {
        const ask = { mapVersion: map.version, identity: undefined, describePrincipal: false, transaction };
        const { outcome, result } = await connection(places.get(shard) ?? '').transact(ask, operatorAnswerMsMax);
        if (outcome?.error) throw new RpcError('refused', `${shard}: ${refusalText(outcome)}`);
        if (result?.$case !== expected) throw new RpcError('refused', `${shard} is of another version`);
        return result.value as Results[typeof expected];
      },
    });
  } finally {
    for (const each of open.values()) each.close();
  }
}

/** What the shard says of it, else what the registry of errors says. */
function refusalText({ detail, error }: Pick<Outcome, 'detail' | 'error'>): string {
  if (detail !== '') return detail;
  const code = statusCodes.find((known) => known === error);
  return code === undefined ? error : `${statusRegistry[code].description}. ${statusRegistry[code].advice}`;
}

async function firstMap(
  addresses: readonly string[],
  connection: (address: string) => Pick<ReturnType<typeof connectShard>, 'watchMap'>,
): Promise<SlotMap> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      const signal = AbortSignal.timeout(operatorAnswerMsMax);
      for await (const map of connection(address).watchMap(0, signal)) return map;
    } catch (error) {
      failure = error;
    }
  }
  if (failure instanceof RpcError && failure.code === 'refused') throw failure;
  throw new RpcError('unavailable', `no shard answers at ${addresses.join(', ')}`, { cause: failure });
}
