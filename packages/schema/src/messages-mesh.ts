import { envelope } from '@meshd/dare/envelope';
import {
  binary,
  boolean,
  dateTime,
  defineObject,
  defineTags,
  integer,
  type ObjectOf,
  object,
  sequence,
  string,
} from '@meshd/encoding/codec';
import { Permission } from './connections.js';
import { PublicKey } from './keys.js';

/* Mesh messages (schema 8, 13; S50 to S56). */

/** What a message refers to. The members after `Relationship` stand in marks that a service makes. */
export const Reference = defineObject({
  name: 'Reference',
  fields: {
    MessageID: string,
    ResponseID: string,
    Relationship: string,
    Account: string,
    StatusExtended: integer,
    Receipt: envelope,
  },
});
export type Reference = ObjectOf<typeof Reference>;

export const Message = defineObject({
  name: 'Message',
  fields: { MessageID: string, Sender: string, Recipient: string, References: sequence(object(() => Reference)) },
});
export type Message = ObjectOf<typeof Message>;

/** Says what became of a message. */
export const MessageComplete = defineObject({ name: 'MessageComplete', base: Message, fields: {} });
export type MessageComplete = ObjectOf<typeof MessageComplete>;

/**
 * `Relationship` of ours, in marks that the service makes in the inbound spool: it has refused the message, because the user knows
 * its sender's address (`Account`) by another key (S72).
 */
export const identityChanged = 'IdentityChanged';

export const MessagePIN = defineObject({
  name: 'MessagePIN',
  base: Message,
  fields: {
    Account: string,
    Expires: dateTime,
    PIN: string,
    /** Ours: the one device that it is good for, and what that may do then; to administrators alone (S56). */
    DeviceUDF: string,
    Permissions: sequence(object(() => Permission)),
  },
});
export type MessagePIN = ObjectOf<typeof MessagePIN>;

export const RequestConnection = defineObject({
  name: 'RequestConnection',
  base: Message,
  fields: {
    ServiceID: string,
    EnvelopedProfileDevice: envelope,
    ClientNonce: binary,
    PinUDF: string,
    ClientKey: object(() => PublicKey),
    ClientCommit: binary,
  },
});
export type RequestConnection = ObjectOf<typeof RequestConnection>;

export const AcknowledgeConnection = defineObject({
  name: 'AcknowledgeConnection',
  base: Message,
  fields: { EnvelopedRequestConnection: envelope, ServerNonce: binary, Witness: string },
});
export type AcknowledgeConnection = ObjectOf<typeof AcknowledgeConnection>;

export const ChallengeConnection = defineObject({
  name: 'ChallengeConnection',
  base: Message,
  fields: { AdminNonce: binary },
});
export type ChallengeConnection = ObjectOf<typeof ChallengeConnection>;

export const RevealConnection = defineObject({
  name: 'RevealConnection',
  base: Message,
  fields: { ClientReveal: binary },
});
export type RevealConnection = ObjectOf<typeof RevealConnection>;

export const OfferConnection = defineObject({
  name: 'OfferConnection',
  base: Message,
  fields: {
    DeviceUDF: string,
    ServiceID: string,
    OfferNonce: binary,
    Created: dateTime,
    EnvelopedProfileMaster: envelope,
    EnvelopedAccountAssertion: envelope,
    Authenticator: string,
  },
});
export type OfferConnection = ObjectOf<typeof OfferConnection>;

export const RequestContact = defineObject({
  name: 'RequestContact',
  base: Message,
  fields: { Reply: boolean, Subject: string, Self: envelope },
});
export type RequestContact = ObjectOf<typeof RequestContact>;

export const ReplyContact = defineObject({ name: 'ReplyContact', base: RequestContact, fields: {} });
export type ReplyContact = ObjectOf<typeof ReplyContact>;

/** A question. `Expires` is ours: until when it may be answered. */
export const RequestConfirmation = defineObject({
  name: 'RequestConfirmation',
  base: Message,
  fields: { Text: string, Expires: dateTime },
});
export type RequestConfirmation = ObjectOf<typeof RequestConfirmation>;

export const ResponseConfirmation = defineObject({
  name: 'ResponseConfirmation',
  base: Message,
  fields: { Request: object(() => RequestConfirmation), Accept: boolean },
});
export type ResponseConfirmation = ObjectOf<typeof ResponseConfirmation>;

export const OfferGroup = defineObject({ name: 'OfferGroup', base: Message, fields: {} });
export type OfferGroup = ObjectOf<typeof OfferGroup>;

export const RequestTask = defineObject({ name: 'RequestTask', base: Message, fields: {} });
export type RequestTask = ObjectOf<typeof RequestTask>;

/** Bodies of messages. */
export const messageRegistry = defineTags('message', {
  MessageComplete,
  MessagePIN,
  RequestConnection,
  AcknowledgeConnection,
  ChallengeConnection,
  RevealConnection,
  OfferConnection,
  RequestContact,
  ReplyContact,
  RequestConfirmation,
  ResponseConfirmation,
  OfferGroup,
  RequestTask,
});
