import { verifyHost } from '@meshd/binding/host-chain';
import { udfEquals } from '@meshd/crypto/udf';
import { decryptEnvelope } from '@meshd/dare/decrypt';
import { type DareEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { type VerifiedConnectionRequest, verifyConnectionRequest } from '@meshd/schema/connection-check';
import type { Permission } from '@meshd/schema/connections';
import { inboundSpool } from '@meshd/schema/container-name';
import { AcknowledgeConnection, MessageComplete, MessagePIN, RevealConnection } from '@meshd/schema/messages-mesh';
import { loadOpened } from '../connect/opened-file.js';
import type { Device } from '../device.js';
import { completeFrames } from './download.js';
import { readableReplica, syncAccount } from './sync.js';

/*
 * Requests of devices as they lie in the inbound spool (semantics 7), read by an administration device. What the service
 * filed must be signed by its host (S01), and what a device asks by the device; whatever proves nothing is passed over.
 */

/** A device that asks to be connected. */
export interface PendingDevice {
  /** Names the request: identifier of the acknowledgement. */
  readonly id: string;
  readonly deviceUdf: string;
  /** As the device says of itself. */
  readonly description: string;
  readonly request: VerifiedConnectionRequest;
  readonly serverNonce: Uint8Array;
  readonly pinUdf: string | undefined;
  /** rD, once the device has revealed it. */
  readonly revealNonce: Uint8Array | undefined;
  /**
   * `asked`; `challenged` by this device; `revealed`: the code can be typed; or what an administrator decided. An answer to
   * another device's challenge counts as `asked` here.
   */
  readonly stage: 'asked' | 'challenged' | 'revealed' | 'accepted' | 'rejected';
}

/** A PIN that an administration device gave out. */
export interface GivenPin {
  readonly id: string;
  readonly pin: string;
  readonly expiresMs: number;
  readonly isUsed: boolean;
  /** The one device that it is good for; undefined: any. */
  readonly deviceUdf: string | undefined;
  /** What that may do then; undefined: whoever accepts it says so. */
  readonly permissions: readonly Permission[] | undefined;
}

/** Everything in the spool that concerns devices which ask. */
export interface DeviceRequests {
  readonly pending: readonly PendingDevice[];
  readonly pins: readonly GivenPin[];
}

const tags = defineTags('message of a connection', {
  AcknowledgeConnection,
  RevealConnection,
  MessageComplete,
  MessagePIN,
});

interface Found {
  readonly acknowledgements: Map<string, AcknowledgeConnection>;
  readonly reveals: Map<string, Uint8Array>;
  /** Last word on a message, by its identifier. */
  readonly decisions: Map<string, string>;
  readonly pins: Map<string, MessagePIN>;
}

/** Brings the spool up to date and reads what concerns devices that ask. @throws ClientError */
export async function deviceRequests(device: Device): Promise<DeviceRequests> {
  await syncAccount(device, [inboundSpool]);
  const replica = await readableReplica(device, inboundSpool);
  const { size } = replica.reader;
  if (size > 1) await completeFrames(device, replica, 1, size - 1);
  const found: Found = { acknowledgements: new Map(), reveals: new Map(), decisions: new Map(), pins: new Map() };
  for (let frameIndex = 1; frameIndex < size; frameIndex += 1) {
    await note(device, found, openEnvelope(await replica.envelope(frameIndex)));
  }
  const opened = await loadOpened(device.session.home);
  const pending = await Promise.all(
    [...found.acknowledgements].map(([id, value]) => {
      const own = opened.requests.get(id);
      return pendingOf(device, found, id, value, own !== undefined && own.unposted === undefined);
    }),
  );
  const pins = [...found.pins].map(([id, { PIN: pin = '', Expires: expires, DeviceUDF, Permissions }]): GivenPin => {
    const permissions = Permissions ?? (DeviceUDF === undefined ? undefined : []);
    const rest = { deviceUdf: DeviceUDF, permissions };
    return { id, pin, expiresMs: expires?.getTime() ?? 0, isUsed: found.decisions.has(id), ...rest };
  });
  return { pending: pending.filter((each) => each !== undefined), pins };
}

async function note(device: Device, found: Found, envelope: DareEnvelope): Promise<void> {
  const { MessageType: type = '', UniqueID: id = '' } = envelope.contentMetaData ?? {};
  if (envelope.payload === null) return;
  try {
    if (type === AcknowledgeConnection.name || type === RevealConnection.name) {
      await requireHost(device, envelope);
      const { tag, value } = decodeTagged(tags, envelope.payload, { form: 'json', refuseRepeated: true });
      // The first one counts: a request is filed once, and a device reveals once.
      if (tag === 'AcknowledgeConnection' && !found.acknowledgements.has(id)) found.acknowledgements.set(id, value);
      const [name, reveal] = tag === 'RevealConnection' ? [value.References?.[0]?.MessageID, value.ClientReveal] : [];
      if (name !== undefined && reveal !== undefined && !found.reveals.has(name)) found.reveals.set(name, reveal);
    } else if (type === MessagePIN.name && device.session.keys.has('meshEncryption')) {
      const { plain } = decryptEnvelope(envelope, device.session.keys.decryption('meshEncryption'), 'manifest');
      const { tag, value } = decodeTagged(tags, plain, { form: 'json', refuseRepeated: true });
      if (tag === 'MessagePIN' && (await isAdministrators(device, envelope))) found.pins.set(id, value);
    } else if (type === MessageComplete.name) {
      const { tag, value } = decodeTagged(tags, envelope.payload, { form: 'json', refuseRepeated: true });
      if (tag !== 'MessageComplete' || !(await isAdministrators(device, envelope))) return;
      for (const { MessageID: name = '', Relationship: relationship = '' } of value.References ?? []) {
        if (relationship === 'Accept' || relationship === 'Reject') found.decisions.set(name, relationship);
      }
    }
  } catch {
    // Proves nothing, or is for others: no request is made of it.
  }
}

async function requireHost({ session }: Device, envelope: DareEnvelope): Promise<void> {
  const { Profile: profile, Connection: connection } = envelope.signatures[0] ?? {};
  if (profile === undefined || connection === undefined) throw new Error('no host has signed it');
  const host = await verifyHost(await session.serviceProfile(), profile, connection, session.domain, undefined);
  await verifyEnvelope(envelope, (kid) => (udfEquals(kid, host.key.udf) ? host.key : undefined));
}

/** Whether an administrator's key has signed; the service takes such messages from nobody else, but it might lie (S25). */
async function isAdministrators({ session }: Device, envelope: DareEnvelope): Promise<boolean> {
  const keys = await session.administrationKeys();
  await verifyEnvelope(envelope, (kid) => keys.find(({ udf }) => udfEquals(udf, kid)));
  return true;
}

async function pendingOf(
  { session }: Device,
  found: Found,
  id: string,
  value: AcknowledgeConnection,
  isOpened: boolean,
): Promise<PendingDevice | undefined> {
  const { EnvelopedRequestConnection: octets, ServerNonce: serverNonce } = value;
  if (octets === undefined || serverNonce === undefined) return undefined;
  const request = await verifyConnectionRequest(octets).catch(() => undefined);
  if (request === undefined || request.account !== session.state.address) return undefined;
  const decision = found.decisions.get(id);
  const revealNonce = found.reveals.get(id);
  const open = isOpened ? (revealNonce === undefined ? 'challenged' : 'revealed') : 'asked';
  const { udf: deviceUdf } = request.profile.offlineKey;
  return {
    ...{ id, deviceUdf, request, serverNonce, revealNonce },
    description: request.profile.profile.Description ?? '',
    pinUdf: request.request.PinUDF,
    stage: decision === undefined ? open : decision === 'Accept' ? 'accepted' : 'rejected',
  };
}
