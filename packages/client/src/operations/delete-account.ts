import { forgetAccount } from '../account-state.js';
import type { Device } from '../device.js';
import { requireSuccess } from '../session.js';

/** Status of an account that is not there (any more): for a deletion as good as success (semantics 6.3). */
const unknownStatus = 401;

/**
 * Deletes the account at the service and then everything of it in this home.
 * @returns whether the service still knew the account
 * @throws ClientError `refused`
 */
export async function deleteAccount(device: Device): Promise<boolean> {
  const { session } = device;
  const response = await session.call('DeleteAccount', { DeviceProfile: session.identity.profileDevice }, [
    session.meshSigner,
  ]);
  // Code 401 with an extended code speaks of this request (clock, signature), not of the account.
  const isGone = response.status === unknownStatus && response.statusExtended === undefined;
  if (!isGone) requireSuccess('to delete the account', response);
  await forgetAccount(session.home);
  return !isGone;
}
