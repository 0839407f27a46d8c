/** Which ProfileService may follow which under one pin (S26). */
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import type { DareEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import type { VerifiedService } from './host-chain.js';

/**
 * Why a service does not follow the pinned one; undefined where it does: it is the same, not older, or the pinned key
 * signed it as its successor (S26).
 *
 * @param pinned offline key of the pinned service
 * @param pinnedUpdatedMs `Updated` of the pinned profile, milliseconds
 */
export async function whyNotSuccessor(
  service: VerifiedService,
  pinned: PublicKeyEd448,
  pinnedUpdatedMs: number | undefined,
): Promise<string | undefined> {
  if (pinned.equals(service.offlineKey)) {
    return (service.updatedMs ?? 0) < (pinnedUpdatedMs ?? 0) ? 'an older profile' : undefined;
  }
  return (await isSignedBy(service.envelope, pinned)) ? undefined : 'another key, not signed by the pinned one';
}

async function isSignedBy(envelope: DareEnvelope, key: PublicKeyEd448): Promise<boolean> {
  try {
    const { signers } = await verifyEnvelope(envelope, (kid) => (kid === key.udf ? key : undefined));
    return signers.some((signer) => signer.equals(key));
  } catch {
    return false;
  }
}
