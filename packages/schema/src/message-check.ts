import { label, sha256 } from '@meshd/crypto/digest';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { CryptoError } from '@meshd/crypto/errors';
import { Lru } from '@meshd/crypto/lru';
import { udfEquals } from '@meshd/crypto/udf';
import { coreOfFrame } from '@meshd/dare/core';
import { checkPayloadDigest, type DareEnvelope, type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import type { SignatureEntry } from '@meshd/dare/header';
import { decodeManifest, type Manifest, manifestKinds, recipientsOf, verifyManifest } from '@meshd/dare/manifest';
import { EncodingError } from '@meshd/encoding/errors';
import { parseJson } from '@meshd/encoding/json-reader';
import { accreditationsKnownMax, messageNameCharactersMax, postDeliveriesMax } from '@meshd/limits/limits';
import { canonicalAddress } from './address.js';
import type { Permission } from './connections.js';
import { itemContentType } from './container-name.js';
import { onlineKeysOf, verifyConnectionAccount, verifyProfile } from './profile-check.js';
import type { ProfileAccount } from './profiles.js';
import { MeshError } from './status.js';

/*
 * What a message proves by itself (S41 kind 2, S71): that a device which its account accredits said this, to these
 * recipients, at that time. Services judge by it, senders' and recipients', and so do the recipients' devices. Whether the
 * account may write to the recipient is another question.
 */

declare const verifiedBrand: unique symbol;

/** A message whose proof holds. Only {@link verifyMessage} makes one. */
export interface VerifiedMessage {
  /** As received. */
  readonly octets: EnvelopeOctets;
  readonly envelope: DareEnvelope;
  /** SHA-2-512: recomputed, or as stated where the body was left out. */
  readonly payloadDigest: Uint8Array;
  /** S40; names the message whatever service carries it (S73). */
  readonly core: Uint8Array;
  /** `UniqueID` of the metadata. */
  readonly uniqueId: string;
  readonly messageType: string;
  /** Canonical address of the sender: Subject of the manifest. */
  readonly sender: string;
  /** Canonical addresses: Object of the manifest. */
  readonly recipients: readonly string[];
  /** Unix time of the manifest, milliseconds. */
  readonly createdMs: number;
  /** The device's signature key. */
  readonly signer: PublicKeyEd448;
  /** What the device may do in its account, by its connection; empty: every store (semantics 4.1). */
  readonly permissions: readonly Permission[];
  /** The sender's account: its profile and the key that identifies it (S72). */
  readonly account: ProfileAccount;
  readonly accountKey: PublicKeyEd448;
  /** The body was left out: the message is only offered (S82). */
  readonly isOffer: boolean;
  readonly [verifiedBrand]: true;
}

/** The one entry of a message, with what it must hold. */
interface Proof {
  readonly kid: string;
  readonly manifest: Manifest;
  readonly connection: EnvelopeOctets;
  readonly account: EnvelopeOctets;
}

/**
 * Verifies a message. Three signatures: manifest, connection, profile; of the latter two those that held before, octet for
 * octet and for the same sender, hold still.
 *
 * @throws MeshError `malformed`, `payload-digest`, `event-rule` for metadata or a body that does not agree with them,
 *   `manifest` for a missing or wrong manifest, `object-signature` for credentials that do not hold.
 */
export async function verifyMessage(octets: EnvelopeOctets): Promise<VerifiedMessage> {
  const { envelope, payloadDigest, core } = openMessage(octets);
  const meta = requireMeta(envelope);
  const proof = requireProof(envelope);
  const sender = addressOf(proof.manifest.subject, 'Subject');
  const recipients = recipientAddresses(proof.manifest);
  const { profile, offlineKey, signer, permissions } = await accreditationOf(proof, sender);
  if (!isName(proof.kid, signer)) throw new MeshError('manifest', 'signed by another key than the connection names');
  if (!(await verifyManifest(signer, proof.manifest, core))) {
    throw new MeshError('manifest', 'the signature of the manifest is not valid');
  }
  const { createdMs } = proof.manifest;
  const parts = { octets, envelope, payloadDigest, core, ...meta, sender, recipients, createdMs, signer, permissions };
  checkBody(envelope, meta.messageType, sender);
  const account = { account: profile, accountKey: offlineKey };
  // The brand stands for the checks above.
  return { ...parts, ...account, isOffer: envelope.payload === null } as Omit<
    VerifiedMessage,
    typeof verifiedBrand
  > as VerifiedMessage;
}

function openMessage(octets: EnvelopeOctets) {
  try {
    const envelope = openEnvelope(octets);
    const payloadDigest = envelope.payload === null ? statedDigest(envelope) : checkPayloadDigest(envelope);
    return { envelope, payloadDigest, core: coreOfFrame(envelope, payloadDigest) };
  } catch (error) {
    if (error instanceof DareError && error.code === 'payload-digest') {
      throw new MeshError('payload-digest', 'PayloadDigest is not the digest of the payload', { cause: error });
    }
    throw readable(error);
  }
}

function readable(error: unknown): unknown {
  if (error instanceof DareError || error instanceof EncodingError || error instanceof CryptoError) {
    return new MeshError('malformed', `message: ${error.message}`, { cause: error });
  }
  return error;
}

/** A message without body is what its digest says (S82). */
function statedDigest({ payloadDigest }: DareEnvelope): Uint8Array {
  if (payloadDigest?.length === 64) return payloadDigest;
  throw new DareError('payload-digest', 'a message without body states its PayloadDigest');
}

function requireMeta({ contentMetaData: meta = {} }: DareEnvelope) {
  const { UniqueID: uniqueId = '', MessageType: messageType = '', cty } = meta;
  if (uniqueId === '' || messageType === '' || cty !== itemContentType) {
    throw new MeshError('event-rule', `a message needs UniqueID, MessageType and cty ${itemContentType}`);
  }
  if (uniqueId.length > messageNameCharactersMax || messageType.length > messageNameCharactersMax) {
    throw new MeshError('event-rule', `UniqueID and MessageType have at most ${messageNameCharactersMax} characters`);
  }
  return { uniqueId, messageType };
}

function requireProof({ signatures }: DareEnvelope): Proof {
  const entries = signatures.filter(({ Manifest: octets }) => octets !== undefined);
  const [entry] = entries;
  const isSigned = entry?.alg === 'S512' && entry.signature !== undefined && entry.kid !== undefined;
  if (entries.length !== 1 || !isSigned) {
    throw new MeshError('manifest', 'a message has one signature entry with a manifest beside an S512 signature');
  }
  const manifest = manifestOf(entry);
  if (manifest.kind !== manifestKinds.message || manifest.from !== 0 || manifest.index !== 0) {
    throw new MeshError('manifest', 'not a manifest of version 1, kind 2');
  }
  if (manifest.root.some((octet) => octet !== 0)) throw new MeshError('manifest', 'Root of a message is zeros');
  const { Connection: connection, Account: account, kid = '' } = entry;
  if (connection === undefined || account === undefined) {
    throw new MeshError('object-signature', 'a message brings Connection and Account of its sender');
  }
  return { kid, manifest, connection, account };
}

function manifestOf({ Manifest: octets }: SignatureEntry): Manifest {
  try {
    return decodeManifest(octets as Uint8Array);
  } catch (error) {
    if (error instanceof DareError) throw new MeshError('manifest', error.message, { cause: error });
    throw error;
  }
}

function addressOf(text: string, what: string): string {
  try {
    return canonicalAddress(text);
  } catch (error) {
    throw new MeshError('manifest', `${what} of the manifest is no account address`, { cause: error });
  }
}

function isAddress(text: string, address: string): boolean {
  try {
    return canonicalAddress(text) === address;
  } catch {
    return false;
  }
}

function recipientAddresses(manifest: Manifest): string[] {
  try {
    const texts = recipientsOf(manifest);
    if (texts.length === 0 || texts.length > postDeliveriesMax) throw new DareError('manifest', 'no recipients');
    return texts.map((text) => addressOf(text, 'Object'));
  } catch (error) {
    if (error instanceof DareError) throw new MeshError('manifest', error.message, { cause: error });
    throw error;
  }
}

/** Who may speak for a sender: his account, and the key of one of its devices. */
interface Accreditation {
  readonly profile: ProfileAccount;
  readonly offlineKey: PublicKeyEd448;
  readonly signer: PublicKeyEd448;
  readonly permissions: readonly Permission[];
}

/**
 * Accreditations that held. Nothing in them ends with time, and all that they say follows from their octets and the sender's
 * address, so one that held holds.
 */
const accreditations = new Lru<Accreditation>(accreditationsKnownMax);
const accreditationLabel = label('mesh-accreditation-kept');

async function accreditationOf(proof: Proof, sender: string): Promise<Accreditation> {
  const parts = [proof.account, proof.connection].flatMap(({ header, payload, trailer }) => [
    ...[header, payload ?? nothing, trailer ?? nothing],
  ]);
  const lengths = Buffer.from(parts.map(({ length }) => length).join(' '));
  const name = Buffer.from(sha256(accreditationLabel, lengths, ...parts)).toString('latin1') + sender;
  const known = accreditations.get(name);
  if (known !== undefined) return known;
  const { profile, offlineKey } = await verifyProfile(proof.account, 'ProfileAccount');
  if (!profile.ServiceIDs?.some((text) => isAddress(text, sender))) {
    throw new MeshError('object-signature', 'ProfileAccount is that of another address');
  }
  const found = { profile, offlineKey, ...(await signerOf(proof, { profile, offlineKey, sender })) };
  accreditations.set(name, found);
  return found;
}

const nothing = new Uint8Array(0);

/** The device of the account: its connection is signed by an online key of the profile. */
async function signerOf(
  { connection }: Proof,
  { profile, offlineKey, sender }: { profile: ProfileAccount; offlineKey: PublicKeyEd448; sender: string },
): Promise<Pick<Accreditation, 'signer' | 'permissions'>> {
  const authority = { udf: offlineKey.udf, address: sender, onlineKeys: onlineKeysOrNone(profile) };
  const verified = await verifyConnectionAccount(connection, authority);
  if (!verified.connection.ServiceID?.some((text) => isAddress(text, sender))) {
    throw new MeshError('object-signature', 'ConnectionAccount is for other addresses');
  }
  return { signer: verified.keySignature, permissions: verified.connection.Permissions ?? [] };
}

function onlineKeysOrNone(profile: ProfileAccount): PublicKeyEd448[] {
  try {
    return onlineKeysOf(profile);
  } catch (error) {
    if (error instanceof CryptoError) throw new MeshError('object-signature', error.message, { cause: error });
    throw error;
  }
}

function isName(kid: string, key: PublicKeyEd448): boolean {
  if (kid === key.udf) return true;
  try {
    return udfEquals(kid, key.udf);
  } catch {
    return false;
  }
}

/** What a body in clear says of itself: tag and sender must be those of the metadata and the manifest (semantics 8.1). */
function checkBody({ payload, header }: DareEnvelope, messageType: string, sender: string): void {
  if (payload === null || (header.enc !== undefined && header.enc !== 'none')) return;
  const body = taggedBody(payload, messageType);
  if (body === undefined) throw new MeshError('event-rule', 'MessageType is not the tag of the message');
  if (body.Sender !== undefined && !(typeof body.Sender === 'string' && isAddress(body.Sender, sender))) {
    throw new MeshError('event-rule', 'Sender is another account');
  }
}

function taggedBody(payload: Uint8Array, tag: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = parseJson(payload, { refuseRepeated: true });
    if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) return;
    const body = Object.keys(value).length === 1 ? value[tag] : undefined;
    return typeof body === 'object' && body !== null && !Array.isArray(body) && !(body instanceof Uint8Array)
      ? body
      : undefined;
  } catch (error) {
    if (error instanceof EncodingError) return undefined;
    throw error;
  }
}
