import type { RequestSigner } from '@meshd/binding/request-sign';
import { udfEquals } from '@meshd/crypto/udf';
import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import type { Device } from '../device.js';
import { deviceEntries } from '../device-entries.js';
import type { Home } from '../home.js';
import { octetsToText, textToOctets } from '../octet-text.js';
import { requireSuccess } from '../session.js';

/*
 * Newer profiles go to the service by CreateAccount (S25, semantics 6.2), after the entries that rest on them. What is to be
 * bound is noted before the first of them is sent: whatever interrupts the device, the next run settles it.
 */

const file = 'binding.json';
const olderStatus = 409;

/** The profiles of a Mesh and its account. */
export interface Profiles {
  readonly profileMesh: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;
}

interface Stored {
  version: 1;
  profileMesh: string;
  profileAccount: string;
}

/** Notes durably what is to be bound once the device's own entry holds this profile of the account. */
export async function noteBinding(home: Home, { profileMesh, profileAccount }: Profiles): Promise<void> {
  const text = (octets: EnvelopeOctets) => octetsToText(writeEnvelope(octets));
  const stored: Stored = { version: 1, profileMesh: text(profileMesh), profileAccount: text(profileAccount) };
  await home.writeJson(stored, file);
}

/**
 * Binds newer profiles to the account, and uses them from then on.
 *
 * @param signer a key of the Mesh that the service knows, or its offline key
 * @throws ClientError `refused`
 */
export async function bindProfiles(
  device: Device,
  { profileMesh, profileAccount }: Profiles,
  signer: RequestSigner = device.session.meshSigner,
): Promise<void> {
  const { session } = device;
  const { state } = session;
  const message = { ServiceID: state.address, SignedProfileMesh: profileMesh, SignedAssertionAccount: profileAccount };
  requireSuccess('the newer profiles', await session.send('CreateAccount', message, [signer]));
  await session.renew({ ...session.identity, profileMesh, profileAccount });
  device.forgetWriters();
}

/**
 * Settles what an earlier run noted. The device catalog must be up to date.
 *
 * @throws ClientError `refused` where the service does not take the profiles
 */
export async function finishBinding(device: Device): Promise<void> {
  const { session } = device;
  const { home, identity } = session;
  const stored = await home.readJson<Stored>(file);
  if (stored?.version !== 1) return;
  const read = (text: string) => readEnvelope(textToOctets(text));
  const profiles = { profileMesh: read(stored.profileMesh), profileAccount: read(stored.profileAccount) };
  const own = (await deviceEntries(device)).find(({ deviceUdf }) => udfEquals(deviceUdf, identity.deviceUdf));
  const listed = own?.entry.Accounts?.flatMap(({ EnvelopedProfileAccount: octets }) => octets?.payload ?? []) ?? [];
  const { payload } = profiles.profileAccount;
  // Where the entries never arrived nobody has the new key, and nothing may be encrypted to it.
  if (payload !== null && listed.some((each) => Buffer.compare(each, payload) === 0)) {
    try {
      await bindProfiles(device, profiles);
    } catch (error) {
      // Another administrator has bound newer ones meanwhile, which rest on these.
      if ((error as { refusal?: { status: number } }).refusal?.status !== olderStatus) throw error;
    }
  }
  await home.remove(file);
}
