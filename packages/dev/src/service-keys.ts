/** Keys, profiles and connections of a provider's service and hosts (S26), as `mesh-admin service init` and `issue` make them. */
import { join } from 'node:path';
import { hostRoles, initService, issueHost } from '@meshd/binding/host-files';
import { rotateTicketKeys } from '@meshd/binding/ticket-keys';

/** Below the folder `service`: keys that seal tickets, which routers read (S31). */
export const ticketKeyFolder = 'tickets';

/**
 * Makes the service and the hosts where they are missing, a fresh connection for each host, and the ticket keys of this
 * day and the next. Processes that run take them without a restart. To be called daily.
 *
 * @param folder the folder `service` of the provider's data
 * @param nowMs the time, milliseconds since 1970
 * @returns UDF of the service
 */
export async function ensureServiceKeys(folder: string, domains: readonly string[], nowMs: number): Promise<string> {
  const { udf } = await initService(folder, { nowMs });
  for (const role of hostRoles) await issueHost(folder, role, { nowMs, domains });
  await rotateTicketKeys(join(folder, ticketKeyFolder), nowMs);
  return udf;
}
