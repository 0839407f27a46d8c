import { constantTimeEqual, sha512 } from '@meshd/crypto/digest';
import { udfEquals } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { apex, decodeTree } from '@meshd/dare/merkle';
import { deviceCatalog } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import { authorise, type Caller, type Principal } from '../authorise.js';
import { noteFirstUse } from '../connect/first-use.js';
import type { ShardContext } from '../context.js';
import { mayRead } from '../permissions.js';
import type { AccountReader, ContainerState } from '../storage/store.js';

/** A Status request. */
export interface StatusRequest {
  readonly principal: Principal;
  /** UDF of the device's profile, as the client names it; must be the caller's (R246). Empty: not named. */
  readonly deviceUdf: string;
  /** SHA-512 of the payload of the ProfileMesh that the client holds; empty: none. */
  readonly profileMasterDigest: Uint8Array;
  /** Names asked for; empty: all that are accessible. */
  readonly containers: readonly string[];
  /** What the client has; left out of the answer where nothing is new. An empty digest is not compared. */
  readonly known: readonly ContainerStatus[];
  /** Answer when something differs from `known`, at the latest after this; undefined: at once. */
  readonly waitMs: number | undefined;
  /** Whether to send the signed heads (S45). */
  readonly heads: boolean;
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
  /** The device's catalog entry, when the presented connection is not that of the entry (R124). */
  readonly deviceEntry: EnvelopedEntry | undefined;
  readonly heads: EnvelopeOctets | undefined;
}

/** A stored frame as an envelope. */
export type EnvelopedEntry = EnvelopeOctets;

// States in memory are never changed, only replaced: what was told of one holds for as long as it is there.
const told = new WeakMap<ContainerState, ContainerStatus>();
const profileDigests = new WeakMap<EnvelopeOctets, Uint8Array>();

/** Frame count and apex of a container. */
export function containerStatus(container: ContainerState): ContainerStatus {
  const known = told.get(container);
  if (known !== undefined) return known;
  const digest = apex(decodeTree(container.dareTree)) ?? new Uint8Array(0);
  const status = { container: container.name, index: container.frameCount, digest };
  told.set(container, status);
  return status;
}

/** An account as one request sees it. */
interface Look {
  readonly caller: Caller;
  readonly reader: AccountReader;
  readonly seenAtMs: number;
}

/**
 * Status (semantics 6.4): reads, and changes nothing. Names that do not exist, or that the device may not read, are
 * absent from the answer alike.
 *
 * A device whose connection was superseded is brought its entry, with what that permits (R124); no other request but Complete
 * takes such a connection.
 *
 * With `waitMs` it waits until something differs from `known` (S83). Who asks is authorised anew at every look, so that a
 * device which is revoked meanwhile is told just that.
 *
 * @param signal fires when nobody waits for the answer any more; looked at by what waits.
 * @throws MeshError `not-authorised` for the `DeviceUDF` of another device, `rate-limited` for too many that wait.
 */
export async function status(
  context: ShardContext,
  request: StatusRequest,
  signal?: AbortSignal,
): Promise<StatusResult> {
  const first = await look(context, request);
  await noteFirstUse(context, first.caller);
  if (request.waitMs === undefined || request.waitMs <= 0 || isNews(first, request)) {
    return answer(context, first, request);
  }
  const wait = context.waits.begin(
    context.store,
    request.principal,
    request.waitMs,
    signal ?? new AbortController().signal,
  );
  try {
    for (;;) {
      const seen = await look(context, request);
      if (isNews(seen, request) || wait.isOver()) return await answer(context, seen, request);
      await wait.next();
    }
  } finally {
    wait.end();
  }
}

function look(context: ShardContext, { principal, deviceUdf }: StatusRequest): Promise<Look> {
  return context.store.readAccount(principal.account, async (reader) => {
    const seenAtMs = context.clock();
    const caller = await authorise(principal, reader.state, { recovery: 'read', away: 'copy', superseded: true });
    if (!isOwnDevice(deviceUdf, caller)) throw new MeshError('not-authorised', 'DeviceUDF is another device');
    return { caller, reader, seenAtMs };
  });
}

/**
 * Whether the named device is the caller's; what the client wrote may be no UDF at all. During bootstrap nothing ties a
 * connection to a profile yet.
 */
function isOwnDevice(named: string, { device }: Caller): boolean {
  if (named === '' || device === undefined || named === device.deviceUdf) return true;
  try {
    return udfEquals(named, device.deviceUdf);
  } catch {
    return false;
  }
}

function readable({ caller }: Look): ContainerState[] {
  return [...caller.state.containers.values()].filter(({ name }) => mayRead(caller.permissions, name));
}

/** Whether a container that the client names is not as it knows it, or its ProfileMesh or connection is an old one. */
function isNews(seen: Look, { known, profileMasterDigest }: StatusRequest): boolean {
  if (known.length === 0 || hasOtherEntry(seen.caller)) return true;
  if (profileMasterDigest.length > 0 && !holdsProfile(seen, profileMasterDigest)) return true;
  const containers = new Map(readable(seen).map((container) => [container.name, container]));
  return known.some((each) => {
    const container = containers.get(each.container);
    return container === undefined ? each.index !== 0 : !isKnown(containerStatus(container), each);
  });
}

function isKnown(current: ContainerStatus, known: ContainerStatus | undefined): boolean {
  if (known === undefined || known.index !== current.index) return false;
  return known.digest.length === 0 || constantTimeEqual(known.digest, current.digest);
}

function holdsProfile({ caller }: Look, digest: Uint8Array): boolean {
  const { profileMesh } = caller.state;
  let current = profileDigests.get(profileMesh);
  if (current === undefined) {
    current = sha512(profileMesh.payload ?? new Uint8Array(0));
    profileDigests.set(profileMesh, current);
  }
  return constantTimeEqual(current, digest);
}

async function answer(context: ShardContext, seen: Look, request: StatusRequest): Promise<StatusResult> {
  const { caller, reader, seenAtMs } = seen;
  const wanted = new Set(request.containers);
  const known = new Map(request.known.map((each) => [each.container, each]));
  const containers = readable(seen)
    .filter(({ name }) => wanted.size === 0 || wanted.has(name))
    .map(containerStatus)
    .filter((current) => !isKnown(current, known.get(current.container)));
  return {
    containers,
    profileMesh: holdsProfile(seen, request.profileMasterDigest) ? undefined : caller.state.profileMesh,
    deviceEntry: await changedEntry(reader, caller),
    heads: request.heads ? await context.heads.envelopeOf(caller.state, seenAtMs) : undefined,
  };
}

/** Whether the connection of the device's entry is not the one presented: a newer one has superseded that (R124). */
function hasOtherEntry({ device, principal }: Caller): boolean {
  return device !== undefined && !constantTimeEqual(device.connectionDigest, principal.connectionDigest);
}

/** The device's entry, if its connection is not the one presented. */
async function changedEntry(reader: AccountReader, caller: Caller): Promise<EnvelopedEntry | undefined> {
  const { device, state } = caller;
  const catalog = state.containers.get(deviceCatalog);
  if (device === undefined || catalog === undefined || !hasOtherEntry(caller)) return undefined;
  for await (const chunk of reader.frames(catalog, { from: device.entryIndex, to: device.entryIndex })) {
    const frame = chunk[0];
    if (frame !== undefined) return { header: frame.header, payload: frame.payload, trailer: frame.trailer };
  }
  return undefined;
}
