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
import { envelope } from './envelope-octets.js';

/*
 * The objects inside an envelope (encoding rules 2.2 to 2.6, 3.3), one table each. Schema tables re-use them.
 * Members of the trailer may stand in the header as well; what an envelope says is merged by `openEnvelope`.
 */

/** Public key on one of the CFRG curves: the only variant of a tagged key that occurs inside envelopes. */
export const PublicKeyECDH = defineObject({
  name: 'PublicKeyECDH',
  fields: { crv: string, Public: binary },
});
export type PublicKeyECDH = ObjectOf<typeof PublicKeyECDH>;

/**
 * The tagged key `{"PublicKeyECDH": {...}}` of a recipient block. Written as an object with one member, so that a
 * block for another kind of key, which is none of ours, is skipped instead of spoiling the envelope.
 */
export const EphemeralKey = defineObject({
  name: 'EphemeralKey',
  fields: { PublicKeyECDH: object(() => PublicKeyECDH) },
});
export type EphemeralKey = ObjectOf<typeof EphemeralKey>;

/** One key exchange block (encoding 2.6): the master key wrapped for one recipient. */
export const Recipient = defineObject({
  name: 'Recipient',
  fields: { kid: string, epk: object(() => EphemeralKey), wmk: binary, kwd: string },
});
export type Recipient = ObjectOf<typeof Recipient>;

/** X.509 path of a signer; read and kept, never used for a decision. */
export const CertificatePath = defineObject({
  name: 'CertificatePath',
  fields: { x5u: string, x5c: binary },
});
export type CertificatePath = ObjectOf<typeof CertificatePath>;

/** One signature entry (encoding 2.5, 6.4): the proof and the credentials that travel with it. */
export const SignatureEntry = defineObject({
  name: 'SignatureEntry',
  fields: {
    dig: string,
    alg: string,
    kid: string,
    cert: binary,
    path: object(() => CertificatePath),
    Manifest: binary,
    signature: binary,
    witness: binary,
    Ticket: binary,
    Profile: envelope,
    Connection: envelope,
    Account: envelope,
  },
});
export type SignatureEntry = ObjectOf<typeof SignatureEntry>;

/** One entry of `ContentMeta.KeyValues`. */
export const KeyValue = defineObject({ name: 'KeyValue', fields: { Key: string, Value: string } });
export type KeyValue = ObjectOf<typeof KeyValue>;

/** Content metadata (encoding 2.4), itself JSON inside the binary member `ContentMetaData`. */
export const ContentMeta = defineObject({
  name: 'ContentMeta',
  fields: {
    UniqueID: string,
    Labels: sequence(string),
    KeyValues: sequence(object(() => KeyValue)),
    MessageType: string,
    cty: string,
    Paths: sequence(string),
    Filename: string,
    Event: string,
    Created: dateTime,
    Modified: dateTime,
    First: integer,
    Previous: integer,
  },
});
export type ContentMeta = ObjectOf<typeof ContentMeta>;

/** Position of an envelope in a container (encoding 3.3). */
export const ContainerInfo = defineObject({
  name: 'ContainerInfo',
  fields: {
    DataEncoding: string,
    Index: integer,
    ContainerType: string,
    IsMeta: boolean,
    Default: boolean,
    TreePosition: integer,
    IndexPosition: integer,
    ExchangePosition: integer,
  },
});
export type ContainerInfo = ObjectOf<typeof ContainerInfo>;

/** Where one frame of a file begins. */
export const IndexPosition = defineObject({ name: 'IndexPosition', fields: { Index: integer, Position: integer } });
export type IndexPosition = ObjectOf<typeof IndexPosition>;

/** Index frame of a container file; read, never needed. */
export const ContainerIndex = defineObject({
  name: 'ContainerIndex',
  fields: { Full: boolean, Positions: sequence(object(() => IndexPosition)) },
});
export type ContainerIndex = ObjectOf<typeof ContainerIndex>;

/** Members that belong to the trailer and may stand in the header instead (encoding 2.3). */
const trailerFields = {
  signatures: sequence(object(() => SignatureEntry)),
  SignedData: binary,
  PayloadDigest: binary,
  ChainDigest: binary,
  TreeDigest: binary,
};

/** Trailer of an envelope. */
export const Trailer = defineObject({ name: 'Trailer', fields: trailerFields });
export type Trailer = ObjectOf<typeof Trailer>;

/** Header of an envelope (encoding 2.2). */
export const Header = defineObject({
  name: 'Header',
  fields: {
    EnvelopeID: string,
    enc: string,
    dig: string,
    Salt: binary,
    Malt: binary,
    cloaked: binary,
    Annotations: sequence(binary),
    recipients: sequence(object(() => Recipient)),
    ContentMetaData: binary,
    ContainerInfo: object(() => ContainerInfo),
    ContainerIndex: object(() => ContainerIndex),
    ...trailerFields,
  },
});
export type Header = ObjectOf<typeof Header>;
