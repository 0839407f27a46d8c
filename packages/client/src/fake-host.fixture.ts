/** A host for the service in memory, with keys and profiles of its own, and what it signs. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HostIdentity, initService, issueHost, loadHostIdentity } from '@meshd/binding/host-files';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';

export const fakeDomain = 'example.com';

/** Keys and profiles of a service, for signing heads. */
export async function fakeHost(nowMs: number): Promise<HostIdentity> {
  const folder = await mkdtemp(join(tmpdir(), 'mesh-host-'));
  await initService(folder, { nowMs });
  await issueHost(folder, 'router', { domains: [fakeDomain], nowMs });
  return loadHostIdentity(join(folder, 'router'));
}

/** An object that a host signs for keeping, with its credentials (S26). */
export function signedByHost(host: HostIdentity, payload: Uint8Array): EnvelopeOctets {
  const { signingKey, profileHost: Profile, connectionHost: Connection } = host;
  return signEnvelope({ payload, keys: [signingKey], entryMembers: [{ Profile, Connection }] });
}
