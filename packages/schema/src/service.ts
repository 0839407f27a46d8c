import { envelope } from '@meshd/dare/envelope';
import {
  binary,
  boolean,
  dateTime,
  defineObject,
  defineTags,
  type ObjectOf,
  object,
  sequence,
  string,
} from '@meshd/encoding/codec';
import { CatalogedDevice } from './catalog.js';
import { ContainerHead } from './connections.js';
import { KeyOverlay } from './keys.js';

/* Records that services and hosts keep or sign (schema 10, S45, S81). */

/** An account of the service: body of the frames of `mmm_Account`. `Directory` is a relic and stays unused. */
export const AccountEntry = defineObject({
  name: 'AccountEntry',
  fields: {
    Directory: string,
    ServiceID: string,
    SignedProfileMesh: envelope,
    SignedAssertionAccount: envelope,
    Status: string,
  },
});
export type AccountEntry = ObjectOf<typeof AccountEntry>;

/** Values of `AccountEntry.Status`. */
export type AccountStatus = 'Pending' | 'Connected' | 'Blocked' | 'Moved';

/** Body of the frames of `mmm_Incident`; for the operator alone. */
export const IncidentReport = defineObject({
  name: 'IncidentReport',
  fields: {
    ReportID: string,
    Reported: dateTime,
    Kind: string,
    Account: string,
    RemoteService: string,
    MessageID: string,
    Detail: string,
  },
});
export type IncidentReport = ObjectOf<typeof IncidentReport>;

/** The service's signed word on how long each container of an account is (S45). */
export const ContainerHeads = defineObject({
  name: 'ContainerHeads',
  fields: { Account: string, Service: string, Time: dateTime, Heads: sequence(object(() => ContainerHead)) },
});
export type ContainerHeads = ObjectOf<typeof ContainerHeads>;

/** Says that a service took responsibility for a message (S81). */
export const DeliveryReceipt = defineObject({
  name: 'DeliveryReceipt',
  fields: {
    Service: string,
    SenderService: string,
    Recipient: string,
    Core: binary,
    ReceiptID: string,
    Time: dateTime,
    Result: string,
  },
});
export type DeliveryReceipt = ObjectOf<typeof DeliveryReceipt>;

/** What a device publishes under its EARL (semantics 7.6). */
export const DeviceDescription = defineObject({
  name: 'DeviceDescription',
  fields: { EnvelopedProfileDevice: envelope, HailingServiceID: string, HailingDomain: string },
});
export type DeviceDescription = ObjectOf<typeof DeviceDescription>;

/** Payloads of the records above. */
export const recordRegistry = defineTags('record', {
  AccountEntry,
  IncidentReport,
  ContainerHeads,
  DeliveryReceipt,
  DeviceDescription,
});

// --- the host catalog of a client machine, never synchronised ---

export const CatalogedMachine = defineObject({
  name: 'CatalogedMachine',
  fields: {
    ID: string,
    Local: string,
    Default: boolean,
    EnvelopedProfileMaster: envelope,
    CatalogedDevice: object(() => CatalogedDevice),
  },
});
export type CatalogedMachine = ObjectOf<typeof CatalogedMachine>;

export const CatalogedStandard = defineObject({ name: 'CatalogedStandard', base: CatalogedMachine, fields: {} });
export type CatalogedStandard = ObjectOf<typeof CatalogedStandard>;

export const CatalogedAdmin = defineObject({
  name: 'CatalogedAdmin',
  base: CatalogedMachine,
  fields: { SignatureKey: object(() => KeyOverlay), DeviceUDF: string },
});
export type CatalogedAdmin = ObjectOf<typeof CatalogedAdmin>;

export const CatalogedPending = defineObject({
  name: 'CatalogedPending',
  base: CatalogedMachine,
  fields: {
    DeviceUDF: string,
    EnvelopedProfileDevice: envelope,
    EnvelopedMessageConnectionResponse: envelope,
    EnvelopedAccountAssertion: envelope,
  },
});
export type CatalogedPending = ObjectOf<typeof CatalogedPending>;

/** Entries of the host catalog. */
export const machineRegistry = defineTags('machine', { CatalogedStandard, CatalogedAdmin, CatalogedPending });
