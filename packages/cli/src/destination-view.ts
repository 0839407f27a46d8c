/** Destinations as an operator sees them: what each shard says of one, put together. Pure. */
import { outboxAgesMs } from '@meshd/limits/outbox';
import type { Destination } from '@meshd/rpc/generated/meshd/shard/v1/shard';

/** What one shard says of a destination. Times are Unix milliseconds. */
export interface ShardDestination extends Omit<Destination, 'domain'> {
  readonly shard: string;
}

/** A destination over all shards. */
export interface DestinationView {
  readonly domain: string;
  /** The worst of the shards' words: held, gone, resting, healthy. */
  readonly state: string;
  readonly rows: number;
  readonly leased: number;
  /** Undefined: no messages. */
  readonly oldestQueuedMs: number | undefined;
  /** By `outboxAgesMs`, and older. */
  readonly rowsByAge: readonly number[];
  readonly shards: readonly ShardDestination[];
}

/** Heads of columns for `rowsByAge`. */
export const ageHeads: readonly string[] = [...outboxAgesMs.map((ms) => `<${shortAge(ms)}`), 'older'];

function shortAge(ms: number): string {
  const minutes = ms / 60_000;
  return minutes < 60 ? `${minutes}m` : `${minutes / 60}h`;
}

const worstFirst = ['held', 'gone', 'resting', 'healthy'];
const rankOf = (word: string) => (worstFirst.includes(word) ? worstFirst.indexOf(word) : worstFirst.length);

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

/** Puts together what shards say; destinations with the oldest messages first. */
export function viewsOf(told: readonly { readonly shard: string; readonly destination: Destination }[]) {
  const byDomain = Map.groupBy(told, ({ destination }) => destination.domain);
  const views = [...byDomain].map(([domain, each]) => viewOf(domain, each.map(shardDestination)));
  const oldest = ({ oldestQueuedMs }: DestinationView) => oldestQueuedMs ?? Number.POSITIVE_INFINITY;
  return views.sort((a, b) => oldest(a) - oldest(b) || (a.domain < b.domain ? -1 : 1));
}

function shardDestination({ shard, destination }: { shard: string; destination: Destination }): ShardDestination {
  const { domain: _domain, ...said } = destination;
  return { shard, ...said };
}

function viewOf(domain: string, shards: readonly ShardDestination[]): DestinationView {
  const queued = shards.map(({ oldestQueuedMs }) => oldestQueuedMs).filter((ms) => ms > 0);
  const [worst] = shards.map(({ state }) => state).sort((a, b) => rankOf(a) - rankOf(b));
  return {
    ...{ domain, shards, state: worst ?? 'healthy' },
    ...{ rows: sum(shards.map(({ rows }) => rows)), leased: sum(shards.map(({ leased }) => leased)) },
    oldestQueuedMs: queued.length === 0 ? undefined : Math.min(...queued),
    rowsByAge: ageHeads.map((_, at) => sum(shards.map(({ rowsByAge }) => rowsByAge[at] ?? 0))),
  };
}
