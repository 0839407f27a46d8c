/** Transactions that are known and not built yet: 501 to whoever may call them (semantics 3, 4.1). */
import { MeshError } from '@meshd/schema/status';
import type { TransactionContext } from '../transaction.js';
import { type Caller, callerOf } from './shared.js';

/** Refuses with 501 those who may call, and all others as they will be refused when it is built. */
export const notBuilt =
  (...callers: readonly Caller[]) =>
  async (_message: unknown, { authentication }: Pick<TransactionContext, 'authentication'>): Promise<never> => {
    const caller = callerOf(authentication);
    if (caller !== undefined && callers.includes(caller)) throw new MeshError('not-implemented');
    if (caller === 'host') throw new MeshError('policy', 'not for hosts');
    throw new MeshError(caller === 'connected' ? 'not-authorised' : 'not-authenticated');
  };
