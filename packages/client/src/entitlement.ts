import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { openEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelopeSync } from '@meshd/dare/verify';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { ConnectionAccount, type Permission } from '@meshd/schema/connections';
import { deviceCatalog } from '@meshd/schema/container-name';
import type { PublicKey } from '@meshd/schema/keys';
import { publicKeyOf } from '@meshd/schema/profile-check';
import { ProfileAccount, ProfileMesh } from '@meshd/schema/profiles';
import { ClientError } from './errors.js';
import type { Identity } from './identity.js';
import type { FindWriter } from './reader.js';

const profileTags = defineTags('profile', { ProfileMesh, ProfileAccount });
const connectionTags = defineTags('connection', { ConnectionAccount });
const deviceTags = defineTags('device', { CatalogedDevice });
const decodeOptions = { form: 'json', refuseRepeated: true } as const;

/** A device that may write, as the device catalog says. */
export interface WritingDevice {
  readonly deviceUdf: string;
  /** `KeySignature` of its ConnectionAccount. */
  readonly key: PublicKeyEd448;
  /** Empty: everything but administration. */
  readonly permissions: readonly Permission[];
}

/** Keys of the profiles that entitle to write (S25, S43). */
export interface ProfileKeys {
  /** Online and offline keys of the ProfileMesh: administration. */
  readonly mesh: readonly PublicKeyEd448[];
  /** Online keys of the ProfileAccount. */
  readonly account: readonly PublicKeyEd448[];
}

const keysOf = (keys: readonly PublicKey[] | undefined) => (keys ?? []).map((key) => publicKeyOf(key));

/** Reads the entitling keys from the device's own profiles, which it made or verified when it got them. */
export function profileKeys(identity: Identity): ProfileKeys {
  const payload = (octets: Uint8Array | null) => octets ?? new Uint8Array(0);
  const mesh = decodeTagged(profileTags, payload(identity.profileMesh.payload), decodeOptions);
  const account = decodeTagged(profileTags, payload(identity.profileAccount.payload), decodeOptions);
  if (mesh.tag !== 'ProfileMesh' || account.tag !== 'ProfileAccount') {
    throw new ClientError('state', 'the profiles in this home are mixed up; restore them from a backup');
  }
  const offline = mesh.value.KeyOfflineSignature;
  return {
    mesh: [...keysOf(mesh.value.KeysOnlineSignature), ...(offline === undefined ? [] : [publicKeyOf(offline)])],
    account: keysOf(account.value.KeysOnlineSignature),
  };
}

/**
 * Reads an entry of the device catalog: whom it entitles to write.
 *
 * @param uniqueId key of its frame, which must be that of the body
 * @throws ClientError `frame` for an entry that proves nothing
 */
export function writingDevice(
  body: Uint8Array,
  uniqueId: string,
  accountUdf: string,
  keys: ProfileKeys,
): WritingDevice | undefined {
  const refuse = (why: string, cause?: unknown) =>
    new ClientError('frame', `an entry of ${deviceCatalog} is refused: ${why}`, { cause });
  try {
    const { value } = decodeTagged(deviceTags, body, decodeOptions);
    if (value.DeviceUDF !== uniqueId) throw new Error('it is filed under another device');
    const account = value.Accounts?.find((entry) => entry.AccountUDF === accountUdf);
    if (account?.EnvelopedConnectionAccount === undefined) return undefined;
    const { envelope } = verifyEnvelopeSync(openEnvelope(account.EnvelopedConnectionAccount), (kid) =>
      keys.account.find((key) => key.udf === kid),
    );
    const connection = decodeTagged(connectionTags, envelope.payload, decodeOptions).value;
    if (connection.KeySignature === undefined) return undefined;
    return {
      deviceUdf: uniqueId,
      key: publicKeyOf(connection.KeySignature),
      permissions: connection.Permissions ?? [],
    };
  } catch (cause) {
    throw refuse((cause as Error).message, cause);
  }
}

/** Whether the permissions let a device write to a container (semantics 4.1): none at all means every store. */
export function mayWrite(permissions: readonly Permission[], container: string): boolean {
  if (permissions.length === 0) return true;
  return permissions.some(({ Name, Role }) => Name === container && Role !== 'read');
}

/** Who may sign manifests (S43): for the device catalog the Mesh keys, for all others its devices. */
export function writersOf(keys: ProfileKeys, devices: readonly WritingDevice[]): FindWriter {
  return (kid, container) => {
    if (container === deviceCatalog) return keys.mesh.find((key) => key.udf === kid);
    const device = devices.find(({ key }) => key.udf === kid);
    if (device !== undefined) return mayWrite(device.permissions, container) ? device.key : undefined;
    return keys.account.find((key) => key.udf === kid);
  };
}
