import { authorise, type Principal } from '../authorise.js';
import type { ShardContext } from '../context.js';

/**
 * Authorisation alone (semantics 4): what a Hello that brings a ticket asks, and a retry without effect.
 *
 * @throws MeshError as `authorise`.
 */
export async function authenticate(context: ShardContext, principal: Principal): Promise<void> {
  await context.store.readAccount(principal.account, (reader) => authorise(principal, reader.state));
}
