import { type RequestSigner, signRequest } from '@meshd/binding/request-sign';
import { sha512 } from '@meshd/crypto/digest';
import { type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { type Random, systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { type ContainerTrees, type FrameDraft, frameZero, type SealedBatch, sealBatch } from '@meshd/dare/batch';
import { coreOfFrame } from '@meshd/dare/core';
import { type EnvelopeOctets, makeEnvelope, openEnvelope, readEnvelope, writeContentMeta } from '@meshd/dare/envelope';
import type { ContentMeta, Header, SignatureEntry } from '@meshd/dare/header';
import { emptyLog } from '@meshd/dare/log-tree';
import { type ManifestFields, manifestKinds, signManifest } from '@meshd/dare/manifest';
import { emptyDareTree } from '@meshd/dare/merkle';
import { signatureEntry, signEnvelope } from '@meshd/dare/sign';
import { encodeTagged, type ObjectTable } from '@meshd/encoding/codec';
import type { JsonObject } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { ConnectionAccount, ConnectionDevice } from '@meshd/schema/connections';
import type { PublicKey } from '@meshd/schema/keys';
import { ProfileAccount, ProfileDevice, ProfileMesh } from '@meshd/schema/profiles';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import type { Principal } from '../authorise.js';

/** A key for tests: the same name gives the same key. */
export function testKey(name: string): SigningKey {
  return signingKeyFromSeed(sha512(new TextEncoder().encode(`test key ${name}`)).subarray(0, 57));
}

/** A key as profiles name it. */
export function publicMember(key: SigningKey): PublicKey {
  const { udf, raw } = key.publicKey;
  return { UDF: udf, PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } } };
}

/** A tagged object in an envelope, signed. */
export function signedObject<T>(table: ObjectTable<T>, value: T, ...keys: SigningKey[]): EnvelopeOctets {
  return signEnvelope({ payload: encodeTagged(table, value, 'json'), contentType: 'application/mmm', keys });
}

/** A device of a person, connected to the account. */
export interface TestDevice {
  readonly name: string;
  readonly udf: string;
  readonly profile: EnvelopeOctets;
  readonly authentication: SigningKey;
  readonly signature: SigningKey;
  /** Combined Mesh signature key: an administrator's if it stands in the ProfileMesh. */
  readonly mesh: SigningKey;
  readonly connection: EnvelopeOctets;
  readonly entry: Uint8Array;
  readonly principal: Principal;
}

/** What a person is made with. */
export interface PersonOptions {
  readonly address?: string;
  readonly updated?: Date;
  /** Administration devices, by name; their Mesh keys stand in the ProfileMesh. */
  readonly administrators?: readonly string[];
  /** Addresses that profile and connections name; `address` alone where absent. */
  readonly services?: readonly string[];
}

/** A person with a Mesh and an account; nothing of them is known to the service yet. */
export class Person {
  readonly name: string;
  readonly address: string;
  readonly services: readonly string[];
  readonly meshOffline: SigningKey;
  readonly accountOffline: SigningKey;
  readonly accountOnline: SigningKey;
  readonly administrators: readonly SigningKey[];
  readonly profileMesh: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;

  constructor(name: string, options: PersonOptions = {}) {
    this.name = name;
    this.address = options.address ?? `${name}@example.com`;
    this.services = options.services ?? [this.address];
    this.meshOffline = testKey(`${name} mesh offline`);
    this.accountOffline = testKey(`${name} account offline`);
    this.accountOnline = testKey(`${name} account online`);
    this.administrators = (options.administrators ?? ['first']).map((each) => testKey(`${name} ${each} mesh`));
    const updated = options.updated ?? new Date('2026-01-01T00:00:00Z');
    const meshOnline = this.administrators[0] as SigningKey;
    this.profileMesh = signedObject(
      ProfileMesh,
      {
        Updated: updated,
        KeyOfflineSignature: publicMember(this.meshOffline),
        KeysOnlineSignature: this.administrators.map(publicMember),
      },
      this.meshOffline,
    );
    this.profileAccount = signedObject(
      ProfileAccount,
      {
        Updated: updated,
        KeyOfflineSignature: publicMember(this.accountOffline),
        KeysOnlineSignature: [publicMember(this.accountOnline)],
        ServiceIDs: [...this.services],
        MeshProfileUDF: this.meshOffline.publicKey.udf,
      },
      this.accountOffline,
      meshOnline,
    );
  }

  get accountUdf(): string {
    return this.accountOffline.publicKey.udf;
  }

  get admin(): SigningKey {
    return this.administrators[0] as SigningKey;
  }

  /**
   * A device of this person.
   *
   * @param permissions empty: all stores.
   * @param meshSigner who connects it to the Mesh.
   */
  device(
    name = 'first',
    permissions: readonly { Name: string; Role?: string }[] = [],
    meshSigner: SigningKey = this.admin,
  ): TestDevice {
    const key = (use: string) => testKey(`${this.name} ${name} ${use}`);
    const offline = key('device offline');
    const [authentication, signature, mesh] = [key('authentication'), key('signature'), key('mesh')];
    const profile = signedObject(
      ProfileDevice,
      { KeyOfflineSignature: publicMember(offline), KeyAuthentication: publicMember(key('base authentication')) },
      offline,
    );
    const connection = signedObject(
      ConnectionAccount,
      {
        SubjectUDF: signature.publicKey.udf,
        AuthorityUDF: this.accountUdf,
        ServiceID: [...this.services],
        Permissions: [...permissions],
        KeySignature: publicMember(signature),
        KeyAuthentication: publicMember(authentication),
      },
      this.accountOnline,
    );
    const meshConnection = signedObject(
      ConnectionDevice,
      { KeySignature: publicMember(mesh), KeyAuthentication: publicMember(key('mesh authentication')) },
      meshSigner,
    );
    const udf = offline.publicKey.udf;
    const entry = encodeTagged(
      CatalogedDevice,
      {
        UDF: mesh.publicKey.udf,
        DeviceUDF: udf,
        EnvelopedProfileDevice: profile,
        EnvelopedConnectionDevice: meshConnection,
        Accounts: [{ AccountUDF: this.accountUdf, EnvelopedConnectionAccount: connection }],
      },
      'json',
    );
    const principal: Principal = {
      account: this.address,
      key: authentication.publicKey.raw,
      connectionDigest: sha512(connection.payload ?? new Uint8Array(0)),
      connection,
    };
    return { name, udf, profile, authentication, signature, mesh, connection, entry, principal };
  }

  /** A request envelope as it reaches the shard. */
  async request<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    signers: readonly RequestSigner[],
    nowMs: number,
    random: Random = systemRandom,
    service = 'example.com',
  ): Promise<EnvelopeOctets> {
    const { body } = await signRequest({ transaction, message, service, nowMs, random, signers });
    return readEnvelope(body);
  }

  /** A CreateAccount request for this person, signed by the Mesh's offline key. */
  createRequest(nowMs: number): Promise<EnvelopeOctets> {
    const message = {
      ServiceID: this.address,
      SignedProfileMesh: this.profileMesh,
      SignedAssertionAccount: this.profileAccount,
    };
    const service = this.address.slice(this.address.indexOf('@') + 1);
    return this.request('CreateAccount', message, [{ key: this.meshOffline }], nowMs, systemRandom, service);
  }
}

/** A container as its writer sees it: seals batches and keeps the trees. */
export class TestWriter {
  trees: ContainerTrees = { tree: emptyDareTree, log: emptyLog };
  readonly container: string;
  readonly accountUdf: string;
  readonly signer: SigningKey;

  constructor(container: string, accountUdf: string, signer: SigningKey) {
    this.container = container;
    this.accountUdf = accountUdf;
    this.signer = signer;
  }

  /** Seals a batch on top of the trees without moving them. */
  seal(
    drafts: readonly FrameDraft[],
    changes: Partial<{ container: string; accountUdf: string; signer: SigningKey }> = {},
  ): SealedBatch {
    const { container, accountUdf, signer, trees } = this;
    return sealBatch(drafts, { container, accountUdf, signer, createdMs: 1_767_225_600_000, ...trees, ...changes });
  }

  /** Seals a batch and takes it as written. */
  write(drafts: readonly FrameDraft[]): SealedBatch {
    const sealed = this.seal(drafts);
    this.trees = { tree: sealed.tree, log: sealed.log };
    return sealed;
  }
}

/** Frame 0 of a container of the given kind. */
export function opening(kind: 'catalog' | 'spool' = 'catalog'): FrameDraft {
  return frameZero({
    contentType: kind === 'catalog' ? 'application/mmm-catalog' : 'application/mmm-spool',
    uniqueId: nonceUdf(systemRandom),
    createdMs: 1_767_225_600_000,
  });
}

/** An entry with a body of random octets, or none for a Delete. */
export function entry(contentMeta: ContentMeta, payload?: Uint8Array): FrameDraft {
  return { contentMeta, payload: payload ?? (contentMeta.Event === 'Delete' ? new Uint8Array(0) : systemRandom(48)) };
}

/** What a Self entry is made of. */
export interface SelfDraft {
  readonly uniqueId: string;
  /** Tag of the payload, and `MessageType`. */
  readonly type: string;
  readonly body?: JsonObject;
  readonly contentMeta?: ContentMeta;
  readonly header?: Header;
  readonly manifest?: Partial<ManifestFields>;
  /** Members of the signature entry in place of the right ones. */
  readonly entry?: Partial<SignatureEntry>;
}

/** A message for the own inbound spool as a device makes it (S41, kind 3). */
export function selfEntry(accountUdf: string, signer: SigningKey, draft: SelfDraft): EnvelopeOctets {
  const { uniqueId, type, body = {}, contentMeta, manifest } = draft;
  const payload = writeJson({ [type]: { MessageID: uniqueId, ...body } });
  const meta = { UniqueID: uniqueId, MessageType: type, cty: 'application/mmm', ...contentMeta };
  const header = { dig: 'S512', ...draft.header, ContentMetaData: writeContentMeta(meta) };
  const core = coreOfFrame(openEnvelope(makeEnvelope({ header, payload })), sha512(payload));
  const fields: ManifestFields = {
    ...{ kind: manifestKinds.self, from: 0, index: 1, root: new Uint8Array(32), createdMs: 1_767_225_600_000 },
    ...{ subject: accountUdf, object: 'mmm_Inbound', ...manifest },
  };
  const entry = signatureEntry(signer, payload, { Manifest: signManifest(signer, fields, core) });
  return makeEnvelope({ header, payload, trailer: { signatures: [{ ...entry, ...draft.entry }] } });
}

/** A mark on messages of the spool. */
export function mark(uniqueId: string, relationship: string, ...names: string[]): SelfDraft {
  const References = names.map((MessageID) => ({ MessageID, Relationship: relationship }));
  return { uniqueId, type: 'MessageComplete', body: { References } };
}
