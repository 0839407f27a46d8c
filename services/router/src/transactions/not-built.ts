/** Transactions that are known and not built yet: 501 to whoever may call them (semantics 3, 4.1). */
import type { Authentication } from '@meshd/binding/request-authenticate';
import { MeshError } from '@meshd/schema/status';
import type { TransactionContext } from '../transaction.js';

/** Who calls, whatever the form: a device that is not connected, one that is, a host of a service. */
type Caller = 'device' | 'connected' | 'host';

const levels = { device: 'device', profile: 'connected', service: 'host' } as const;

function callerOf(authentication: Authentication): Caller | undefined {
  switch (authentication.form) {
    case 'device':
    case 'host':
      return authentication.form;
    case 'profile':
      return 'connected';
    case 'ticket':
      return levels[authentication.ticket.content.level];
    default:
      return undefined;
  }
}

/** Refuses with 501 those who may call, and all others as they will be refused when it is built. */
export const notBuilt =
  (...callers: readonly Caller[]) =>
  async (_message: unknown, { authentication }: Pick<TransactionContext, 'authentication'>): Promise<never> => {
    const caller = callerOf(authentication);
    if (caller !== undefined && callers.includes(caller)) throw new MeshError('not-implemented');
    if (caller === 'host') throw new MeshError('policy', 'not for hosts');
    throw new MeshError(caller === 'connected' ? 'not-authorised' : 'not-authenticated');
  };
