import { envelope } from '@meshd/dare/envelope';
import {
  binary,
  boolean,
  dateTime,
  defineObject,
  integer,
  type ObjectOf,
  object,
  sequence,
  string,
  tagged,
} from '@meshd/encoding/codec';
import { keyRegistry } from './keys.js';

/* Structures and base classes of requests and responses (schema 2.2, 2.3). `KeyValue` is in `@meshd/dare/header`. */

/** Which frames a Download asks for. The members after `PageKey` are ours (schema 13). */
export const ConstraintsSelect = defineObject({
  name: 'ConstraintsSelect',
  fields: {
    Container: string,
    /** Inclusive, as is `IndexMax`. */
    IndexMin: integer,
    IndexMax: integer,
    /** Inclusive; `Before` is not. */
    NotBefore: dateTime,
    Before: dateTime,
    PageKey: string,
    Filter: sequence(string),
    ProveFrom: integer,
    Prove: boolean,
  },
});
export type ConstraintsSelect = ObjectOf<typeof ConstraintsSelect>;

/** How much of it, or how much a service takes. */
export const ConstraintsData = defineObject({
  name: 'ConstraintsData',
  fields: {
    MaxEntries: integer,
    BytesOffset: integer,
    BytesMax: integer,
    Header: boolean,
    Payload: boolean,
    Trailer: boolean,
  },
});
export type ConstraintsData = ObjectOf<typeof ConstraintsData>;

/** What account names a service takes. */
export const PolicyAccount = defineObject({
  name: 'PolicyAccount',
  fields: { Minimum: integer, Maximum: integer, InvalidCharacters: string },
});
export type PolicyAccount = ObjectOf<typeof PolicyAccount>;

/** State of a container: `Index` is its frame count, frame 0 included; `Digest` the apex over them (encoding 3.7). */
export const ContainerStatus = defineObject({
  name: 'ContainerStatus',
  fields: { Container: string, Index: integer, Digest: binary },
});
export type ContainerStatus = ObjectOf<typeof ContainerStatus>;

/** Frames of a container; in an upload `Index` is the frame index that the first envelope is to get. */
export const ContainerUpdate = defineObject({
  name: 'ContainerUpdate',
  base: ContainerStatus,
  fields: { Envelopes: sequence(envelope), PageKey: string, Consistency: sequence(binary) },
});
export type ContainerUpdate = ObjectOf<typeof ContainerUpdate>;

/** What became of one entry of a request. The members after `ConstraintsData` are ours (schema 13). */
export const EntryResponse = defineObject({
  name: 'EntryResponse',
  fields: {
    IndexRequest: integer,
    IndexContainer: integer,
    Result: string,
    ConstraintsData: object(() => ConstraintsData),
    Account: string,
    StatusExtended: integer,
    Receipt: envelope,
  },
});
export type EntryResponse = ObjectOf<typeof EntryResponse>;

/** A message on its way to one recipient, of which no mark tells yet (ours: feature `delivery-1`). */
export const Delivery = defineObject({
  name: 'Delivery',
  fields: {
    /** UniqueID of the message. */
    Message: string,
    Account: string,
    Attempts: integer,
    /** Absent: as soon as may be. */
    Next: dateTime,
    Expires: dateTime,
    /** Why the last attempt failed. */
    Reason: string,
  },
});
export type Delivery = ObjectOf<typeof Delivery>;

/** Values of `EntryResponse.Result`. */
export type EntryResult = 'Accept' | 'Reject' | 'Conflict';

/** One encoding that a service takes. */
export const Encoding = defineObject({
  name: 'Encoding',
  fields: { ID: sequence(string), Dictionary: sequence(string) },
});
export type Encoding = ObjectOf<typeof Encoding>;

export const Version = defineObject({
  name: 'Version',
  fields: {
    Major: integer,
    Minor: integer,
    Encodings: sequence(object(() => Encoding)),
    URI: sequence(string),
    Features: sequence(string),
  },
});
export type Version = ObjectOf<typeof Version>;

// --- base classes ---

/** The client's part of a key exchange (S30). */
export const ExchangeRequest = defineObject({ name: 'ExchangeRequest', fields: { ClientNonce: tagged(keyRegistry) } });
export type ExchangeRequest = ObjectOf<typeof ExchangeRequest>;

/** The service's part of it. */
export const ExchangeResponse = defineObject({
  name: 'ExchangeResponse',
  fields: { ServerNonce: tagged(keyRegistry), Ticket: binary, Witness: binary, Expires: dateTime },
});
export type ExchangeResponse = ObjectOf<typeof ExchangeResponse>;

/** `Service` and `ID` are required in every authenticated request (S20). */
export const Request = defineObject({
  name: 'Request',
  fields: { Service: string, ID: binary, Features: sequence(string), Exchange: object(() => ExchangeRequest) },
});
export type Request = ObjectOf<typeof Request>;

export const MeshRequest = defineObject({ name: 'MeshRequest', base: Request, fields: {} });
export type MeshRequest = ObjectOf<typeof MeshRequest>;

export const MeshRequestUser = defineObject({
  name: 'MeshRequestUser',
  base: MeshRequest,
  fields: { Account: string, DeviceProfile: envelope },
});
export type MeshRequestUser = ObjectOf<typeof MeshRequestUser>;

/** `Status` is always written, and `ID` when the request had one. */
export const Response = defineObject({
  name: 'Response',
  fields: {
    Status: integer,
    StatusExtended: integer,
    StatusDescription: string,
    ID: binary,
    Exchange: object(() => ExchangeResponse),
  },
});
export type Response = ObjectOf<typeof Response>;

/** Also the answer to a request that could not be identified. */
export const MeshResponse = defineObject({ name: 'MeshResponse', base: Response, fields: {} });
export type MeshResponse = ObjectOf<typeof MeshResponse>;
