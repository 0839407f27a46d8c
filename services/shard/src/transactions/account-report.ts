import { canonicalAddress } from '@meshd/schema/address';
import { MeshError } from '@meshd/schema/status';
import type { ShardContext } from '../context.js';
import { incidentRecord } from '../service-records.js';
import type { AccountState, ContainerState, Quota } from '../storage/store.js';

/** What an operator sees of an account: how much there is of what, never what it is. */
export type AccountReport = Pick<
  AccountState,
  'status' | 'away' | 'createdAtMs' | 'bytesUsed' | 'frameCount' | 'quota'
> & {
  readonly containers: readonly Pick<ContainerState, 'name' | 'frameCount' | 'bytesUsed' | 'damaged'>[];
  /** Devices that are connected. */
  readonly deviceCount: number;
};

/** Says how an account stands. @throws MeshError `account-unknown`; AddressError */
export async function reportAccount({ store }: ShardContext, account: string): Promise<AccountReport> {
  return store.readAccount(canonicalAddress(account), ({ state }) => {
    if (state === undefined) throw new MeshError('account-unknown');
    const { status, away, createdAtMs, bytesUsed, frameCount, quota, containers, devices } = state;
    const deviceCount = [...devices.values()].filter(({ revokedAtMs }) => revokedAtMs === null).length;
    const listed = [...containers.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
    return { status, away, createdAtMs, bytesUsed, frameCount, quota, containers: listed, deviceCount };
  });
}

/**
 * Sets what an account may hold. An account that holds more keeps it, and is refused further entries until it holds less. What is
 * not given stays; setting what is set already changes nothing.
 *
 * @returns the quota, and whether it was another before
 * @throws MeshError `account-unknown`; `malformed` for what is no number of octets or frames; AddressError
 */
export async function changeQuota(
  context: ShardContext,
  account: string,
  asked: { readonly [Bound in keyof Quota]?: number | undefined },
): Promise<{ readonly quota: Quota; readonly changed: boolean }> {
  for (const bound of [asked.bytesMax, asked.framesMax]) {
    if (bound !== undefined && !(Number.isSafeInteger(bound) && bound >= 0)) {
      throw new MeshError('malformed', 'a quota is a whole number, not below 0');
    }
  }
  const address = canonicalAddress(account);
  return context.store.transactAccount(address, async (transactor) => {
    const { state } = transactor;
    if (state === undefined) throw new MeshError('account-unknown');
    const { bytesMax = state.quota.bytesMax, framesMax = state.quota.framesMax } = asked;
    const quota = { bytesMax, framesMax };
    if (bytesMax === state.quota.bytesMax && framesMax === state.quota.framesMax) return { quota, changed: false };
    const maker = { host: context.host(), nowMs: context.clock(), random: context.random };
    const detail = `by the operator: ${bytesMax} octets, ${framesMax} frames`;
    await transactor.commit({
      replace: { ...state, quota },
      service: [incidentRecord(maker, { kind: 'quota-changed', account: address, detail })],
    });
    return { quota, changed: true };
  });
}
