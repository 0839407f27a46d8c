import {
  decodeObject,
  decodeTagged,
  encodeObject,
  encodeTagged,
  type Form,
  isA,
  type ObjectTable,
  type TagRegistry,
} from '@meshd/encoding/codec';
import { EncodingError } from '@meshd/encoding/errors';
import { describe, expect, test } from 'vitest';
import * as catalog from './catalog.js';
import * as common from './common.js';
import * as connections from './connections.js';
import * as keys from './keys.js';
import * as messages from './messages-mesh.js';
import * as profiles from './profiles.js';
import * as protocol from './protocol.js';
import * as service from './service.js';

const modules = { catalog, common, connections, keys, messages, profiles, protocol, service };
const isTable = (value: unknown): value is ObjectTable<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && 'fieldOf' in value;
const isRegistry = (value: unknown): value is TagRegistry =>
  typeof value === 'object' && value !== null && 'entries' in value && value.entries instanceof Map;

const exported = Object.entries(modules).flatMap(([module, exports]) =>
  Object.entries(exports).map(([name, value]) => ({ module, name, value: value as unknown })),
);
const tables = exported.filter((each) => isTable(each.value)) as {
  module: string;
  name: string;
  value: ObjectTable<unknown>;
}[];
const registries = exported.filter((each) => isRegistry(each.value)) as { name: string; value: TagRegistry }[];

/** A value of every kind, by the kind's name; nested objects are left empty, tagged ones take the first tag. */
function sample(kind: string): unknown {
  if (kind.endsWith('[]')) return [sample(kind.slice(0, -2))];
  const simple: Record<string, unknown> = {
    String: 'é "x"\n',
    Integer: -42,
    Boolean: true,
    Binary: Uint8Array.of(0, 255, 1),
    DateTime: new Date('2019-10-23T12:00:00Z'),
    DareEnvelope: { header: new TextEncoder().encode('{"dig":"S512"}'), payload: Uint8Array.of(1), trailer: null },
    'tagged Key': { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: Uint8Array.of(1, 2) } },
    'tagged Activation': { tag: 'ActivationAccount', value: { AccountUDF: 'M' } },
  };
  return kind in simple ? simple[kind] : {};
}

/** Never written: no condition exists (schema 4). */
const isWritable = (kind: string) => kind !== 'tagged Condition';

function sampleOf(table: ObjectTable<unknown>): Record<string, unknown> {
  return Object.fromEntries(
    table.fields.filter(({ kind }) => isWritable(kind.name)).map(({ name, kind }) => [name, sample(kind.name)]),
  );
}

/** Own members as schema.md and security.md list them; a slip of the pen in a table shows here. */
const listed: Record<string, string> = {
  KeyOverlay: 'UDF BaseUDF Overlay',
  KeyComposite: 'Public Part Service',
  EscrowedKeySet: 'MasterSignatureKey MasterEncryptionKey MasterEscrowKeys',
  DeviceRecryptionKey: 'UDF RecryptionKey EnvelopedRecryptionKeyDevice',
  PublicKey: 'UDF X509Certificate X509Chain X509CSR PublicParameters PrivateParameters',
  Assertion: 'Names Updated NotaryToken Conditions',
  Profile: 'KeyOfflineSignature KeysOnlineSignature',
  ProfileMesh: 'KeysMasterEscrow KeyEncryption',
  ProfileDevice: 'Description KeyEncryption KeyAuthentication',
  ProfileService: 'KeyAuthentication',
  ProfileHost: 'KeyAuthentication',
  ProfileAccount: 'ServiceIDs MeshProfileUDF KeyEncryption',
  Connection: 'SubjectUDF AuthorityUDF',
  Permission: 'Name Role Capabilities',
  ConnectionDevice: 'Permissions KeySignature KeyEncryption KeyAuthentication',
  ConnectionAccount: 'ServiceID Permissions KeySignature KeyEncryption KeyAuthentication',
  ConnectionHost: 'ServiceID KeyAuthentication NotBefore NotAfter',
  ActivationDevice:
    'EnvelopedAssertionDeviceConnection Activations KeySignature KeyEncryption KeyAuthentication PinWitness',
  ActivationAccount:
    'AccountUDF KeyGroup KeyEncryption KeyAuthentication KeySignature Stores ServiceUDF KeysEncryption KeyBlind Administration',
  AdministrationKeys: 'MeshEncryption AccountOffline AccountOnline',
  ContainerHead: 'Container Log Index Root',
  CatalogedDevice:
    'UDF DeviceUDF EnvelopedProfileDevice EnvelopedConnectionDevice EnvelopedActivationDevice Accounts Name',
  CatalogedContact: 'Self Key Permissions EnvelopedContact',
  CatalogedCredential: 'Protocol Service Username Password',
  CatalogedNetwork: 'Protocol Service Username Password',
  CatalogedBookmark: 'Uri Title Path',
  CatalogedTask: 'EnvelopedTask Key',
  CatalogedApplication: 'Key',
  CatalogedMember: 'UDF',
  Contact: 'Identifier FullName Title First Middle Last Suffix Labels AssertionAccounts Addresses Locations Roles',
  Role: 'CompanyName Addresses Locations',
  Address: 'URI Labels',
  Location: 'Appartment Street District Locality County Postcode Country',
  Task: 'Key Start Finish StartTravel FinishTravel TimeZone Title Description Location Trigger Conference Repeat Busy',
  Message: 'MessageID Sender Recipient References',
  Reference: 'MessageID ResponseID Relationship Account StatusExtended Receipt',
  MessagePIN: 'Account Expires PIN DeviceUDF Permissions',
  RequestConnection: 'ServiceID EnvelopedProfileDevice ClientNonce PinUDF ClientKey ClientCommit',
  AcknowledgeConnection: 'EnvelopedRequestConnection ServerNonce Witness',
  ChallengeConnection: 'AdminNonce',
  RevealConnection: 'ClientReveal',
  OfferConnection:
    'DeviceUDF ServiceID OfferNonce Created EnvelopedProfileMaster EnvelopedAccountAssertion Authenticator',
  RequestContact: 'Reply Subject Self',
  RequestConfirmation: 'Text Expires',
  ResponseConfirmation: 'Request Accept',
  IncidentReport: 'ReportID Reported Kind Account RemoteService MessageID Detail',
  ContainerHeads: 'Account Service Time Heads',
  DeliveryReceipt: 'Service SenderService Recipient Core ReceiptID Time Result',
  DeviceDescription: 'EnvelopedProfileDevice HailingServiceID HailingDomain',
  CatalogedMachine: 'ID Local Default EnvelopedProfileMaster CatalogedDevice',
  CatalogedAdmin: 'SignatureKey DeviceUDF',
  CatalogedPending: 'DeviceUDF EnvelopedProfileDevice EnvelopedMessageConnectionResponse EnvelopedAccountAssertion',
  ConstraintsSelect: 'Container IndexMin IndexMax NotBefore Before PageKey Filter ProveFrom Prove',
  ConstraintsData: 'MaxEntries BytesOffset BytesMax Header Payload Trailer',
  PolicyAccount: 'Minimum Maximum InvalidCharacters',
  ContainerStatus: 'Container Index Digest',
  ContainerUpdate: 'Envelopes PageKey Consistency',
  EntryResponse: 'IndexRequest IndexContainer Result ConstraintsData Account StatusExtended Receipt',
  Delivery: 'Message Account Attempts Next Expires Reason',
  Version: 'Major Minor Encodings URI Features',
  Encoding: 'ID Dictionary',
  Request: 'Service ID Features Exchange',
  MeshRequestUser: 'Account DeviceProfile',
  Response: 'Status StatusExtended StatusDescription ID Exchange',
  HelloResponse: 'Version Alternates',
  MeshHelloResponse:
    'ConstraintsUpdate ConstraintsPost PolicyAccount EnvelopedProfileService EnvelopedProfileHost EnvelopedConnectionHost',
  CreateRequest: 'ServiceID SignedProfileMesh SignedAssertionAccount Invite',
  CreateResponse: 'Reason URL',
  DeleteRequest: 'MovedTo',
  StatusRequest: 'DeviceUDF ProfileMasterDigest Catalogs Spools Wait Known Deliveries',
  StatusResponse:
    'EnvelopedProfileMaster EnvelopedCatalogEntryDevice ContainerStatus EnvelopedChallenge EnvelopedHeads Deliveries',
  CompleteRequest: 'ServiceID ClientReveal',
  DownloadRequest: 'Select ConstraintsPost',
  DownloadResponse: 'Updates EnvelopedHeads',
  UploadRequest: 'Updates Self',
  UploadResponse: 'Entries ConstraintsData EnvelopedHeads',
  PostRequest: 'Accounts Message Self',
  ConnectRequest: 'MessageConnectionRequestClient',
  ConnectResponse: 'EnvelopedConnectionResponse EnvelopedProfileMaster EnvelopedAccountAssertion',
};

describe('tables', () => {
  test('are exported under the names of their objects', () => {
    expect(tables.length).toBeGreaterThan(80);
    expect(tables.filter(({ name, value }) => name !== value.name)).toEqual([]);
  });

  test.each(Object.entries(listed))('%s has its members, in order', (name, members) => {
    const table = tables.find((each) => each.name === name)?.value;
    const own = table?.fields.slice(table.base?.fields.length ?? 0).map((field) => field.name);
    expect(own?.join(' ')).toBe(members);
  });

  test('[R093] [R094] names are fixed identifiers, never data', () => {
    const names = tables.flatMap(({ value }) => value.fields.map((field) => field.name));
    expect(names.filter((name) => !/^[A-Za-z][A-Za-z0-9]*$/.test(name))).toEqual([]);
  });

  test.each(tables)('$module $name reads back from both encodings, absent members too', ({ value: table }) => {
    const full = sampleOf(table);
    for (const form of ['json', 'json-b'] as const satisfies readonly Form[]) {
      const back = decodeObject(table, encodeObject(table, full, form), { form, refuseRepeated: true });
      expect(JSON.stringify(back)).toBe(JSON.stringify(full));
      expect(decodeObject(table, encodeObject(table, {}, form), { form })).toEqual({});
    }
  });

  test.each(registries)('$name: every tag names its object, or the transaction', ({ value }) => {
    for (const [tag, entry] of value.entries) {
      const { table } = entry as { table: ObjectTable<Record<string, unknown>> };
      const octets = encodeTagged(table, sampleOf(table), 'json', tag);
      const decoded = decodeTagged(value, octets, { form: 'json' });
      expect(decoded.tag).toBe(entry.tag);
    }
  });

  test('a condition is never understood, so it is refused', () => {
    const decode = (text: string) =>
      decodeObject(profiles.ProfileMesh, new TextEncoder().encode(text), { form: 'json' });
    expect(() => decode('{"Conditions":{"Anything":{}}}')).toThrow(EncodingError);
    expect(decode('{"Conditions":null}')).toEqual({});
  });
});

describe('requests and responses', () => {
  const { requestRegistry, transactions, responseTagOf, requestTagOf, isResponseTo, responseRegistry } = protocol;
  const decodeRequest = (text: string) =>
    decodeTagged(requestRegistry, new TextEncoder().encode(text), { form: 'json', refuseRepeated: true });

  test('[R312] class names are accepted for transaction names', () => {
    expect(decodeRequest('{"Hello":{}}')).toEqual({ tag: 'Hello', value: {} });
    expect(decodeRequest('{"HelloRequest":{}}')).toEqual({ tag: 'Hello', value: {} });
    const aliases = [...requestRegistry.entries].filter(([alias, { tag }]) => alias !== tag);
    expect(aliases.map(([alias, { tag, table }]) => [alias, tag, table.name === alias])).toEqual([
      ['HelloRequest', 'Hello', true],
      ['CreateRequest', 'CreateAccount', true],
      ['DeleteRequest', 'DeleteAccount', true],
      ['StatusRequest', 'Status', true],
      ['DownloadRequest', 'Download', true],
      ['UploadRequest', 'Upload', true],
      ['PostRequest', 'Post', true],
      ['ConnectRequest', 'Connect', true],
      ['CompleteRequest', 'Complete', true],
      ['StoreLargeRequest', 'StoreLarge', true],
      ['FetchLargeRequest', 'FetchLarge', true],
    ]);
  });

  test.each([
    '{"hello":{}}',
    '{"Tx":{}}',
    '{"Hello":{},"Status":{}}',
    '{}',
    '{"Status":{"Account":"a","Account":"b"}}',
  ])('%s is refused', (text) => {
    expect(() => decodeRequest(text)).toThrow(EncodingError);
  });

  test('[R195] [R197] every request has the base members, those of users the account', () => {
    for (const transaction of transactions) {
      const table = requestRegistry.entries.get(requestTagOf(transaction))?.table as ObjectTable<unknown>;
      expect(table.fields.slice(0, 3).map((field) => field.name)).toEqual(['Service', 'ID', 'Features']);
    }
    for (const table of [protocol.UploadRequest, protocol.CompleteRequest, protocol.DeleteRequest]) {
      expect(isA(table, common.MeshRequestUser)).toBe(true);
      expect(table.fieldOf.has('Account') && table.fieldOf.has('DeviceProfile')).toBe(true);
    }
  });

  test('[R242] Complete asks all that Status asks, and more', () => {
    expect(isA(protocol.CompleteRequest, protocol.StatusRequest)).toBe(true);
  });

  test('[R200] [R303] every response has the base members, and Status is written first', () => {
    for (const { table } of responseRegistry.entries.values()) {
      expect(table.fields.slice(0, 4).map((field) => field.name)).toEqual([
        'Status',
        'StatusExtended',
        'StatusDescription',
        'ID',
      ]);
    }
    const octets = encodeObject(protocol.CreateResponse, { Reason: 'r', Status: 201 }, 'json');
    expect(Buffer.from(octets).toString()).toBe('{"Status":201,"Reason":"r"}');
  });

  test('[R311] a response is of the declared class or an ancestor', () => {
    const accepted = (transaction: protocol.Transaction) =>
      [...responseRegistry.entries.keys()].filter((tag) => isResponseTo(transaction, tag));
    expect(accepted('Hello')).toEqual(['MeshHelloResponse', 'HelloResponse', 'MeshResponse', 'Response']);
    expect(accepted('CreateAccount')).toEqual(['MeshResponse', 'Response', 'CreateResponse']);
    expect(accepted('Post')).toEqual(['MeshResponse', 'Response', 'UploadResponse', 'PostResponse']);
    expect(accepted('Complete')).toEqual(['MeshResponse', 'Response', 'StatusResponse']);
    expect(isResponseTo('Upload', 'PostResponse')).toBe(false);
    expect(isResponseTo('Status', 'Invented')).toBe(false);
    expect(responseTagOf('Complete')).toBe('StatusResponse');
  });

  test('[R205] [R206] [R221] [R304] the structures of Hello and of searches on the wire', () => {
    const octets = encodeTagged(
      protocol.MeshHelloResponse,
      {
        Status: 201,
        Version: { Major: 3, Minor: 0, Encodings: [{ ID: ['application/json'] }], URI: ['https://a.example/'] },
        PolicyAccount: { Minimum: 1, Maximum: 64, InvalidCharacters: ' !' },
      },
      'json',
    );
    expect(Buffer.from(octets).toString()).toBe(
      '{"MeshHelloResponse":{"Status":201,"Version":{"Major":3,"Minor":0,"Encodings":[{"ID":["application/json"]}],' +
        '"URI":["https://a.example/"]},"PolicyAccount":{"Minimum":1,"Maximum":64,"InvalidCharacters":" !"}}}',
    );
  });
});
