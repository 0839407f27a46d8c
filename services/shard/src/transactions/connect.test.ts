import { sha512 } from '@meshd/crypto/digest';
import type { SigningKey } from '@meshd/crypto/ed448';
import { openEnvelope } from '@meshd/dare/envelope';
import { decodeTagged } from '@meshd/encoding/codec';
import { pendingConnectionMs, pendingConnectionsMax } from '@meshd/limits/limits';
import { verifyConnectionRequest } from '@meshd/schema/connection-check';
import { messageRegistry, RequestConnection } from '@meshd/schema/messages-mesh';
import { ProfileDevice } from '@meshd/schema/profiles';
import { MeshError } from '@meshd/schema/status';
import { beforeEach, describe, expect, test } from 'vitest';
import type { AccountState } from '../storage/store.js';
import {
  entry,
  mark,
  Person,
  publicMember,
  type SelfDraft,
  selfEntry,
  signedObject,
  type TestDevice,
  type TestWriter,
  testKey,
} from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { told } from '../testing/upload-kit.js';
import { authenticate } from './authenticate.js';
import { complete, completeConnected } from './complete.js';
import { connect } from './connect.js';
import { status } from './status.js';

let shard: TestShard;
let alice: Person;
let first: TestDevice;
let catalog: TestWriter;
beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
  first = alice.device();
  catalog = await shard.join(alice, first);
});

/** A device that nobody knows yet, with the keys it was made with. */
function newDevice(name = 'phone') {
  const offline = testKey(`${alice.name} ${name} device offline`);
  const authentication = testKey(`${alice.name} ${name} base authentication`);
  const profile = alice.device(name).profile;
  const device = { account: alice.address, deviceUdf: offline.publicKey.udf, key: authentication.publicKey.raw };
  return { name, offline, authentication, profile, device };
}
type NewDevice = ReturnType<typeof newDevice>;

function requestOf({ offline, profile }: NewDevice, changes: Partial<RequestConnection> = {}, signer = offline) {
  const members = {
    ServiceID: alice.address,
    EnvelopedProfileDevice: profile,
    ClientNonce: new Uint8Array(16).fill(1),
    ClientKey: publicMember(testKey('fresh')),
    ClientCommit: new Uint8Array(64).fill(2),
    ...changes,
  };
  return signedObject(RequestConnection, members, signer);
}

function ask(device: NewDevice, changes: Partial<RequestConnection> = {}, signer?: SigningKey) {
  const message = requestOf(device, changes, signer);
  return connect(shard.context, { device: device.device, identity: shard.identity(), message });
}

const poll = ({ device }: NewDevice, reveal?: Uint8Array) =>
  complete(shard.context, { device, deviceUdf: device.deviceUdf, reveal });
const inbound = () => shard.store.framesOf(alice.address, 'mmm_Inbound');
const rowOf = ({ device }: NewDevice) => shard.store.stateOf(alice.address)?.connections.get(device.deviceUdf);
const nameOf = (device: NewDevice) => rowOf(device)?.messageId as string;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error) => (error instanceof MeshError ? error.code : String(error)),
  );
const say = (draft: SelfDraft, signer: SigningKey = alice.admin) =>
  shard.upload(first, [], shard.identity(), { self: [selfEntry(alice.accountUdf, signer, draft)] });
const challenge = (uniqueId: string, ...names: string[]): SelfDraft => ({
  uniqueId,
  type: 'ChallengeConnection',
  body: { References: names.map((MessageID) => ({ MessageID })), AdminNonce: 'AAAA' },
});

/** The administrator lists the device and says that its request is accepted. */
function accept(device: NewDevice, name = nameOf(device)) {
  const { entry: octets } = alice.device(device.name);
  const { envelopes } = catalog.write([entry({ UniqueID: device.device.deviceUdf, Event: 'New' }, octets)]);
  const self = [selfEntry(alice.accountUdf, alice.admin, mark(`accept ${name}`, 'Accept', name))];
  return shard.upload(first, [{ container: 'mmm_Device', envelopes }], shard.identity(), { self });
}

describe('Connect', () => {
  test('[R138] [R141] files the request, signed by the host, and tells the device whom it asks', async () => {
    const phone = newDevice();
    const result = await ask(phone);
    expect([result.profileMesh, result.profileAccount]).toEqual([alice.profileMesh, alice.profileAccount]);
    expect(inbound()).toHaveLength(2);
    const opened = openEnvelope(result.acknowledgement);
    const { tag, value } = decodeTagged(messageRegistry, opened.payload as Uint8Array, { form: 'json' });
    expect(tag).toBe('AcknowledgeConnection');
    expect(opened.contentMetaData).toMatchObject({ UniqueID: nameOf(phone), MessageType: 'AcknowledgeConnection' });
    expect(opened.signatures.map(({ kid }) => kid)).toEqual([shard.host.signingKey.publicKey.udf]);
    const filed = value as { EnvelopedRequestConnection: Parameters<typeof verifyConnectionRequest>[0] };
    const request = await verifyConnectionRequest(filed.EnvelopedRequestConnection);
    expect(request.profile.offlineKey.udf).toBe(phone.device.deviceUdf);
  });

  test('[R192] the same request again is answered as it was, and filed once', async () => {
    const phone = newDevice();
    const identity = shard.identity();
    const request = { device: phone.device, identity, message: requestOf(phone) };
    const told = await connect(shard.context, request);
    expect(await connect(shard.context, request)).toEqual(told);
    expect(inbound()).toHaveLength(2);
    const other = { ...identity, payloadDigest: sha512(new Uint8Array(1)) };
    expect(await codeOf(connect(shard.context, { ...request, identity: other }))).toBe('request-id-reused');
  });

  test('[S50] refuses nonces and commitments of other sizes, and keys that are none', async () => {
    const phone = newDevice();
    const small = { PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: new Uint8Array(57) } } };
    const wrong: Partial<RequestConnection>[] = [
      { ClientNonce: new Uint8Array(15) },
      { ClientNonce: undefined as never },
      { ClientCommit: new Uint8Array(63) },
      { ClientCommit: undefined as never },
      { ClientKey: undefined as never },
      { ClientKey: small as never },
      { EnvelopedProfileDevice: undefined as never },
    ];
    for (const changes of wrong) expect(await codeOf(ask(phone, changes))).toMatch(/^(malformed|object-signature)$/);
    expect(inbound()).toHaveLength(1);
  });

  test('[S51] refuses a request of another device, for another account, or under a foreign signature', async () => {
    const [phone, bulb] = [newDevice(), newDevice('bulb')];
    expect(await codeOf(ask({ ...bulb, device: phone.device }))).toBe('object-signature');
    expect(await codeOf(ask(phone, { EnvelopedProfileDevice: bulb.profile }))).toBe('object-signature');
    expect(await codeOf(ask(phone, {}, testKey('stranger')))).toBe('object-signature');
    expect(await codeOf(ask(phone, { ServiceID: 'bob@example.com' }))).toBe('malformed');
    const twin = signedObject(
      ProfileDevice,
      { KeyOfflineSignature: publicMember(phone.offline), KeyAuthentication: publicMember(testKey('swapped')) },
      phone.offline,
    );
    expect(await codeOf(ask(phone, { EnvelopedProfileDevice: twin }))).toBe('object-signature');
    expect(inbound()).toHaveLength(1);
  });

  test('[R244] an account that nobody has, that is on hold, or that is blocked: 404, 403/6, 403/7', async () => {
    const phone = newDevice();
    const bob = { ...phone, device: { ...phone.device, account: 'bob@example.com' } };
    expect(await codeOf(ask(bob, { ServiceID: 'bob@example.com' }))).toBe('account-unknown');
    for (const [status, code] of [
      ['pending', 'account-pending'],
      ['blocked', 'account-blocked'],
    ] as const) {
      await shard.store.transactAccount(alice.address, (transactor) =>
        transactor.commit({ replace: { ...(transactor.state as AccountState), status } }),
      );
      expect(await codeOf(ask(phone))).toBe(code);
    }
    expect(inbound()).toHaveLength(1);
  });

  test(`${pendingConnectionsMax} devices may wait, one more comes back later; one that asks again replaces its request`, async () => {
    const devices = Array.from({ length: pendingConnectionsMax }, (_, at) => newDevice(`device ${at}`));
    for (const device of devices) await ask(device);
    const late = newDevice('late');
    expect(await codeOf(ask(late))).toBe('rate-limited');
    const before = nameOf(devices[0] as NewDevice);
    await ask(devices[0] as NewDevice);
    expect(nameOf(devices[0] as NewDevice)).not.toBe(before);
    expect(told(await say(mark('m', 'Accept', before)))).toBe('accepted');
    expect(rowOf(devices[0] as NewDevice)?.status).toBe('pending');
    shard.nowMs += pendingConnectionMs + 1;
    await ask(late);
    shard.nowMs += pendingConnectionMs + 1;
    await ask(newDevice('later'));
    expect(shard.store.stateOf(alice.address)?.connections.size).toBe(2);
  });
});

describe('Complete', () => {
  test('[R145] [R146] a device asks by its base key until somebody has answered', async () => {
    const phone = newDevice();
    await ask(phone);
    expect(await poll(phone)).toEqual({ status: 300 });
    expect(told(await accept(phone))).toBe('accepted');
    const answer = await poll(phone);
    expect(answer.status).toBe(201);
    expect(openEnvelope(answer.entry as never).payload).toEqual(alice.device('phone').entry);
    expect(answer.profileMesh).toEqual(alice.profileMesh);
    expect(answer.containers?.map(({ container }) => container)).toContain('mmm_Device');
  });

  test('[S55] the base key opens nothing any more once the device has acted under its new keys', async () => {
    const phone = newDevice();
    await ask(phone);
    await accept(phone);
    expect((await poll(phone)).status).toBe(201);
    await authenticate(shard.context, alice.device('phone').principal);
    expect(await codeOf(poll(phone))).toBe('policy');
    const { principal, udf } = alice.device('phone');
    expect((await completeConnected(shard.context, principal, udf)).status).toBe(201);
    const stranger = new Person('carol').device();
    expect(await codeOf(completeConnected(shard.context, principal, stranger.udf))).toBe('connection-unknown');
  });

  test('[S57] the others of the account are told whether a new device has acted yet, and no more', async () => {
    const phone = newDevice();
    const seen = () => completeConnected(shard.context, first.principal, phone.device.deviceUdf);
    await ask(phone);
    expect(await codeOf(seen())).toBe('connection-unknown');
    await accept(phone);
    expect(await seen()).toEqual({ status: 300 });
    expect((await poll(phone)).status).toBe(201);
    expect(await seen()).toEqual({ status: 300 });
    await authenticate(shard.context, alice.device('phone').principal);
    expect(await seen()).toEqual({ status: 201 });
  });

  test('[S55] so it is whatever the device does first', async () => {
    const uses = [
      (principal: TestDevice['principal']) => authenticate(shard.context, principal),
      (principal: TestDevice['principal']) => {
        const asked = { principal, deviceUdf: '', containers: [], known: [], waitMs: undefined, heads: false };
        return status(shard.context, { ...asked, profileMasterDigest: new Uint8Array(0) });
      },
      (principal: TestDevice['principal']) => shard.upload({ principal }, [], shard.identity()),
    ];
    for (const [at, use] of uses.entries()) {
      const device = newDevice(`device ${at}`);
      await ask(device);
      await accept(device);
      await use(alice.device(`device ${at}`).principal);
      expect(await codeOf(poll(device))).toBe('policy');
    }
  });

  test('[S55] unknown, foreign and replaced requests are answered alike', async () => {
    const [phone, bulb] = [newDevice(), newDevice('bulb')];
    expect(await codeOf(poll(phone))).toBe('connection-unknown');
    await ask(phone);
    const foreign = { ...phone, device: { ...phone.device, key: bulb.device.key } };
    expect(await codeOf(poll(foreign))).toBe('connection-unknown');
    const asked = complete(shard.context, {
      device: bulb.device,
      deviceUdf: phone.device.deviceUdf,
      reveal: undefined,
    });
    expect(await codeOf(asked)).toBe('connection-unknown');
    const nobody = { ...phone, device: { ...phone.device, account: 'nobody@example.com' } };
    expect(await codeOf(poll(nobody))).toBe('connection-unknown');
  });

  test('a request that was rejected, or that nobody answered in time: 403/18', async () => {
    const [phone, bulb] = [newDevice(), newDevice('bulb')];
    await ask(phone);
    await ask(bulb);
    expect(told(await say(mark('no', 'Reject', nameOf(phone))))).toBe('accepted');
    expect(await codeOf(poll(phone))).toBe('connection-rejected');
    expect(told(await say(mark('yes', 'Accept', nameOf(phone))))).toBe('400/13 Reject@0');
    shard.nowMs += pendingConnectionMs;
    expect(await codeOf(poll(bulb))).toBe('connection-rejected');
  });

  test('an entry from before is not taken for the answer to a new request', async () => {
    const phone = newDevice();
    await ask(phone);
    await accept(phone);
    await authenticate(shard.context, alice.device('phone').principal);
    await ask(phone);
    expect(await poll(phone)).toEqual({ status: 300 });
    await authenticate(shard.context, alice.device('phone').principal);
    expect(await poll(phone)).toEqual({ status: 300 });
  });
});

describe('[S53] code mode', () => {
  const reveal = new Uint8Array(32).fill(9);

  test('[R150] a challenge reaches the device, its answer the administrator, once', async () => {
    const phone = newDevice();
    await ask(phone);
    expect(told(await say(challenge('c', nameOf(phone))))).toBe('accepted');
    const { challenge: got } = await poll(phone);
    expect(openEnvelope(got as never).contentMetaData).toMatchObject({ MessageType: 'ChallengeConnection' });
    expect(await poll(phone, reveal)).toEqual({ status: 300 });
    const filed = inbound().at(-1);
    const { tag, value } = decodeTagged(messageRegistry, filed?.payload as Uint8Array, { form: 'json' });
    expect([tag, value]).toMatchObject([
      'RevealConnection',
      { ClientReveal: reveal, References: [{ MessageID: nameOf(phone) }] },
    ]);
    expect(await poll(phone, new Uint8Array(32))).toEqual({ status: 300 });
    expect(inbound().at(-1)).toBe(filed);
  });

  test('nothing is revealed that was not asked for, and nobody but administrators ask, once', async () => {
    const phone = newDevice();
    await ask(phone);
    await poll(phone, reveal);
    expect(inbound()).toHaveLength(2);
    expect(told(await say(challenge('c', nameOf(phone)), first.signature))).toBe('403/3 Reject@0');
    expect(told(await say(challenge('c', 'another')))).toBe('400/13 Reject@0');
    expect(told(await say(challenge('c', nameOf(phone))))).toBe('accepted');
    expect(told(await say(challenge('d', nameOf(phone))))).toBe('400/13 Reject@0');
    // The very same one again, by a device that lost the answer, is no second challenge.
    const filedCount = inbound().length;
    expect(told(await say(challenge('c', nameOf(phone))))).toBe('accepted');
    expect(inbound()).toHaveLength(filedCount);
  });
});
