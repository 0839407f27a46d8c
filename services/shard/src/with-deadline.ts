import { MeshError } from '@meshd/schema/status';
import type { ShardContext } from './context.js';
import type { Store } from './storage/store.js';

/**
 * The context for a request with a deadline: work that has waited for its account until nobody waits for the answer any
 * more is not begun. What has begun is finished: a write cannot be called off without knowing how far it came.
 *
 * @param deadlineAt on the clock of `performance.now()`.
 */
export function withDeadline(context: ShardContext, deadlineAt: number): ShardContext {
  const { store } = context;
  const inTime = <A, T>(work: (account: A) => Promise<T> | T) => {
    return (account: A) => {
      if (performance.now() >= deadlineAt) throw new MeshError('shard-timeout');
      return work(account);
    };
  };
  const limited: Store = {
    epoch: store.epoch,
    get outbox() {
      return store.outbox;
    },
    get large() {
      return store.large;
    },
    get publications() {
      return store.publications;
    },
    approachAccount: (address) => store.approachAccount(address),
    readAccount: (address, read) => store.readAccount(address, inTime(read)),
    transactAccount: (address, transact) => store.transactAccount(address, inTime(transact)),
    watchAccount: (address, listener) => store.watchAccount(address, listener),
    ensureService: (make) => store.ensureService(make),
    erasures: (after, countMax) => store.erasures(after, countMax),
    problems: () => store.problems(),
    sweep: () => store.sweep(),
    stop: () => store.stop(),
  };
  return { ...context, store: limited };
}
