import { envelope } from '@meshd/dare/envelope';
import {
  boolean,
  dateTime,
  defineObject,
  defineTags,
  type ObjectOf,
  object,
  sequence,
  string,
} from '@meshd/encoding/codec';
import { Permission } from './connections.js';
import { Assertion, ProfileAccount } from './profiles.js';

/* Entries of catalogs, and the data inside their envelopes (schema 6). */

export const CatalogedEntry = defineObject({ name: 'CatalogedEntry', fields: {} });
export type CatalogedEntry = ObjectOf<typeof CatalogedEntry>;

/**
 * An account as a device holds it, inside `CatalogedDevice`; the service's own record of that name is in `service`.
 *
 * `EnvelopedActivationKeys` is ours (S62): an ActivationAccount without overlays, with the account's keys as they are now, to
 * the device's combined key. The activation that connected the device stays beside it: the device may not have taken it yet.
 */
export const AccountEntry = defineObject({
  name: 'AccountEntry',
  fields: {
    AccountUDF: string,
    EnvelopedProfileAccount: envelope,
    EnvelopedConnectionAccount: envelope,
    EnvelopedActivationAccount: envelope,
    EnvelopedActivationKeys: envelope,
  },
});
export type AccountEntry = ObjectOf<typeof AccountEntry>;

/**
 * A connected device; key `DeviceUDF`. Stays in clear, since the service authenticates by it. `Name` is ours: what an
 * administrator calls the device, whatever it says of itself.
 */
export const CatalogedDevice = defineObject({
  name: 'CatalogedDevice',
  base: CatalogedEntry,
  fields: {
    UDF: string,
    DeviceUDF: string,
    EnvelopedProfileDevice: envelope,
    EnvelopedConnectionDevice: envelope,
    EnvelopedActivationDevice: envelope,
    Accounts: sequence(object(() => AccountEntry)),
    Name: string,
  },
});
export type CatalogedDevice = ObjectOf<typeof CatalogedDevice>;

export const CatalogedContact = defineObject({
  name: 'CatalogedContact',
  base: CatalogedEntry,
  fields: { Self: boolean, Key: string, Permissions: sequence(object(() => Permission)), EnvelopedContact: envelope },
});
export type CatalogedContact = ObjectOf<typeof CatalogedContact>;

export const CatalogedContactRecryption = defineObject({
  name: 'CatalogedContactRecryption',
  base: CatalogedContact,
  fields: {},
});
export type CatalogedContactRecryption = ObjectOf<typeof CatalogedContactRecryption>;

/** Key: `Protocol` + `:` + `Service`. */
export const CatalogedCredential = defineObject({
  name: 'CatalogedCredential',
  base: CatalogedEntry,
  fields: { Protocol: string, Service: string, Username: string, Password: string },
});
export type CatalogedCredential = ObjectOf<typeof CatalogedCredential>;

/** Key: `Protocol` + `:` + `Service`. */
export const CatalogedNetwork = defineObject({
  name: 'CatalogedNetwork',
  base: CatalogedEntry,
  fields: { Protocol: string, Service: string, Username: string, Password: string },
});
export type CatalogedNetwork = ObjectOf<typeof CatalogedNetwork>;

/** Key: `Path`. */
export const CatalogedBookmark = defineObject({
  name: 'CatalogedBookmark',
  base: CatalogedEntry,
  fields: { Uri: string, Title: string, Path: string },
});
export type CatalogedBookmark = ObjectOf<typeof CatalogedBookmark>;

export const CatalogedTask = defineObject({
  name: 'CatalogedTask',
  base: CatalogedEntry,
  fields: { EnvelopedTask: envelope, Key: string },
});
export type CatalogedTask = ObjectOf<typeof CatalogedTask>;

export const CatalogedApplication = defineObject({
  name: 'CatalogedApplication',
  base: CatalogedEntry,
  fields: { Key: string },
});
export type CatalogedApplication = ObjectOf<typeof CatalogedApplication>;

export const CatalogedGroup = defineObject({ name: 'CatalogedGroup', base: CatalogedApplication, fields: {} });
export type CatalogedGroup = ObjectOf<typeof CatalogedGroup>;

export const CatalogedApplicationSSH = defineObject({
  name: 'CatalogedApplicationSSH',
  base: CatalogedApplication,
  fields: {},
});
export type CatalogedApplicationSSH = ObjectOf<typeof CatalogedApplicationSSH>;

export const CatalogedApplicationMail = defineObject({
  name: 'CatalogedApplicationMail',
  base: CatalogedApplication,
  fields: {},
});
export type CatalogedApplicationMail = ObjectOf<typeof CatalogedApplicationMail>;

export const CatalogedApplicationNetwork = defineObject({
  name: 'CatalogedApplicationNetwork',
  base: CatalogedApplication,
  fields: {},
});
export type CatalogedApplicationNetwork = ObjectOf<typeof CatalogedApplicationNetwork>;

export const CatalogedMember = defineObject({
  name: 'CatalogedMember',
  base: CatalogedEntry,
  fields: { UDF: string },
});
export type CatalogedMember = ObjectOf<typeof CatalogedMember>;

/** Bodies of catalog frames. */
export const catalogRegistry = defineTags('catalog entry', {
  CatalogedDevice,
  CatalogedContact,
  CatalogedContactRecryption,
  CatalogedCredential,
  CatalogedNetwork,
  CatalogedBookmark,
  CatalogedTask,
  CatalogedApplication,
  CatalogedGroup,
  CatalogedApplicationSSH,
  CatalogedApplicationMail,
  CatalogedApplicationNetwork,
  CatalogedMember,
});

// --- data inside envelopes ---

export const Address = defineObject({ name: 'Address', fields: { URI: string, Labels: sequence(string) } });
export type Address = ObjectOf<typeof Address>;

export const Location = defineObject({
  name: 'Location',
  fields: {
    // spelt so on the wire
    Appartment: string,
    Street: string,
    District: string,
    Locality: string,
    County: string,
    Postcode: string,
    Country: string,
  },
});
export type Location = ObjectOf<typeof Location>;

export const Role = defineObject({
  name: 'Role',
  fields: {
    CompanyName: string,
    Addresses: sequence(object(() => Address)),
    Locations: sequence(object(() => Location)),
  },
});
export type Role = ObjectOf<typeof Role>;

export const Contact = defineObject({
  name: 'Contact',
  base: Assertion,
  fields: {
    Identifier: string,
    FullName: string,
    Title: string,
    First: string,
    Middle: string,
    Last: string,
    Suffix: string,
    Labels: sequence(string),
    AssertionAccounts: sequence(object(() => ProfileAccount)),
    Addresses: sequence(object(() => Address)),
    Locations: sequence(object(() => Location)),
    Roles: sequence(object(() => Role)),
  },
});
export type Contact = ObjectOf<typeof Contact>;

export const Task = defineObject({
  name: 'Task',
  fields: {
    Key: string,
    Start: dateTime,
    Finish: dateTime,
    StartTravel: string,
    FinishTravel: string,
    TimeZone: string,
    Title: string,
    Description: string,
    Location: string,
    Trigger: sequence(string),
    Conference: sequence(string),
    Repeat: string,
    Busy: boolean,
  },
});
export type Task = ObjectOf<typeof Task>;
