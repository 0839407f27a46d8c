/** The reader's half of the storage: looks at one account, and notices what is damaged. */
import type pg from 'pg';
import { type AccountCache, makeAccountCache } from './account-cache.js';
import type { AddressState } from './apply-write.js';
import { rowsOf, storageError } from './database.js';
import { readFrames, readNodes, readSlice } from './frames.js';
import { FreshMessages } from './fresh-messages.js';
import type { Lease } from './lease.js';
import { loadAccount } from './load-account.js';
import { type Lookup, makeLookups } from './lookups.js';
import { RowNumbers } from './row-numbers.js';
import { makeReadPool, runApart, snapshotOf, takeBlock } from './sessions.js';
import { countLiveKeys, type KeySelectRow, keyDigest, selectKeys } from './sql/catalog-key.js';
import { markDamaged, selectDamaged } from './sql/container.js';
import { type OfferSelectRow, offersOfRow, selectOffers } from './sql/hailing.js';
import { type MessageSeenSelectRow, selectContact, selectMessagesSeen } from './sql/message.js';
import { type SeenSelectRow, selectSeen } from './sql/request-seen.js';
import type { AccountReader, CatalogKey, ContainerState } from './store.js';
import type { DamageReport, StoreOptions } from './store-options.js';

/** What reading and writing share. */
export interface Parts {
  readonly options: StoreOptions;
  readonly lease: Lease;
  readonly pool: pg.Pool;
  readonly cache: AccountCache;
  readonly numbers: RowNumbers;
  readonly seen: Lookup<SeenSelectRow>;
  readonly keys: Lookup<KeySelectRow>;
  readonly messagesSeen: Lookup<MessageSeenSelectRow>;
  readonly damaged: Map<number, DamageReport>;
  readonly fresh: FreshMessages;
}

/** No account has this number: a name that nobody has is looked up like others (S80). */
const nobody = 0;
const seenText = (id: Uint8Array, principal: string): string => `${Buffer.from(id).toString('latin1')}${principal}`;
const messageText = (recipient: string, identity: Uint8Array): string =>
  `${Buffer.from(identity).toString('latin1')}${recipient}`;
const keyTextOf = (containerId: number, digest: Uint8Array): string =>
  `${containerId}/${Buffer.from(digest).toString('latin1')}`;

/** A reader of one address. */
export function makeReader(parts: Parts, address: string, current: () => AddressState): AccountReader {
  return {
    address,
    get state() {
      return current().state;
    },
    get name() {
      return current().name;
    },
    catalogKeys: async (container, uniqueIds) => {
      const found = await Promise.all(uniqueIds.map((id) => parts.keys([container.id, keyDigest(id)])));
      const keys = new Map<string, CatalogKey>();
      for (const [place, uniqueId] of uniqueIds.entries()) {
        const row = found[place];
        if (row === undefined) continue;
        const mark = row[5] ?? undefined;
        keys.set(uniqueId, { uniqueId, latestIndex: row[2], firstIndex: row[3], deleted: row[4], mark });
      }
      return keys;
    },
    frames: (container, selection) =>
      readFrames(
        { on: parts.pool, onDamaged: (_, index) => reportDamage(parts, address, container, index) },
        container,
        selection,
      ),
    frameSlice: (container, index, slice) => readSlice(parts.pool, container, index, slice),
    logNodes: (container, names) => readNodes(parts.pool, container, names),
    findSeen: async (principal, id) => {
      const row = await parts.seen([id, principal]);
      return row === undefined ? undefined : { digest: row[2], result: row[3] };
    },
    findMessageSeen: async (identity) => {
      const row = await parts.messagesSeen([address, identity]);
      return row === undefined ? undefined : { identity, seenAtMs: row[2], receiptId: row[3] };
    },
    contactRules: async (person) => {
      const statement = selectContact(address, person.accountUdf, person.address);
      const rows = await rowsOf<[string | null, string | null, string]>(parts.pool, statement);
      return rows.map(([accountUdf, named, permissions]) => {
        return { accountUdf: accountUdf ?? undefined, address: named ?? undefined, permissions };
      });
    },
    waitingOffers: async (deviceUdf) => {
      const accountId = current().state?.id ?? nobody;
      const [row] = await rowsOf<OfferSelectRow>(parts.pool, selectOffers(accountId, deviceUdf, parts.options.now()));
      return offersOfRow(row ?? ['', 0]);
    },
    liveKeyCount: async (container) => (await rowsOf<[number]>(parts.pool, countLiveKeys(container.id)))[0]?.[0] ?? 0,
  };
}

/** Makes a container read-only, in memory at once and in the database as soon as it can be. */
function reportDamage(parts: Parts, address: string, container: ContainerState, frameIndex: number): void {
  const { options, cache, damaged, lease } = parts;
  if (damaged.has(container.id)) return;
  const report = { address, container: container.name, frameIndex };
  damaged.set(container.id, report);
  cache.adjust(address, (known) => {
    const { state, name } = known;
    const stored = state?.containers.get(container.name);
    if (state === undefined || stored === undefined) return known;
    const containers = new Map(state.containers).set(container.name, { ...stored, damaged: true });
    return { state: { ...state, containers }, name };
  });
  options.onDamaged(report);
  runApart(options, lease, [markDamaged(container.id)]).catch((error) => options.onError?.(storageError(error)));
}

/** Containers that were found damaged earlier stay known to the operator. */
export async function findDamaged({ pool, damaged }: Parts): Promise<void> {
  for (const [id, address, container] of await rowsOf<[number, string, string]>(pool, selectDamaged)) {
    damaged.set(id, { address, container, frameIndex: null });
  }
}

/** Makes them. */
export function makeParts(options: StoreOptions, lease: Lease): Parts {
  const pool = makeReadPool(options.url);
  const snapshot = snapshotOf(pool);
  return {
    ...{ options, lease, pool },
    cache: makeAccountCache((address) => loadAccount(snapshot, address)),
    numbers: new RowNumbers(() => takeBlock(options)),
    seen: makeLookups<SeenSelectRow>({
      on: pool,
      statement: selectSeen,
      keyOf: ([id, principal]) => seenText(id as Uint8Array, principal as string),
      keyOfFound: ([id, principal]) => seenText(id, principal),
    }),
    keys: makeLookups<KeySelectRow>({
      on: pool,
      statement: selectKeys,
      keyOf: ([containerId, digest]) => keyTextOf(containerId as number, digest as Uint8Array),
      keyOfFound: ([containerId, digest]) => keyTextOf(containerId, digest),
    }),
    messagesSeen: makeLookups<MessageSeenSelectRow>({
      on: pool,
      statement: selectMessagesSeen,
      keyOf: ([recipient, identity]) => messageText(recipient as string, identity as Uint8Array),
      keyOfFound: ([recipient, identity]) => messageText(recipient, identity),
    }),
    damaged: new Map(),
    fresh: new FreshMessages(),
  };
}
