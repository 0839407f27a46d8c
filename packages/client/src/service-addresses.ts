import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { canonicalAddress } from '@meshd/schema/address';
import { verifyProfile } from '@meshd/schema/profile-check';

/**
 * The addresses that a profile of an account names, canonical, the authoritative one first (R008).
 *
 * @throws MeshError for a profile that does not hold
 */
export async function addressesOf(profileAccount: EnvelopeOctets): Promise<string[]> {
  const { profile } = await verifyProfile(profileAccount, 'ProfileAccount');
  return (profile.ServiceIDs ?? []).map((address) => canonicalAddress(address));
}
