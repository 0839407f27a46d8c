/** Keys, profiles and connections of a provider's service and hosts (S26), as `mesh-admin service init` and `issue` make them. */
import { hostRoles, initService, issueHost } from '@meshd/binding/host-files';

/**
 * Makes the service and the hosts where they are missing, and a fresh connection for each host. Processes that run take
 * the new connection without a restart.
 *
 * @param folder the folder `service` of the provider's data
 * @param nowMs the time, milliseconds since 1970
 * @returns UDF of the service
 */
export async function ensureServiceKeys(folder: string, domains: readonly string[], nowMs: number): Promise<string> {
  const { udf } = await initService(folder, { nowMs });
  for (const role of hostRoles) await issueHost(folder, role, { nowMs, domains });
  return udf;
}
