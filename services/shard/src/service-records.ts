import type { Random } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import type { ContentMeta } from '@meshd/dare/header';
import { accountCatalog, incidentSpool } from '@meshd/schema/container-name';
import { AccountEntry, IncidentReport } from '@meshd/schema/service';
import { appendObject, type HostSigner, openOwn, signObject } from './service-frames.js';
import {
  type AccountFields,
  type CatalogKey,
  type ContainerState,
  type ContainerWrite,
  type ServiceAppend,
  type Store,
  serviceAddress,
} from './storage/store.js';

/*
 * What the service writes about itself (semantics 9): the catalog of its accounts and the spool of incidents, in the
 * account `@service`. Each record is committed in the database transaction of what it records, so the tables beside
 * them can be rebuilt from them.
 */

/** Words of the account catalog (schema 11) for the states of accounts. */
export const statusWords = { connected: 'Connected', pending: 'Pending', blocked: 'Blocked', moved: 'Moved' } as const;

/** What making a record needs. */
export interface RecordMaker {
  readonly host: HostSigner;
  readonly nowMs: number;
  readonly random: Random;
}

/** What happened to an account. */
export type AccountEvent =
  | {
      readonly event: 'New' | 'Update';
      readonly status: (typeof statusWords)[keyof typeof statusWords];
      readonly profileMesh: EnvelopeOctets;
      readonly profileAccount: EnvelopeOctets;
    }
  | { readonly event: 'Delete' };

/**
 * The record of an account that was made, changed or deleted, for `mmm_Account`.
 *
 * It is signed now and placed when the store's turn comes. Where the address stands in the catalog cannot change in
 * between: whoever calls this is the only writer of that address.
 *
 * @param address canonical.
 */
export async function accountRecord(
  store: Store,
  maker: RecordMaker,
  address: string,
  account: AccountEvent,
): Promise<ServiceAppend> {
  const known = await accountKey(store, address);
  const signed = signObject(maker.host, AccountEntry, entryOf(address, account));
  const make = (container: ContainerState) => {
    const index = container.frameCount;
    const previous = known?.deleted === false ? known : undefined;
    const links = account.event === 'New' || previous === undefined ? {} : linksTo(previous);
    const meta: ContentMeta = { UniqueID: address, Event: account.event, Created: new Date(maker.nowMs), ...links };
    const firstIndex = account.event === 'New' ? index : (previous?.firstIndex ?? index);
    return appendObject(container, signed, meta, {
      uniqueId: address,
      firstIndex,
      deleted: account.event === 'Delete',
    });
  };
  return { container: accountCatalog, make };
}

function linksTo(key: CatalogKey): Pick<ContentMeta, 'First' | 'Previous'> {
  return { First: key.firstIndex, Previous: key.latestIndex };
}

/** A Delete has a body here: the host signs nothing that is empty (S03). */
function entryOf(address: string, account: AccountEvent): AccountEntry {
  if (account.event === 'Delete') return { ServiceID: address };
  return {
    ServiceID: address,
    SignedProfileMesh: account.profileMesh,
    SignedAssertionAccount: account.profileAccount,
    Status: account.status,
  };
}

async function accountKey(store: Store, address: string): Promise<CatalogKey | undefined> {
  return store.readAccount(serviceAddress, async (reader) => {
    const container = reader.state?.containers.get(accountCatalog);
    if (container === undefined) return undefined;
    return (await reader.catalogKeys(container, [address])).get(address);
  });
}

/** Something an operator should be able to look up later. */
export interface Incident {
  /** One word or two, in kebab-case: `account-deleted`. */
  readonly kind: string;
  readonly account: string;
  readonly detail: string;
}

/** The record of an incident, for `mmm_Incident`. */
export function incidentRecord(maker: RecordMaker, incident: Incident): ServiceAppend {
  const reportId = nonceUdf(maker.random);
  const signed = signObject(maker.host, IncidentReport, {
    ReportID: reportId,
    Reported: new Date(maker.nowMs),
    Kind: incident.kind,
    Account: incident.account,
    Detail: incident.detail,
  });
  const meta: ContentMeta = { UniqueID: reportId, Created: new Date(maker.nowMs) };
  const make = (container: ContainerState) =>
    appendObject(container, signed, meta, { uniqueId: reportId, firstIndex: container.frameCount, deleted: false });
  return { container: incidentSpool, make };
}

/** Records an incident that belongs to no write. */
export async function recordIncident(store: Store, maker: RecordMaker, incident: Incident): Promise<void> {
  const service = [incidentRecord(maker, incident)];
  await store.transactAccount(serviceAddress, (transactor) => transactor.commit({ service }));
}

/** The ProfileService, as far as the service's own account needs it. */
export interface ServiceIdentity {
  readonly udf: string;
  readonly offlineKey: Uint8Array;
  readonly profile: EnvelopeOctets;
}

/**
 * The account `@service`: no Mesh owns it, so the ProfileService stands where an account's profiles do. Nobody can sign
 * in to it: its address is none (semantics 4), and it lists no devices.
 */
export function serviceAccount(
  service: ServiceIdentity,
  nowMs: number,
  random: Random,
): { readonly fields: AccountFields; readonly containers: readonly ContainerWrite[] } {
  const fields: AccountFields = {
    status: 'connected',
    meshUdf: service.udf,
    accountUdf: service.udf,
    profileMesh: service.profile,
    profileAccount: service.profile,
    meshOfflineKey: service.offlineKey,
    meshOnlineKeys: [],
    accountOfflineKey: service.offlineKey,
    accountOnlineKeys: [],
    meshUpdatedMs: 0,
    accountUpdatedMs: 0,
    ticketsFromMs: 0,
    // The service's own records must not stop because of a quota.
    quota: { bytesMax: Number.MAX_SAFE_INTEGER, framesMax: Number.MAX_SAFE_INTEGER },
    away: null,
  };
  const containers = [
    openOwn(accountCatalog, 'catalog', service.udf, nowMs, random),
    openOwn(incidentSpool, 'spool', service.udf, nowMs, random),
  ];
  return { fields, containers };
}
