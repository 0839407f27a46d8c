import { authorise, type Caller, type Principal } from '../authorise.js';
import { noteFirstUse } from '../connect/first-use.js';
import type { ShardContext } from '../context.js';

/** What a ticket says of its bearer and the router cannot know (S31). */
export interface PrincipalDescription {
  readonly accountUdf: string;
  readonly deviceUdf: string;
}

/**
 * Authorisation alone (semantics 4): what a Hello that brings a ticket asks.
 *
 * @returns who it is; undefined for a device that is not listed yet, which gets no ticket: a ticket brings no connection,
 *   and without an entry there is nothing to compare its digest with.
 * @throws MeshError as `authorise`.
 */
export async function authenticate(
  context: ShardContext,
  principal: Principal,
): Promise<PrincipalDescription | undefined> {
  const caller = await context.store.readAccount(principal.account, (reader) => authorise(principal, reader.state));
  await noteFirstUse(context, caller);
  return describe(caller);
}

/** Who a request that was authorised comes from; see {@link authenticate}. */
export function describe({ device, state }: Caller): PrincipalDescription | undefined {
  return device === undefined ? undefined : { accountUdf: state.accountUdf, deviceUdf: device.deviceUdf };
}
