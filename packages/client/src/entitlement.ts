import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { canonicalName } from '@meshd/crypto/udf';
import type { KeyValue } from '@meshd/dare/header';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { connectionRegistry, type Permission } from '@meshd/schema/connections';
import { accountSpools, deviceCatalog, inboundSpool } from '@meshd/schema/container-name';
import { onlineKeysOf, verifyConnectionAccount, verifyProfile } from '@meshd/schema/profile-check';
import { ClientError } from './errors.js';
import type { Identity } from './identity.js';
import { textToOctets } from './octet-text.js';
import type { Checkpoint, FindWriter } from './reader.js';

const deviceTags = defineTags('device', { CatalogedDevice });
const decodeOptions = { form: 'json', refuseRepeated: true } as const;

/** A device that may write, as the device catalog says. */
export interface WritingDevice {
  readonly deviceUdf: string;
  /** `KeySignature` of its ConnectionAccount. */
  readonly key: PublicKeyEd448;
  /** The key of the Mesh by which it administers; undefined where it does not. */
  readonly meshKey?: PublicKeyEd448 | undefined;
  /** Empty: everything but administration. */
  readonly permissions: readonly Permission[];
}

/** A device that was disconnected: what it wrote before counts, up to its cuts (S48). */
export interface RevokedDevice extends WritingDevice {
  /** By container; one without a cut was opened later, and nothing there is the device's. */
  readonly cuts: ReadonlyMap<string, Checkpoint>;
}

const cutPrefix = 'Cut:';
const cutValue = /^(\d{1,15}):([A-Za-z0-9_-]{43})$/;

/** Reads the cuts in the metadata of a device's `Delete`; what is no cut is passed over, so it cuts at nothing. */
export function cutsOf(keyValues: readonly KeyValue[] = []): ReadonlyMap<string, Checkpoint> {
  const cuts = new Map<string, Checkpoint>();
  for (const { Key: key = '', Value: value = '' } of keyValues) {
    const [, size, root] = cutValue.exec(value) ?? [];
    if (!key.startsWith(cutPrefix) || size === undefined || root === undefined) continue;
    cuts.set(key.slice(cutPrefix.length), { size: Number(size), root: textToOctets(root) });
  }
  return cuts;
}

/** Reads the body of an entry of the device catalog; nothing of it is proved. @throws EncodingError */
export function decodeDeviceEntry(body: Uint8Array): CatalogedDevice {
  return decodeTagged(deviceTags, body, decodeOptions).value;
}

/** Whose account it is, and the keys of the profiles that entitle to write (S25, S43). */
export interface Authority {
  readonly accountUdf: string;
  readonly address: string;
  /** Online and offline keys of the ProfileMesh: administration. */
  readonly meshKeys: readonly PublicKeyEd448[];
  /** Online keys of the ProfileAccount. */
  readonly accountKeys: readonly PublicKeyEd448[];
}

/**
 * The authority as the device's own profiles state it.
 * @throws MeshError where a profile of this home does not hold
 */
export async function authorityOf(identity: Identity, address: string): Promise<Authority> {
  const mesh = await verifyProfile(identity.profileMesh, 'ProfileMesh');
  const account = await verifyProfile(identity.profileAccount, 'ProfileAccount');
  return {
    accountUdf: account.offlineKey.udf,
    address,
    meshKeys: [...onlineKeysOf(mesh.profile), mesh.offlineKey],
    accountKeys: onlineKeysOf(account.profile),
  };
}

/**
 * Reads an entry of the device catalog: whom it entitles to write.
 *
 * @param uniqueId key of its frame, which must be that of the body
 * @returns undefined where the device has no part in this account
 * @throws ClientError `frame` for an entry that proves nothing
 */
export async function writingDevice(
  body: Uint8Array,
  uniqueId: string,
  authority: Authority,
): Promise<WritingDevice | undefined> {
  try {
    const value = decodeDeviceEntry(body);
    if (value.DeviceUDF !== uniqueId) throw new Error('it is filed under another device');
    const account = value.Accounts?.find((entry) => entry.AccountUDF === authority.accountUdf);
    if (account?.EnvelopedConnectionAccount === undefined) return undefined;
    const { connection, keySignature } = await verifyConnectionAccount(account.EnvelopedConnectionAccount, {
      udf: authority.accountUdf,
      // Devices that were shut out before the account moved name the address of then.
      onlineKeys: authority.accountKeys,
    });
    const meshKey = administrationKeyOf(value, authority);
    return { deviceUdf: uniqueId, key: keySignature, meshKey, permissions: connection.Permissions ?? [] };
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new ClientError('frame', `an entry of ${deviceCatalog} is refused: ${reason}`, { cause });
  }
}

/**
 * The key by which an entry's device administers (S25): that of its connection to the Mesh, where the verified ProfileMesh
 * names it. The entry stands under the manifest of an administrator, so the connection's own signature is not checked here.
 */
export function administrationKeyOf(
  { EnvelopedConnectionDevice: connection }: CatalogedDevice,
  { meshKeys }: Pick<Authority, 'meshKeys'>,
): PublicKeyEd448 | undefined {
  const payload = connection?.payload;
  if (payload === undefined || payload === null) return undefined;
  const { value } = decodeTagged(connectionRegistry, payload, decodeOptions);
  const parameters = 'KeySignature' in value ? value.KeySignature?.PublicParameters : undefined;
  const raw = parameters?.tag === 'PublicKeyECDH' ? parameters.value.Public : undefined;
  return raw && meshKeys.find((key) => Buffer.compare(key.raw, raw) === 0);
}

/** Stores that permissions of other names open: requests arrive in the inbound spool, and who answers them marks them there. */
const storesOf = new Map<string | undefined, readonly string[]>([
  ['Messaging', accountSpools],
  ['Confirmation', [inboundSpool]],
  ['Administration', [inboundSpool]],
]);

/** Roles by what they let a device do; who writes a store reads it too. No role is both, an unknown one opens nothing. */
const writingRoles: ReadonlySet<string> = new Set(['', 'write']);
const readingRoles: ReadonlySet<string> = new Set(['', 'write', 'read']);

function grants(permissions: readonly Permission[], container: string, roles: ReadonlySet<string>): boolean {
  if (permissions.length === 0) return true;
  const isOf = (name: string | undefined) => name === container || storesOf.get(name)?.includes(container) === true;
  return permissions.some(({ Name: name, Role: role = '' }) => isOf(name) && roles.has(role));
}

/** Whether the permissions let a device write to a container (semantics 4.1): none at all means every store. */
export function mayWrite(permissions: readonly Permission[], container: string): boolean {
  return grants(permissions, container, writingRoles);
}

/** Whether they let it read; everybody reads the device catalog, which says who may write. */
export function mayRead(permissions: readonly Permission[], container: string): boolean {
  return container === deviceCatalog || grants(permissions, container, readingRoles);
}

/**
 * Who may sign manifests (S43): for the device catalog the Mesh keys, for all others its devices and the account's own keys.
 * Revoked ones count below their cuts (S48); an administrator knew the account's keys, so with it those end as well.
 */
export function writersOf(
  authority: Authority,
  devices: readonly WritingDevice[],
  revoked: readonly RevokedDevice[] = [],
): FindWriter {
  const administrators = revoked.filter(({ meshKey }) => meshKey !== undefined);
  const isBelow = ({ cuts }: RevokedDevice, container: string, frameIndex: number) =>
    frameIndex < (cuts.get(container)?.size ?? 0);
  return (kid, container, frameIndex) => {
    const name = canonicalName(kid);
    if (container === deviceCatalog) {
      const former = administrators.find(({ meshKey }) => meshKey?.udf === name);
      const isIn = devices.some(({ meshKey }) => meshKey?.udf === name);
      if (former !== undefined && !isIn && !isBelow(former, container, frameIndex)) return undefined;
      return authority.meshKeys.find((key) => key.udf === name);
    }
    const device = devices.find(({ key }) => key.udf === name);
    if (device !== undefined) return mayWrite(device.permissions, container) ? device.key : undefined;
    const former = revoked.find((each) => each.key.udf === name && isBelow(each, container, frameIndex));
    if (former !== undefined) return mayWrite(former.permissions, container) ? former.key : undefined;
    if (!administrators.every((each) => isBelow(each, container, frameIndex))) return undefined;
    return authority.accountKeys.find((key) => key.udf === name);
  };
}
