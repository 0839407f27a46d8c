import { strangerRefusalMsMin } from '@meshd/limits/limits';
import type { DownloadPart, Principal, TransactRequest } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { CallContext, PartSink } from '@meshd/rpc/shard-server';
import { RequestConnection } from '@meshd/schema/messages-mesh';
import { ProfileDevice } from '@meshd/schema/profiles';
import { silentLogger } from '@meshd/telemetry/logger';
import { createMetrics, type Metrics } from '@meshd/telemetry/metrics';
import { beforeEach, describe, expect, test } from 'vitest';
import { defineShardFigures } from './figures.js';
import { Handlers } from './handlers.js';
import { StorageError, type StorageErrorCode } from './storage/errors.js';
import { openPeers } from './storage/peers.js';
import type { Store } from './storage/store.js';
import { messageOf } from './testing/outbox-kit.js';
import { Person, publicMember, signedObject, type TestDevice, testKey } from './testing/person.js';
import { TestShard } from './testing/test-shard.js';

const call: CallContext = {
  role: 'router',
  deadlineAt: Number.POSITIVE_INFINITY,
  signal: new AbortController().signal,
};
let metrics: Metrics;

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let owned: boolean;

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
  device = alice.device();
  owned = true;
  await shard.join(alice, device);
});

/** Handlers over the shard's store, or one in its place. */
function handlers(store: Store = shard.store): Handlers {
  metrics = createMetrics();
  return new Handlers({
    context: { ...shard.context, store },
    ownership: { version: 7, owns: () => owned },
    peers: openPeers('postgres://nowhere.invalid/'),
    figures: defineShardFigures(metrics, () => 0),
    logger: silentLogger(),
  });
}

function principal(): Principal {
  const { account, key, connectionDigest, connection } = device.principal;
  const { header, payload } = connection as NonNullable<typeof connection>;
  return { account, key, connectionDigest, connection: { header, payload: payload ?? undefined } };
}

function statusRequest(): TransactRequest {
  const asked = { deviceUdf: '', profileMasterDigest: new Uint8Array(0), containers: [], known: [], heads: false };
  const transaction = { $case: 'status', value: { principal: principal(), ...asked } } as const;
  return { number: 1, mapVersion: 7, deadlineMs: 0, identity: undefined, describePrincipal: false, transaction };
}

/** A store whose account cannot be reached, for as many calls as there are codes. */
function failing(...codes: StorageErrorCode[]): Store {
  const store: Store = Object.create(shard.store);
  store.readAccount = async (address, read) => {
    const code = codes.shift();
    if (code !== undefined) throw new StorageError(code, 'secret words', { resource: 'queue of writes' });
    return shard.store.readAccount(address, read);
  };
  return store;
}

describe('transact', () => {
  test('answers with the version of the slot map', async () => {
    expect((await handlers().transact(statusRequest(), call)).outcome).toMatchObject({ status: 201, mapVersion: 7 });
  });

  test('an account of another shard is not looked at', async () => {
    owned = false;
    const { outcome } = await handlers(failing('damaged')).transact(statusRequest(), call);
    expect(outcome).toMatchObject({ error: 'wrong-shard', mapVersion: 7 });
  });

  test('[S91] who is no router cannot name a user', async () => {
    const { outcome } = await handlers().transact(statusRequest(), { ...call, role: 'outbound' });
    expect(outcome).toMatchObject({ status: 403, error: 'policy' });
  });

  test('[S91] leasing and settling other services is for outbound workers alone', async () => {
    const request = (transaction: TransactRequest['transaction']) => ({ ...statusRequest(), transaction });
    const lease = request({ $case: 'leasePeers', value: { owner: 'w', peersMax: 1, leaseMs: 1000 } });
    const settle = request({ $case: 'settlePeer', value: { owner: 'w', domain: 'b.example', failure: 'x' } });
    for (const asked of [lease, settle]) {
      for (const role of ['router', 'operator'] as const) {
        const { outcome } = await handlers().transact(asked, { ...call, role });
        expect(outcome).toMatchObject({ status: 403, error: 'policy' });
      }
    }
  });

  test('[S24] [S84] a stranger is told so no sooner than he would be after a look into the database', async () => {
    const working = handlers();
    const asked = async (account: string) => {
      const request = statusRequest();
      if (request.transaction?.$case === 'status') {
        request.transaction.value.principal = { ...principal(), account, connectionDigest: Buffer.alloc(64) };
      }
      const begunAt = performance.now();
      const { outcome } = await working.transact(request, call);
      expect(outcome).toMatchObject({ status: 401, error: 'not-authenticated', detail: '' });
      return performance.now() - begunAt;
    };
    for (const account of [alice.address, 'nobody@example.com']) {
      // A timer may be early by what is rounded off.
      expect(await asked(account)).toBeGreaterThan(strangerRefusalMsMin - 1);
    }
  });

  test('[S84] a device that asks for a name that nobody has is told so no sooner than one that asks for any other', async () => {
    const account = 'nobody@example.com';
    const offline = testKey('lone offline');
    const authentication = testKey('lone authentication');
    const profile = signedObject(
      ProfileDevice,
      { KeyOfflineSignature: publicMember(offline), KeyAuthentication: publicMember(authentication) },
      offline,
    );
    const asks = { ServiceID: account, EnvelopedProfileDevice: profile, ClientNonce: new Uint8Array(16) };
    const { header, payload, trailer } = signedObject(RequestConnection, asks, offline);
    const value = {
      device: { account, deviceUdf: offline.publicKey.udf, key: authentication.publicKey.raw },
      message: { header, payload: payload ?? undefined, trailer },
    };
    const identity = { id: new Uint8Array(24), payloadDigest: new Uint8Array(64) };
    const transaction = { $case: 'connect', value } as NonNullable<TransactRequest['transaction']>;
    const begunAt = performance.now();
    const { outcome } = await handlers().transact({ ...statusRequest(), identity, transaction }, call);
    expect(outcome).toMatchObject({ status: 404, error: 'account-unknown', detail: '' });
    expect(performance.now() - begunAt).toBeGreaterThan(strangerRefusalMsMin - 1);
  });

  test('work that nobody waits for is not begun', async () => {
    const { outcome } = await handlers().transact(statusRequest(), { ...call, deadlineAt: performance.now() - 1 });
    expect(outcome).toMatchObject({ status: 504, error: 'shard-timeout' });
  });

  test('what memory had wrong is tried once more', async () => {
    expect((await handlers(failing('stale')).transact(statusRequest(), call)).outcome).toMatchObject({ status: 201 });
    const twice = await handlers(failing('stale', 'stale')).transact(statusRequest(), call);
    expect(twice.outcome).toMatchObject({ status: 503, error: 'overloaded' });
  });

  test('faults of the storage are told by what the client can do, never by their words', async () => {
    const told = async (code: StorageErrorCode) => {
      const { outcome } = await handlers(failing(code)).transact(statusRequest(), call);
      expect(JSON.stringify(outcome)).not.toContain('secret');
      return `${outcome?.status} ${outcome?.detail}`;
    };
    expect(await told('overloaded')).toBe('503 queue of writes');
    expect(await told('lease-lost')).toBe('503 lease of the shard');
    expect(await told('unavailable')).toBe('503 database');
    expect(await told('closed')).toBe('503 ');
    expect(await told('damaged')).toBe('500 ');
  });

  test('an internal error has a correlation and nothing else', async () => {
    const store: Store = Object.create(shard.store);
    store.readAccount = () => Promise.reject(new TypeError('secret words'));
    const { outcome } = await handlers(store).transact(statusRequest(), call);
    expect(outcome).toMatchObject({ status: 500, error: 'internal', detail: '' });
    expect(outcome?.correlation).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a request without transaction or principal is refused, not thrown', async () => {
    const bare = { ...statusRequest(), transaction: undefined };
    expect((await handlers().transact(bare, call)).outcome).toMatchObject({ error: 'unknown-transaction' });
    const nobody = statusRequest();
    if (nobody.transaction?.$case === 'status') nobody.transaction.value.principal = undefined;
    expect((await handlers().transact(nobody, call)).outcome).toMatchObject({ error: 'internal' });
  });

  test('every answer is counted by its code', async () => {
    const working = handlers();
    await working.transact(statusRequest(), call);
    owned = false;
    await working.transact(statusRequest(), call);
    const figures = await metrics.registry.metrics();
    expect(figures).toContain('meshd_shard_requests_total{transaction="status",code="success"} 1');
    expect(figures).toContain('meshd_shard_requests_total{transaction="status",code="wrong-shard"} 1');
  });

  test('tells whether registration is open', async () => {
    const request: TransactRequest = { ...statusRequest(), transaction: { $case: 'describeService', value: {} } };
    const { result } = await handlers().transact(request, call);
    expect(result).toEqual({ $case: 'describeService', value: { registration: 'open' } });
  });
});

describe('download', () => {
  const sinkOf = (parts: DownloadPart['part'][], failAfter = Number.POSITIVE_INFINITY): PartSink<DownloadPart> => ({
    ...call,
    signal: new AbortController().signal,
    send: async ({ part }) => {
      if (parts.length >= failAfter) throw new Error('the peer has gone');
      parts.push(part);
    },
  });
  const request = (container: string) => ({
    mapVersion: 7,
    deadlineMs: 5000,
    identity: undefined,
    principal: principal(),
    selections: [{ container, filters: [], prove: false }],
    entriesMax: 10,
    payloadBytesMax: 1000,
    header: true,
    payload: true,
    trailer: true,
    heads: false,
    describePrincipal: false,
  });

  test('begins with its outcome and ends with its end', async () => {
    const parts: DownloadPart['part'][] = [];
    await handlers().download(request('mmm_Device'), sinkOf(parts));
    expect(parts.map((part) => part?.$case)).toEqual(['outcome', 'container', 'frames', 'containerEnd', 'end']);
  });

  test('a refusal is one part', async () => {
    const parts: DownloadPart['part'][] = [];
    await handlers().download(request('mmm_Contact'), sinkOf(parts));
    expect(parts).toMatchObject([{ $case: 'outcome', value: { error: 'container-unknown', status: 404 } }]);
  });

  test('[S91] who is no router cannot name a user, nor reads of another shard’s account', async () => {
    const parts: DownloadPart['part'][] = [];
    await handlers().download(request('mmm_Device'), { ...sinkOf(parts), role: 'outbound' });
    owned = false;
    await handlers().download(request('mmm_Device'), sinkOf(parts));
    expect(parts).toMatchObject([
      { $case: 'outcome', value: { error: 'policy', status: 403 } },
      { $case: 'outcome', value: { error: 'wrong-shard' } },
    ]);
  });

  test('a reader that leaves ends the reading of the storage', async () => {
    let closed = false;
    const store: Store = Object.create(shard.store);
    store.readAccount = (address, read) =>
      shard.store.readAccount(address, (reader) =>
        read({
          ...reader,
          frames: async function* (container, selection) {
            try {
              for await (const chunk of reader.frames(container, selection)) for (const row of chunk) yield [row];
            } finally {
              closed = true;
            }
          },
        }),
      );
    await expect(handlers(store).download(request('mmm_Device'), sinkOf([], 3))).rejects.toThrow('gone');
    expect(closed).toBe(true);
  });
});

describe('messages to others', () => {
  const bob = 'bob@beta.test';
  const envelope = (octets: ReturnType<typeof messageOf>) => ({
    ...{ header: octets.header, payload: octets.payload ?? undefined, trailer: octets.trailer ?? undefined },
  });

  function postRequest(signed = true): TransactRequest {
    const message = messageOf(alice, device, shard.nowMs, { to: signed ? [bob] : [] });
    const value = { principal: principal(), accounts: [bob], messages: [envelope(message)], self: [] };
    const transaction = { $case: 'post', value } as const;
    return { ...statusRequest(), identity: shard.identity(), transaction };
  }

  test('are answered entry by entry, and counted', async () => {
    const answer = await handlers().transact(postRequest(), call);
    expect(answer).toMatchObject({
      outcome: { status: 201, error: '' },
      result: { $case: 'post', value: { entries: [{ account: bob, result: 'Accept', indexContainer: 1 }] } },
    });
    expect(shard.store.outboxRows).toMatchObject([{ sender: alice.address, recipient: bob }]);
    expect(await metrics.registry.metrics()).toContain('shard_posted_total{code="accepted"} 1');
  });

  test('that are all rejected make a refusal, each with its reason', async () => {
    expect(await handlers().transact(postRequest(false), call)).toMatchObject({
      outcome: { status: 403, error: 'policy' },
      result: { $case: 'post', value: { entries: [{ account: bob, result: 'Reject', statusExtended: 23 }] } },
    });
    expect(shard.store.outboxRows).toEqual([]);
  });

  const published = { identifier: 'MDLQ-7F2A', account: 'alice@example.com', version: 1, payload: undefined };
  const byRole: [TransactRequest['transaction'], string[]][] = [
    [
      {
        $case: 'leaseOutbox',
        value: { owner: 'w', domain: 'beta.test', lane: 0, rowsMax: 1, bytesMax: 1, leaseMs: 1 },
      },
      ['outbound'],
    ],
    [{ $case: 'settleOutbox', value: { owner: 'w', domain: 'beta.test', lane: 0, rows: [] } }, ['outbound']],
    [{ $case: 'listWork', value: { afterDomain: '', afterLane: 0, lanesMax: 1 } }, ['outbound']],
    [{ $case: 'peerSpoke', value: { domain: 'beta.test' } }, ['router']],
    [{ $case: 'listDestinations', value: { domain: '', afterDomain: '', destinationsMax: 1 } }, ['operator']],
    [{ $case: 'listWaiting', value: { domain: 'beta.test', afterId: 0, messagesMax: 1 } }, ['operator']],
    [{ $case: 'changeAccount', value: { account: 'alice@example.com', action: 'block' } }, ['operator']],
    [{ $case: 'reportAccount', value: { account: 'alice@example.com' } }, ['operator']],
    [{ $case: 'changeQuota', value: { account: 'alice@example.com' } }, ['operator']],
    [{ $case: 'changeDestination', value: { domain: 'beta.test', action: 'hold', all: false } }, ['operator']],
    [{ $case: 'leasePublications', value: { publicationsMax: 1, leaseMs: 1 } }, ['outbound']],
    [{ $case: 'settlePublications', value: { publications: [] } }, ['outbound']],
    [{ $case: 'putPublication', value: { publication: published } }, ['outbound']],
    [
      {
        $case: 'noteIncident',
        value: { kind: 'host-refused', by: 'source 203.0.113.7', account: '', detail: 'x', times: 1 },
      },
      ['router'],
    ],
    [{ $case: 'fetchPublication', value: { identifier: published.identifier } }, ['router']],
    [{ $case: 'describeDeliveries', value: { principal: undefined, messages: [] } }, ['router']],
    [{ $case: 'post', value: { principal: undefined, accounts: [], messages: [], self: [] } }, ['router']],
    [
      { $case: 'deliver', value: { senderDomain: 'example.com', hostUdf: '', messages: [], receipts: false } },
      ['router', 'outbound'],
    ],
  ];

  test.each(byRole)('[S91] %j is not for every role', async (transaction, roles) => {
    for (const role of ['router', 'outbound', 'operator'] as const) {
      const { outcome } = await handlers().transact({ ...statusRequest(), transaction }, { ...call, role });
      // Whatever becomes of it otherwise: there is no database here.
      expect([role, outcome?.error === 'policy']).toEqual([role, !roles.includes(role)]);
    }
  });
});
