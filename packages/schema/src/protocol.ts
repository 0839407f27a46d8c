import { envelope } from '@meshd/dare/envelope';
import {
  binary,
  defineObject,
  defineTags,
  integer,
  isA,
  type ObjectOf,
  object,
  sequence,
  string,
  type TaggedOf,
} from '@meshd/encoding/codec';
import {
  ConstraintsData,
  ConstraintsSelect,
  ContainerStatus,
  ContainerUpdate,
  Delivery,
  EntryResponse,
  MeshRequest,
  MeshRequestUser,
  MeshResponse,
  PolicyAccount,
  Request,
  Response,
  Version,
} from './common.js';
import { FetchLargeRequest, FetchLargeResponse, StoreLargeRequest, StoreLargeResponse } from './large.js';

/* Requests and responses (schema 2.1, 2.4). */

export const HelloRequest = defineObject({ name: 'HelloRequest', base: Request, fields: {} });
export type HelloRequest = ObjectOf<typeof HelloRequest>;

export const HelloResponse = defineObject({
  name: 'HelloResponse',
  base: Response,
  fields: { Version: object(() => Version), Alternates: sequence(object(() => Version)) },
});
export type HelloResponse = ObjectOf<typeof HelloResponse>;

export const MeshHelloResponse = defineObject({
  name: 'MeshHelloResponse',
  base: HelloResponse,
  fields: {
    ConstraintsUpdate: object(() => ConstraintsData),
    ConstraintsPost: object(() => ConstraintsData),
    PolicyAccount: object(() => PolicyAccount),
    EnvelopedProfileService: envelope,
    EnvelopedProfileHost: envelope,
    EnvelopedConnectionHost: envelope,
  },
});
export type MeshHelloResponse = ObjectOf<typeof MeshHelloResponse>;

export const CreateRequest = defineObject({
  name: 'CreateRequest',
  base: MeshRequest,
  fields: { ServiceID: string, SignedProfileMesh: envelope, SignedAssertionAccount: envelope, Invite: string },
});
export type CreateRequest = ObjectOf<typeof CreateRequest>;

export const CreateResponse = defineObject({
  name: 'CreateResponse',
  base: MeshResponse,
  fields: { Reason: string, URL: string },
});
export type CreateResponse = ObjectOf<typeof CreateResponse>;

export const DeleteRequest = defineObject({
  name: 'DeleteRequest',
  base: MeshRequestUser,
  fields: { MovedTo: string },
});
export type DeleteRequest = ObjectOf<typeof DeleteRequest>;

export const DeleteResponse = defineObject({ name: 'DeleteResponse', base: MeshResponse, fields: {} });
export type DeleteResponse = ObjectOf<typeof DeleteResponse>;

export const StatusRequest = defineObject({
  name: 'StatusRequest',
  base: MeshRequestUser,
  fields: {
    DeviceUDF: string,
    ProfileMasterDigest: binary,
    Catalogs: sequence(string),
    Spools: sequence(string),
    /** Milliseconds. */
    Wait: integer,
    Known: sequence(object(() => ContainerStatus)),
    /** UniqueIDs of messages of which no mark tells yet. */
    Deliveries: sequence(string),
  },
});
export type StatusRequest = ObjectOf<typeof StatusRequest>;

export const StatusResponse = defineObject({
  name: 'StatusResponse',
  base: MeshResponse,
  fields: {
    EnvelopedProfileMaster: envelope,
    EnvelopedCatalogEntryDevice: envelope,
    ContainerStatus: sequence(object(() => ContainerStatus)),
    EnvelopedChallenge: envelope,
    EnvelopedHeads: envelope,
    Deliveries: sequence(object(() => Delivery)),
  },
});
export type StatusResponse = ObjectOf<typeof StatusResponse>;

export const CompleteRequest = defineObject({
  name: 'CompleteRequest',
  base: StatusRequest,
  fields: { ServiceID: string, ClientReveal: binary },
});
export type CompleteRequest = ObjectOf<typeof CompleteRequest>;

export const DownloadRequest = defineObject({
  name: 'DownloadRequest',
  base: MeshRequestUser,
  fields: { Select: sequence(object(() => ConstraintsSelect)), ConstraintsPost: object(() => ConstraintsData) },
});
export type DownloadRequest = ObjectOf<typeof DownloadRequest>;

export const DownloadResponse = defineObject({
  name: 'DownloadResponse',
  base: MeshResponse,
  fields: { Updates: sequence(object(() => ContainerUpdate)), EnvelopedHeads: envelope },
});
export type DownloadResponse = ObjectOf<typeof DownloadResponse>;

export const UploadRequest = defineObject({
  name: 'UploadRequest',
  base: MeshRequestUser,
  fields: { Updates: sequence(object(() => ContainerUpdate)), Self: sequence(envelope) },
});
export type UploadRequest = ObjectOf<typeof UploadRequest>;

export const UploadResponse = defineObject({
  name: 'UploadResponse',
  base: MeshResponse,
  fields: {
    Entries: sequence(object(() => EntryResponse)),
    ConstraintsData: object(() => ConstraintsData),
    EnvelopedHeads: envelope,
  },
});
export type UploadResponse = ObjectOf<typeof UploadResponse>;

export const PostRequest = defineObject({
  name: 'PostRequest',
  base: MeshRequest,
  fields: { Accounts: sequence(string), Message: sequence(envelope), Self: sequence(envelope) },
});
export type PostRequest = ObjectOf<typeof PostRequest>;

export const PostResponse = defineObject({ name: 'PostResponse', base: UploadResponse, fields: {} });
export type PostResponse = ObjectOf<typeof PostResponse>;

export const ConnectRequest = defineObject({
  name: 'ConnectRequest',
  base: MeshRequest,
  fields: { MessageConnectionRequestClient: envelope },
});
export type ConnectRequest = ObjectOf<typeof ConnectRequest>;

export const ConnectResponse = defineObject({
  name: 'ConnectResponse',
  base: MeshResponse,
  fields: {
    EnvelopedConnectionResponse: envelope,
    EnvelopedProfileMaster: envelope,
    EnvelopedAccountAssertion: envelope,
  },
});
export type ConnectResponse = ObjectOf<typeof ConnectResponse>;

// --- registries ---

/** Transaction to request class and declared response class. */
const classes = {
  Hello: { request: HelloRequest, response: MeshHelloResponse },
  CreateAccount: { request: CreateRequest, response: CreateResponse },
  DeleteAccount: { request: DeleteRequest, response: DeleteResponse },
  Status: { request: StatusRequest, response: StatusResponse },
  Download: { request: DownloadRequest, response: DownloadResponse },
  Upload: { request: UploadRequest, response: UploadResponse },
  Post: { request: PostRequest, response: PostResponse },
  Connect: { request: ConnectRequest, response: ConnectResponse },
  Complete: { request: CompleteRequest, response: StatusResponse },
  // Ours, behind the feature `large-1`.
  StoreLarge: { request: StoreLargeRequest, response: StoreLargeResponse },
  FetchLarge: { request: FetchLargeRequest, response: FetchLargeResponse },
};

export type Transaction = keyof typeof classes;

/** All transactions, in the order of the draft, then ours. */
export const transactions = Object.keys(classes) as readonly Transaction[];

/** The request of a transaction. */
export type RequestOf<T extends Transaction> = ObjectOf<(typeof classes)[T]['request']>;
/** The declared response of a transaction. */
export type ResponseOf<T extends Transaction> = ObjectOf<(typeof classes)[T]['response']>;

/**
 * Requests by the tag on the wire, which is the transaction's name. Class names are accepted too (R312); what is read
 * carries the transaction's name either way.
 */
export const requestRegistry = defineTags(
  'request',
  {
    Hello: HelloRequest,
    CreateAccount: CreateRequest,
    DeleteAccount: DeleteRequest,
    Status: StatusRequest,
    Download: DownloadRequest,
    Upload: UploadRequest,
    Post: PostRequest,
    Connect: ConnectRequest,
    Complete: CompleteRequest,
    StoreLarge: StoreLargeRequest,
    FetchLarge: FetchLargeRequest,
  },
  {
    HelloRequest: 'Hello',
    CreateRequest: 'CreateAccount',
    DeleteRequest: 'DeleteAccount',
    StatusRequest: 'Status',
    DownloadRequest: 'Download',
    UploadRequest: 'Upload',
    PostRequest: 'Post',
    ConnectRequest: 'Connect',
    CompleteRequest: 'Complete',
    StoreLargeRequest: 'StoreLarge',
    FetchLargeRequest: 'FetchLarge',
  },
);
export type TaggedRequest = TaggedOf<typeof requestRegistry>;

/** Responses by the tag on the wire, which is the class name; ancestor classes included. */
export const responseRegistry = defineTags('response', {
  MeshHelloResponse,
  HelloResponse,
  MeshResponse,
  Response,
  CreateResponse,
  DeleteResponse,
  StatusResponse,
  DownloadResponse,
  UploadResponse,
  PostResponse,
  ConnectResponse,
  StoreLargeResponse,
  FetchLargeResponse,
});
export type TaggedResponse = TaggedOf<typeof responseRegistry>;

/** The table of a transaction's request. */
export function requestTableOf<T extends Transaction>(transaction: T): (typeof classes)[T]['request'] {
  return classes[transaction].request;
}

/** The table of a transaction's declared response. */
export function responseTableOf<T extends Transaction>(transaction: T): (typeof classes)[T]['response'] {
  return classes[transaction].response;
}

/** The tag that we write on a request. */
export function requestTagOf(transaction: Transaction): string {
  return transaction;
}

/** The tag that we write on a response: the declared class. */
export function responseTagOf(transaction: Transaction): string {
  return classes[transaction].response.name;
}

/**
 * Whether a response may answer a transaction: the declared class, an ancestor of it (R311), or `MeshResponse`, with which
 * a service answers what it could not identify.
 */
export function isResponseTo(transaction: Transaction, tag: string): boolean {
  const table = responseRegistry.entries.get(tag)?.table;
  return table !== undefined && (table === MeshResponse || isA(classes[transaction].response, table));
}
