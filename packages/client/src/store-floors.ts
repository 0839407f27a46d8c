import { constantTimeEqual } from '@meshd/crypto/digest';
import { containersPerAccountMax } from '@meshd/limits/limits';
import type { ContainerHead } from '@meshd/schema/connections';
import { isContainerName } from '@meshd/schema/container-name';
import { ClientError } from './errors.js';
import type { Home } from './home.js';
import { octetsToText, textToOctets } from './octet-text.js';
import { forkMessage, type TrustedHead } from './reader.js';

/*
 * `Stores` of an ActivationAccount (S47): what the administrator had verified of the account's containers when it connected
 * a device. A device that knows nothing yet cannot tell an old copy from the present one; with these floors it refuses what
 * is shorter, has another beginning or does not lead through them. They are kept for good, beside the heads that the device
 * verifies itself, which grow past them.
 */

const file = 'floors.json';
const rootBytes = 32;
/** `Log` is a SHA-256 digest too (S44). */
const logBytes = 32;

/** Names of the containers, and the least that the service must show of each. */
export type StoreFloors = ReadonlyMap<string, TrustedHead>;

interface StoredFloors {
  version: 1;
  stores: { container: string; log: string; size: number; root: string }[];
}

/**
 * `Stores` for a new device's ActivationAccount, from the heads that an administrator has verified, in the order of the
 * names: the same heads give the same octets.
 */
export function storesOf(heads: Iterable<readonly [container: string, head: TrustedHead]>): ContainerHead[] {
  return [...heads]
    .filter(([, { size }]) => size > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([Container, { log: Log, size: Index, root: Root }]) => ({ Container, Log, Index, Root }));
}

/**
 * Reads `Stores` of an activation whose signature was verified.
 * @throws ClientError `profile` for what no administrator's program writes: half of it would be no floor at all
 */
export function floorsOf(stores: readonly ContainerHead[]): StoreFloors {
  const refuse = (why: string): never => {
    throw new ClientError('profile', `the activation of this device is refused: ${why}; connect the device again`);
  };
  if (stores.length > containersPerAccountMax) refuse('it names more containers than an account can have');
  const floors = new Map<string, TrustedHead>();
  for (const { Container: container = '', Log: log, Index: size = 0, Root: root } of stores) {
    if (!isContainerName(container)) return refuse('one of its stores has no proper name');
    if (floors.has(container)) return refuse(`it names ${container} twice`);
    const isWhole = log?.length === logBytes && root?.length === rootBytes && Number.isSafeInteger(size) && size > 0;
    if (!isWhole) return refuse(`what it says of ${container} is incomplete`);
    floors.set(container, { log, size, root, seenBy: 'administrator' });
  }
  return floors;
}

/**
 * Floors after another activation: of each container the longer one stays, so that no activation, old or forged, lowers what
 * is known.
 * @throws ClientError `fork` where the two cannot both have been seen in one history
 */
export function raisedFloors(known: StoreFloors, given: StoreFloors): StoreFloors {
  const raised = new Map(known);
  for (const [container, floor] of given) {
    const before = known.get(container);
    if (before !== undefined) requireOneHistory(container, before, floor);
    if (floor.size > (before?.size ?? 0)) raised.set(container, floor);
  }
  return raised;
}

function requireOneHistory(container: string, known: TrustedHead, given: TrustedHead): void {
  const sameLog = constantTimeEqual(known.log, given.log);
  if (sameLog && (known.size !== given.size || constantTimeEqual(known.root, given.root))) return;
  throw new ClientError('fork', forkMessage(container, known), {
    contradiction: { container, verified: known, shown: given },
  });
}

/** The floors of a home; none in one that was not connected by an administrator. */
export async function loadFloors(home: Home): Promise<StoreFloors> {
  const stored = await home.readJson<StoredFloors>(file);
  if (stored === undefined) return new Map();
  if (stored.version !== 1 || !Array.isArray(stored.stores)) {
    throw new ClientError('state', `${home.path(file)} is damaged; restore it from a backup`);
  }
  return new Map(
    stored.stores.map(({ container, log, size, root }) => [
      container,
      { log: textToOctets(log), size, root: textToOctets(root), seenBy: 'administrator' },
    ]),
  );
}

/**
 * Keeps `Stores` of an activation, durably and before anything is asked of the service. No replica may be open.
 * @throws ClientError `profile`, `fork`
 */
export async function adoptStores(home: Home, stores: readonly ContainerHead[]): Promise<void> {
  const raised = raisedFloors(await loadFloors(home), floorsOf(stores));
  const stored: StoredFloors = {
    version: 1,
    stores: [...raised].map(([container, { log, size, root }]) => ({
      ...{ container, log: octetsToText(log), size, root: octetsToText(root) },
    })),
  };
  await home.writeJson(stored, file);
}
