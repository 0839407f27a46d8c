import { canonicalAddress } from '@meshd/schema/address';
import { MeshError } from '@meshd/schema/status';
import type { ShardContext } from '../context.js';
import { accountRecord, incidentRecord, statusWords } from '../service-records.js';

/** What an operator can do to an account. */
const statusAfter = { block: 'blocked', unblock: 'connected' } as const;

/**
 * Closes an account to its own devices, or opens it again (403/7 of semantics 3). What others send goes on being filed, so
 * that nobody outside can tell, and nothing is lost should the block have been a mistake. Doing it again changes nothing.
 *
 * @param action `block` or `unblock`
 * @returns whether that changed anything
 * @throws MeshError `malformed`, `account-unknown`; `malformed` also for an account on hold, which waits for something else
 */
export async function changeAccount(context: ShardContext, account: string, action: string): Promise<boolean> {
  if (action !== 'block' && action !== 'unblock')
    throw new MeshError('malformed', 'an account is blocked or unblocked');
  const status = statusAfter[action];
  const address = canonicalAddress(account);
  return context.store.transactAccount(address, async (transactor) => {
    const { state } = transactor;
    if (state === undefined) throw new MeshError('account-unknown');
    if (state.status === status) return false;
    if (state.status === 'pending') throw new MeshError('malformed', 'the account is on hold');
    if (state.status === 'moved') throw new MeshError('malformed', 'the account has left');
    const maker = { host: context.host(), nowMs: context.clock(), random: context.random };
    const { profileMesh, profileAccount } = state;
    const entry = { event: 'Update', status: statusWords[status], profileMesh, profileAccount } as const;
    const incident = incidentRecord(maker, {
      kind: `account-${action}ed`,
      account: address,
      detail: 'by the operator',
    });
    await transactor.commit({
      replace: { ...state, status },
      service: [await accountRecord(context.store, maker, address, entry), incident],
    });
    return true;
  });
}
