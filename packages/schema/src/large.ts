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
} from '@meshd/encoding/codec';
import { MeshRequestUser, MeshResponse } from './common.js';
import { Message } from './messages-mesh.js';

/*
 * Large data by reference (ours: feature `large-1`): a sender's service keeps a sealed file, a message tells the recipient
 * where it is and how it is opened, and his device fetches it from there.
 */

/** A file that a service keeps for an account. */
export const LargeFile = defineObject({
  name: 'LargeFile',
  fields: {
    /** Of the EARL. */
    Identifier: string,
    /** Octets in all, sealed. */
    Octets: integer,
    /** Octets that are there. */
    Stored: integer,
    /** When it will be dropped: as it is now, so of an unfinished one unless it grows. */
    Expires: dateTime,
  },
});
export type LargeFile = ObjectOf<typeof LargeFile>;

/**
 * Begins a file (`Octets`, `Reader`), adds to it (`Offset`, `Data`), withdraws it (`Withdraw`), or asks how it stands; without
 * `Identifier`: how all of them stand.
 */
export const StoreLargeRequest = defineObject({
  name: 'StoreLargeRequest',
  base: MeshRequestUser,
  fields: {
    Identifier: string,
    Octets: integer,
    /** Raw Ed448 key of those who may fetch it. */
    Reader: binary,
    /** Until when it is wanted. */
    Expires: dateTime,
    Offset: integer,
    Data: binary,
    Withdraw: boolean,
  },
});
export type StoreLargeRequest = ObjectOf<typeof StoreLargeRequest>;

export const StoreLargeResponse = defineObject({
  name: 'StoreLargeResponse',
  base: MeshResponse,
  fields: {
    /** The one that was named, or all. */
    Files: sequence(object(() => LargeFile)),
    /** Octets that the account uses, announced ones included, and may use. */
    OctetsUsed: integer,
    OctetsMax: integer,
  },
});
export type StoreLargeResponse = ObjectOf<typeof StoreLargeResponse>;

/** Asks for octets of a file. `Account` is whose file it is; who may have it, the key that signs the request says. */
export const FetchLargeRequest = defineObject({
  name: 'FetchLargeRequest',
  base: MeshRequestUser,
  fields: { Identifier: string, Offset: integer, BytesMax: integer },
});
export type FetchLargeRequest = ObjectOf<typeof FetchLargeRequest>;

export const FetchLargeResponse = defineObject({
  name: 'FetchLargeResponse',
  base: MeshResponse,
  fields: {
    /** Octets of the whole file. */
    Octets: integer,
    /** From the offset asked for, at least one octet. */
    Data: binary,
  },
});
export type FetchLargeResponse = ObjectOf<typeof FetchLargeResponse>;

/** Tells a recipient of a file. */
export const LargeData = defineObject({
  name: 'LargeData',
  base: Message,
  fields: {
    /** `udf://<domain>/<E…>`: the key is both what opens it and what it is found by. */
    Locator: string,
    /** Of the file itself. */
    Octets: integer,
    /** SHA-2-512 of the file itself. */
    Digest: binary,
    Name: string,
    Expires: dateTime,
  },
});
export type LargeData = ObjectOf<typeof LargeData>;
