/**
 * Bad input over the wire, case by case: the status, a signature of ours wherever a request can be signed for, nothing
 * changed in any database, and one more in the figures.
 */
import { makeRequestId } from '@meshd/binding/request-id';
import { type RequestSigner, signRequest } from '@meshd/binding/request-sign';
import { systemRandom } from '@meshd/crypto/random';
import { type EnvelopeOctets, makeEnvelope, openEnvelope, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import type { SignatureEntry } from '@meshd/dare/header';
import { ProfileMesh } from '@meshd/schema/profiles';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import {
  entry,
  opening,
  Person,
  publicMember,
  signedObject,
  type TestDevice,
  testKey,
} from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domain, type Member, openWire, type Wire } from './wire-kit.js';

let wire: Wire;
let alice: Member;
beforeAll(async () => {
  wire = await openWire();
  alice = await wire.join('alice');
  const { envelopes } = alice.writer.write([opening(), credential('a')]);
  expect(await wire.ask(await upload(envelopes))).toMatchObject({ status: 201, isSigned: true });
});
afterAll(() => wire?.stop());

const credential = (id: string) => entry({ UniqueID: id, Event: 'New' });
const connected = (device: TestDevice): RequestSigner => ({
  key: device.authentication,
  connection: device.connection,
});

/** What a case sends; a body alone is posted as JSON. */
interface Sent {
  readonly body: Uint8Array | string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
}

interface Changes {
  readonly service?: string;
  readonly nowMs?: number;
  readonly id?: Uint8Array;
  readonly signers?: readonly RequestSigner[];
}

async function signed<T extends Transaction>(
  transaction: T,
  message: RequestOf<T>,
  { signers = [connected(alice.device)], ...changes }: Changes = {},
): Promise<Uint8Array> {
  const base = { transaction, message, signers, service: domain, nowMs: Date.now(), random: systemRandom };
  return (await signRequest({ ...base, ...changes })).body;
}

const status = (changes: Changes = {}, account = alice.person.address) =>
  signed('Status', { Account: account }, changes);

function upload(envelopes: readonly EnvelopeOctets[], changes: Changes = {}, container = 'mmm_Credential') {
  const message = { Account: alice.person.address, Updates: [{ Container: container, Envelopes: [...envelopes] }] };
  return signed('Upload', message, changes);
}

/** The account of a person who asks for the first time, with something else in place of what is right. */
function creation(changes: Partial<RequestOf<'CreateAccount'>> = {}, signers?: readonly RequestSigner[]) {
  const person = new Person('newcomer');
  const message = {
    ServiceID: person.address,
    SignedProfileMesh: person.profileMesh,
    SignedAssertionAccount: person.profileAccount,
    ...changes,
  };
  return signed('CreateAccount', message, { signers: signers ?? [{ key: person.meshOffline }] });
}

/** An unsigned request around any text that has the members of every request. */
function unsigned(text: (members: string) => string): string {
  const id = Buffer.from(makeRequestId(Date.now(), systemRandom)).toString('base64url');
  const payload = text(`"Service":"${domain}","ID":"${id}"`);
  return `[{"dig":"S512"},"${Buffer.from(payload).toString('base64url')}",{}]`;
}

function withEntries(body: Uint8Array, change: (entry: SignatureEntry) => readonly SignatureEntry[]): Uint8Array {
  const { header, payload, trailer, signatures } = openEnvelope(readEnvelope(body));
  const changed = { ...trailer, signatures: [...change(signatures[0] as SignatureEntry)] };
  return writeEnvelope(makeEnvelope({ header, payload, trailer: changed }));
}

/** A Mesh whose profile gives its online key the name of another one. */
function misnamed(): EnvelopeOctets {
  const person = new Person('newcomer');
  const online = { ...publicMember(person.admin), UDF: testKey('another').publicKey.udf };
  const body = { KeyOfflineSignature: publicMember(person.meshOffline), KeysOnlineSignature: [online] };
  return signedObject(ProfileMesh, body, person.meshOffline);
}

/** The same with the offline key, whose name is that of the Mesh. */
function misnamedOffline(): EnvelopeOctets {
  const { meshOffline } = new Person('newcomer');
  const offline = { ...publicMember(meshOffline), UDF: testKey('another').publicKey.udf };
  return signedObject(ProfileMesh, { KeyOfflineSignature: offline }, meshOffline);
}

const entriesOf = (...ids: string[]) => alice.writer.seal(ids.map(credential)).envelopes;
const tampered = (envelopes: readonly EnvelopeOctets[]) =>
  envelopes.map((envelope) => ({ ...envelope, payload: Buffer.from('other') }));
const stranger = new Person('stranger').device();

/** Signed where the request could be read as an envelope; `status/extended` and the code in the figures. */
type Case = [what: string, send: () => Promise<Sent> | Sent, expected: string, code: string, isSigned: boolean];

const body = async (made: Promise<Uint8Array> | Uint8Array | string): Promise<Sent> => ({ body: await made });
const hello = '{"Hello":{}}';

const cases: Case[] = [
  ['another method', () => ({ body: '', method: 'GET' }), '405', 'method', false],
  ['a media type', () => ({ body: hello, headers: { 'content-type': 'text/xml' } }), '415', 'media-type', false],
  ['no media type', () => ({ body: hello, headers: { 'content-type': '' } }), '415', 'media-type', false],
  [
    'JSON-C',
    async () => ({ body: await status(), headers: { 'content-type': 'application/json-c' } }),
    '415',
    'media-type',
    false,
  ],
  ['an encoding', () => ({ body: hello, headers: { 'content-encoding': 'gzip' } }), '415', 'media-type', false],
  ['another host', async () => ({ body: await status(), headers: { host: 'c.example' } }), '421', 'wrong-host', true],
  ['a size', () => ({ body: Buffer.alloc(16 * 1024 * 1024 + 1, 0x20) }), '413', 'too-large', false],
  [
    'a size for its transaction',
    () => body(unsigned((members) => `{"Status":{${members},"x":"${'y'.repeat(300_000)}"}}`)),
    '413',
    'too-large',
    true,
  ],
  ['no JSON', () => body('Hello'), '400', 'malformed', false],
  ['broken JSON', () => body(unsigned((members) => `{"Status":{${members},]}`)), '400', 'malformed', true],
  [
    'a member twice',
    () => body(unsigned((m) => `{"Status":{${m},"Account":"","Account":""}}`)),
    '400',
    'malformed',
    true,
  ],
  ['an unknown tag', () => body(unsigned((members) => `{"Tx":{${members}}}`)), '400', 'unknown-transaction', true],
  ['two tags', () => body(unsigned((members) => `{"Status":{${members}},"Hello":{}}`)), '400', 'malformed', true],
  ['no envelope', () => body('{"Status":{}}'), '401', 'not-authenticated', false],
  ['no signature', () => status({ signers: [] }).then(body), '401', 'not-authenticated', true],
  ['a stale signature', () => status({ nowMs: Date.now() - 301_000 }).then(body), '401/21', 'clock-skew', true],
  [
    'a signature from the future',
    () => status({ nowMs: Date.now() + 302_000 }).then(body),
    '401/21',
    'clock-skew',
    true,
  ],
  [
    'a signature by another key',
    () => status({ signers: [{ ...connected(alice.device), key: testKey('mallory') }] }).then(body),
    '401/10',
    'signature-invalid',
    true,
  ],
  [
    'a signature over something else',
    async () =>
      body(withEntries(await status(), (each) => [{ ...each, signature: testKey('x').sign(Buffer.alloc(80)) }])),
    '401/10',
    'signature-invalid',
    true,
  ],
  [
    'five signatures',
    async () => body(withEntries(await status(), (each) => Array(5).fill(each))),
    '400',
    'malformed',
    true,
  ],
  [
    'a device of somebody else',
    () => status({ signers: [connected(stranger)] }).then(body),
    '401',
    'not-authenticated',
    true,
  ],
  ['an account that is none', () => status({}, 'nobody@example.com').then(body), '401', 'not-authenticated', true],
  [
    'the account of another service',
    () => status({ service: 'c.example' }).then(body),
    '401/10',
    'service-unknown',
    true,
  ],
  [
    'a payload that is not the one digested',
    async () => {
      const { header, trailer } = openEnvelope(readEnvelope(await status()));
      const { payload } = openEnvelope(readEnvelope(await status()));
      return body(writeEnvelope(makeEnvelope({ header, payload, trailer })));
    },
    '400/11',
    'payload-digest',
    true,
  ],
  ['a batch without manifest', () => upload(entriesOf('b', 'c').slice(0, 1)).then(body), '400/23', 'manifest', true],
  [
    'a manifest for another container',
    () => upload(alice.writer.seal([credential('b')], { container: 'mmm_Network' }).envelopes).then(body),
    '400/23',
    'manifest',
    true,
  ],
  [
    'a manifest by somebody else',
    () => upload(alice.writer.seal([credential('b')], { signer: stranger.signature }).envelopes).then(body),
    '403/2',
    'not-authorised',
    true,
  ],
  ['an entry with another digest', () => upload(tampered(entriesOf('b'))).then(body), '400/11', 'payload-digest', true],
  ['a wrong index', () => upload(entriesOf('b', 'c').slice(1)).then(body), '409/12', 'index-mismatch', true],
  [
    'an unknown event',
    () => upload(alice.writer.seal([entry({ UniqueID: 'b', Event: 'Destroy' })]).envelopes).then(body),
    '400/13',
    'event-rule',
    true,
  ],
  ['a key that is there', () => upload(entriesOf('a')).then(body), '409/13', 'event-conflict', true],
  [
    'a container that climbs',
    () => upload(entriesOf('b'), {}, '../mmm_Credential').then(body),
    '400',
    'malformed',
    true,
  ],
  [
    'a misnamed online key',
    () => creation({ SignedProfileMesh: misnamed() }).then(body),
    '400/10',
    'object-signature',
    true,
  ],
  [
    'a misnamed offline key',
    () => creation({ SignedProfileMesh: misnamedOffline() }).then(body),
    '400/10',
    'object-signature',
    true,
  ],
  [
    'a Mesh that did not sign',
    () => creation({}, [{ key: testKey('mallory') }]).then(body),
    '401/10',
    'signature-invalid',
    true,
  ],
];

/** Names that must not become accounts, nor be looked for: control, path, format, and letters of several scripts. */
const names: [what: string, name: string][] = [
  ['a control character', 'a\u0007b'],
  ['a zero octet', 'a\u0000b'],
  ['a line feed', 'a\nb'],
  ['a path', '../a'],
  ['a path of the other kind', '..\\a'],
  ['a drive', 'c:a'],
  ['a percent sign', 'a%2fb'],
  ['a mark that turns the text round', '\u202Eecila'],
  ['a space that has no width', 'ali\u200Bce'],
  ['Cyrillic among Latin letters', '\u0430lice'],
  ['Greek among Latin letters', 'alice\u03B1'],
  ['full-width letters', '\uFF41lice'],
  ['a letter that folds into ASCII', '\u212Aate'],
];

for (const [what, name] of names) {
  const address = `${name}@${domain}`;
  cases.push([
    `${what} in a new name`,
    () => creation({ ServiceID: address }).then(body),
    '403/9',
    'account-name',
    true,
  ]);
  cases.push([`${what} in Account`, () => status({}, address).then(body), '400', 'malformed', true]);
}

describe('[R104] bad input is refused, signed for, changes nothing and is counted', () => {
  it.each(cases)('%s', async (_what, send, expected, code, isSigned) => {
    const before = { stored: await wire.stored(), count: await wire.refusals(code) };
    const answer = await wire.ask(await send());
    expect(`${answer.status}${answer.extended === undefined ? '' : `/${answer.extended}`}`).toBe(expected);
    expect(answer.httpStatus).toBe(answer.status);
    expect(answer.isSigned).toBe(isSigned);
    expect(await wire.refusals(code)).toBe(before.count + 1);
    expect(await wire.stored()).toEqual(before.stored);
  });

  it('and the account is as it was', async () => {
    expect(await wire.ask({ body: await status() })).toMatchObject({ status: 201, isSigned: true });
    const stored = await wire.stored();
    const { envelopes } = alice.writer.write([credential('b')]);
    expect(await wire.ask(await upload(envelopes))).toMatchObject({ status: 201 });
    // What was compared above does change when something is accepted.
    expect(await wire.stored()).not.toEqual(stored);
  });
});

describe('[S27] the same ID', () => {
  it('with other content is refused, for reading and for writing', async () => {
    const [read, write] = [0, 1].map(() => makeRequestId(Date.now(), systemRandom)) as [Uint8Array, Uint8Array];
    const { envelopes } = alice.writer.write([credential('once')]);
    expect(await wire.ask(await status({ id: read }))).toMatchObject({ status: 201 });
    expect(await wire.ask(await upload(envelopes, { id: write }))).toMatchObject({ status: 201 });
    const before = { stored: await wire.stored(), count: await wire.refusals('request-id-reused') };
    const message = { Account: alice.person.address, Catalogs: ['mmm_Credential'] };
    const others = [await signed('Status', message, { id: read }), await upload(entriesOf('twice'), { id: write })];
    for (const other of others) {
      expect(await wire.ask(other)).toMatchObject({ status: 401, extended: 20, isSigned: true });
    }
    expect(await wire.refusals('request-id-reused')).toBe(before.count + 2);
    expect(await wire.stored()).toEqual(before.stored);
  });

  it('with the same content gets the stored answer, under a signature for this very request', async () => {
    const bob = await wire.join('bob', { combined: true });
    const message = {
      Account: bob.person.address,
      Updates: [{ Container: 'mmm_Credential', Envelopes: [...bob.writer.write([opening()]).envelopes] }],
    };
    const changes = { id: makeRequestId(Date.now(), systemRandom), signers: [connected(bob.device)] };
    const [first, again] = [await signed('Upload', message, changes), await signed('Upload', message, changes)];
    // A combined key signs with fresh octets each time (S13): the payload is the same, the proof is another.
    expect(openEnvelope(readEnvelope(first)).payload).toEqual(openEnvelope(readEnvelope(again)).payload);
    expect(Buffer.from(first).equals(Buffer.from(again))).toBe(false);
    const answer = await wire.ask(first);
    const stored = await wire.stored();
    const repeated = await wire.ask(again);
    expect([answer.isSigned, repeated.isSigned]).toEqual([true, true]);
    expect(answer.message.Entries).toEqual([{ IndexRequest: 0, IndexContainer: 0, Result: 'Accept' }]);
    expect(repeated.message).toEqual(answer.message);
    expect(await wire.isSignedFor(repeated.body, first)).toBe(false);
    expect(await wire.stored()).toEqual(stored);
  });
});
