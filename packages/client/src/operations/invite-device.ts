import { encodeTagged } from '@meshd/encoding/codec';
import { offerMs } from '@meshd/limits/hailing';
import type { Permission } from '@meshd/schema/connections';
import { OfferConnection } from '@meshd/schema/messages-mesh';
import { verifyProfile } from '@meshd/schema/profile-check';
import { loadCa } from '../account-state.js';
import { type Earl, openDescription, parseEarl, type VerifiedDescription } from '../connect/earl.js';
import { makeOffer } from '../connect/offer-message.js';
import type { Device } from '../device.js';
import type { ServiceLocation } from '../environment.js';
import { ClientError } from '../errors.js';
import { requireSuccess } from '../session.js';
import { acceptByPins, keepPin } from './device-pins.js';
import { fetchPublication } from './publish.js';
import { sendMessage } from './send-message.js';

/* The administrator's end of the third way to connect a device (semantics 7.6, S56, S57): the code of the device was scanned. */

/** Who is invited, and where. */
export interface InviteOptions {
  /** Of the service where the description is; as for other services where absent. */
  readonly url?: string | undefined;
  readonly ca?: string | undefined;
  /** What the device may do once it is connected; empty: every store, and no administration. */
  readonly permissions?: readonly Permission[] | undefined;
}

/** A device that was invited. */
export interface InvitedDevice {
  readonly deviceUdf: string;
  /** As the device says of itself. */
  readonly description: string;
  /** Where it comes for the offer. */
  readonly hailing: string;
  /** Until when it takes the offer. */
  readonly expiresMs: number;
}

/**
 * Invites the device whose code this is: fetches and opens its description, keeps the PIN that follows from the offer for all
 * administration devices, and posts the offer to the account where the device hails. The device then asks by itself, and is
 * accepted by that PIN without a question.
 *
 * @throws ClientError `connect` for a code under which nothing is published, or something that was not made with it; `usage`
 *   on a device that does not administer; `refused`
 */
export async function inviteDevice(device: Device, code: string, options: InviteOptions = {}): Promise<InvitedDevice> {
  const { session } = device;
  const { environment, identity, state } = session;
  session.keys.key('meshOnline');
  const earl = parseEarl(code);
  const described = await describedBy(device, earl, options);
  const { deviceUdf, description, hailing } = described;
  const { offlineKey } = await verifyProfile(identity.profileMesh, 'ProfileMesh');
  const nowMs = environment.nowMs();
  const { members, pin } = makeOffer(
    {
      ...{ deviceUdf, account: state.address, meshOfflineKey: offlineKey.raw },
      ...{ profileMesh: identity.profileMesh, profileAccount: identity.profileAccount },
    },
    earl.secret,
    { nowMs, random: environment.random },
  );
  const expiresMs = nowMs + offerMs;
  // Before the offer: a device that is quick must find that it is expected.
  const permissions = [...(options.permissions ?? [])];
  await keepPin(device, { PIN: pin, Expires: new Date(expiresMs), DeviceUDF: deviceUdf, Permissions: permissions });
  const { messages } = await sendMessage(device, {
    ...{ recipients: [hailing], type: OfferConnection.name, mayBeClear: true, isClear: true },
    body: (addressed) => encodeTagged(OfferConnection, { ...addressed, ...members }, 'json'),
  });
  const refused = messages.find(({ state: fate }) => fate === 'refused');
  if (refused !== undefined)
    throw new ClientError('refused', `the offer was not taken: ${refused.reason ?? 'refused'}`);
  return { deviceUdf, description, hailing, expiresMs };
}

async function describedBy(device: Device, earl: Earl, { url, ca }: InviteOptions): Promise<VerifiedDescription> {
  const { environment, domain, home, state } = device.session;
  const isOwn = earl.domain === domain;
  const service: ServiceLocation = {
    domain: earl.domain,
    url: url ?? (isOwn ? state.url : undefined),
    ca: ca ?? (isOwn ? await loadCa(home) : undefined),
  };
  const octets = await fetchPublication(environment, service, earl.identifier);
  if (octets === undefined) {
    throw new ClientError(
      'connect',
      `nothing is published at ${earl.domain} under this code; check it, or ask its maker`,
    );
  }
  return openDescription(octets, earl);
}

/**
 * Accepts the invited device if it has asked by now.
 *
 * @returns whether it is connected
 * @throws ClientError `refused`
 */
export async function acceptInvited(device: Device, deviceUdf: string): Promise<boolean> {
  const judged = await acceptByPins(device, {}, (udf) => udf === deviceUdf);
  return judged.some(({ outcome }) => outcome === 'accepted');
}

/**
 * Whether a device of the account has acted under its new keys, as the service says over its signature (S57): whose Status it
 * verified, that one has opened what was meant for the device.
 *
 * @throws ClientError `refused`
 */
export async function hasShownItself(device: Device, deviceUdf: string): Promise<boolean> {
  const { session } = device;
  const answer = await session.call('Complete', { ServiceID: session.state.address, DeviceUDF: deviceUdf });
  if (answer.status === 300) return false;
  requireSuccess('to tell of the new device', answer);
  return true;
}
