import { constantTimeEqual, sha512 } from '@meshd/crypto/digest';
import { udfEquals } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { apex, decodeTree } from '@meshd/dare/merkle';
import { deviceCatalog } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import { authorise, type Caller, type Principal } from '../authorise.js';
import type { ShardContext } from '../context.js';
import { mayRead } from '../permissions.js';
import type { AccountReader, ContainerState } from '../storage/store.js';

/** A Status request. */
export interface StatusRequest {
  readonly principal: Principal;
  /** UDF of the device's profile, if the client names it; must be the caller's (R246). Empty: not named. */
  readonly deviceUdf?: string;
  /** SHA-512 of the payload of the ProfileMesh that the client holds; empty: none. */
  readonly profileMasterDigest: Uint8Array;
  /** Names asked for; empty: all that are accessible. */
  readonly containers: readonly string[];
}

/** One line of the answer. */
export interface ContainerStatus {
  readonly container: string;
  /** Number of frames, frame 0 included (R228). */
  readonly index: number;
  /** DARE apex (encoding 3.7). */
  readonly digest: Uint8Array;
}

/** What a Status request is told. */
export interface StatusResult {
  readonly containers: readonly ContainerStatus[];
  /** Undefined: the client holds it already. */
  readonly profileMesh: EnvelopeOctets | undefined;
  /** The device's catalog entry, when the presented connection is not that of the entry. */
  readonly deviceEntry: EnvelopedEntry | undefined;
}

/** A stored frame as an envelope. */
export type EnvelopedEntry = EnvelopeOctets;

/** Frame count and apex of a container. */
export function containerStatus(container: ContainerState): ContainerStatus {
  const digest = apex(decodeTree(container.dareTree)) ?? new Uint8Array(0);
  return { container: container.name, index: container.frameCount, digest };
}

/**
 * Status (semantics 6.4): reads, and changes nothing. Names that do not exist, or that the device may not read, are
 * absent from the answer alike.
 */
export function status(context: ShardContext, request: StatusRequest): Promise<StatusResult> {
  return context.store.readAccount(request.principal.account, async (reader) => {
    const caller = await authorise(request.principal, reader.state);
    if (!isOwnDevice(request.deviceUdf ?? '', caller))
      throw new MeshError('not-authorised', 'DeviceUDF is another device');
    const { state } = caller;
    const wanted = new Set(request.containers);
    const containers = [...state.containers.values()]
      .filter(({ name }) => (wanted.size === 0 || wanted.has(name)) && mayRead(caller.permissions, name))
      .map(containerStatus);
    const current = sha512(state.profileMesh.payload ?? new Uint8Array(0));
    const isHeld = constantTimeEqual(current, request.profileMasterDigest);
    return {
      containers,
      profileMesh: isHeld ? undefined : state.profileMesh,
      deviceEntry: await changedEntry(reader, caller),
    };
  });
}

/** Whether the named device is the caller's. During bootstrap nothing ties a connection to a profile yet. */
function isOwnDevice(named: string, { device }: Caller): boolean {
  if (named === '' || device === undefined || named === device.deviceUdf) return true;
  try {
    return udfEquals(named, device.deviceUdf);
  } catch {
    return false;
  }
}

/**
 * The device's entry, if its connection is not the one presented. A device whose connection was superseded is refused
 * before (S24), so this has a value only where a request presents none.
 */
async function changedEntry(reader: AccountReader, caller: Caller): Promise<EnvelopedEntry | undefined> {
  const { device, principal, state } = caller;
  const catalog = state.containers.get(deviceCatalog);
  if (device === undefined || catalog === undefined) return undefined;
  if (constantTimeEqual(device.connectionDigest, principal.connectionDigest)) return undefined;
  for await (const chunk of reader.frames(catalog, { from: device.entryIndex, to: device.entryIndex })) {
    const frame = chunk[0];
    if (frame !== undefined) return { header: frame.header, payload: frame.payload, trailer: frame.trailer };
  }
  return undefined;
}
