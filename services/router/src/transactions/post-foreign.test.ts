import { createHook } from 'node:async_hooks';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { verifyService } from '@meshd/binding/host-chain';
import { type HostIdentity, initService, issueHost, loadHostIdentity } from '@meshd/binding/host-files';
import type { Authentication } from '@meshd/binding/request-authenticate';
import { type EnvelopeOctets, makeEnvelope } from '@meshd/dare/envelope';
import { recipientsObject, signManifest } from '@meshd/dare/manifest';
import { foreignAnswerMsMin, messageBytesMax, postDeliveriesMax, postMessagesMax } from '@meshd/limits/limits';
import { peerPendingMs } from '@meshd/limits/peers';
import type { Deliver, Peer, TransactRequest } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { PostRequest } from '@meshd/schema/protocol';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Peers } from '../peers.js';
import { RequesterLimits } from '../requester-limits.js';
import type { ShardAnswer, ShardCall, ShardRouter } from '../shard-router.js';
import type { TransactionContext } from '../transaction.js';
import { post } from './post.js';
import { bufferOf, rpcEnvelope } from './shared.js';

const nowMs = Date.UTC(2026, 0, 15, 12);
let good: HostIdentity;
let evil: HostIdentity;
/** Says that it speaks for good.example, by the word of another service. */
let thief: HostIdentity;
let pins: Map<string, Peer>;
let asked: NonNullable<TransactRequest['transaction']>[];
/** Accounts that exist and take messages. */
const living = new Set(['alice@example.com', 'carol@example.com']);
let shards: Pick<ShardRouter, 'transact' | 'transactAll' | 'shardOf'>;
let peers: Peers;

async function makeHost(...domains: string[]): Promise<HostIdentity> {
  const directory = await mkdtemp(join(tmpdir(), 'meshd-post-'));
  await initService(directory, { nowMs });
  await issueHost(directory, 'outbound', { nowMs, domains });
  const host = await loadHostIdentity(join(directory, 'outbound'));
  await rm(directory, { recursive: true });
  return host;
}

async function pinOf(domain: string, host: HostIdentity, features = ['auth-1', 'manifest-1']): Promise<Peer> {
  const { offlineKey } = await verifyService(host.profileService);
  const profileService = rpcEnvelope(host.profileService);
  return { domain, serviceKey: bufferOf(offlineKey.raw), profileService, features, verifiedMs: nowMs };
}

const speaking = (host: HostIdentity): Authentication => ({
  ...{ form: 'host', key: host.signingKey.publicKey, connectionDigest: new Uint8Array(64) },
  ...{ profileHost: host.profileHost, connectionHost: host.connectionHost },
});

function mail(sender: string, recipients: readonly string[], payload: Uint8Array | null = Buffer.from('{}')) {
  const fields = { kind: 2, from: 0, index: 0, root: new Uint8Array(32), createdMs: nowMs, subject: sender } as const;
  const all = { ...fields, object: recipientsObject(recipients) };
  const Manifest = signManifest(good.signingKey, all, new Uint8Array(64));
  return makeEnvelope({ header: {}, payload, trailer: { signatures: [{ alg: 'S512', kid: 'x', Manifest }] } });
}

/** Tells of timers that are begun from now on. */
function watchTimers(onBegun: (lengthMs: number) => void): { stop(): void } {
  const hook = createHook({
    init: (_id, type, _trigger, resource) => {
      if (type === 'Timeout') onBegun((resource as { _idleTimeout: number })._idleTimeout);
    },
  }).enable();
  return { stop: () => hook.disable() };
}

const answered = (result: ShardAnswer['result'], error = ''): ShardAnswer => ({
  outcome: { status: 201, error, detail: '', retryAfterMs: 0, correlation: '', mapVersion: 1 },
  principal: undefined,
  result,
});

/** How often others have their turn while a shard files a message for somebody who lives here. */
const turnsOfFiling = 200;

/** What a shard says about a delivery; the time that it takes depends on who lives here. */
async function delivered({ messages }: Deliver): Promise<ShardAnswer> {
  const results = messages.flatMap(({ indexRequest, recipients }) =>
    recipients.map((account) => {
      const isThere = living.has(account);
      const receipt = isThere
        ? { header: Buffer.from('{}'), payload: Buffer.from('{}'), trailer: undefined }
        : undefined;
      const result = isThere ? 'Accept' : 'Reject';
      return {
        indexRequest,
        account,
        result,
        statusExtended: isThere ? 0 : account.startsWith('moved') ? 25 : 5,
        receipt,
        constraints: undefined,
      };
    }),
  );
  const turns = results.some(({ result }) => result === 'Accept') ? turnsOfFiling : 0;
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return answered({ $case: 'deliver', value: { results } });
}

async function shard(_call: ShardCall, transaction: NonNullable<TransactRequest['transaction']>): Promise<ShardAnswer> {
  asked.push(transaction);
  if (transaction.$case === 'deliver') return delivered(transaction.value);
  if (transaction.$case !== 'lookupPeer') throw new Error(`not asked for: ${transaction.$case}`);
  const peer = pins.get(transaction.value.domain);
  const value = peer === undefined ? { peer, retryAfterMs: peerPendingMs } : { peer, retryAfterMs: undefined };
  return answered({ $case: 'lookupPeer', value });
}

function posted(message: PostRequest, host: HostIdentity = good, words = ['entry', 'receipt-1']) {
  const context = {
    authentication: speaking(host),
    received: { base: { id: new Uint8Array(24) }, payloadDigest: new Uint8Array(64) },
    ...{ domain: 'example.com', domains: new Set(['example.com']), shards, peers },
    limits: new RequesterLimits(() => nowMs),
    ...{ deadlineMs: nowMs + 5000, describePrincipal: false },
    understands: (word: string) => words.includes(word),
  };
  return post(message, context as unknown as TransactionContext);
}

async function entriesOf(message: PostRequest, words?: string[]) {
  const reply = await posted(message, good, words);
  if (reply.kind !== 'whole') throw new Error('a streamed answer to Post');
  return { code: reply.code, entries: reply.message.Entries ?? [], message: reply.message };
}

const refusal = (message: PostRequest, host?: HostIdentity) =>
  posted(message, host).then(
    () => 'accepted',
    (error) => error.code,
  );
const deliveries = () => asked.flatMap((each) => (each.$case === 'deliver' ? [each.value] : []));

beforeAll(async () => {
  [good, evil, thief] = await Promise.all([
    makeHost('good.example'),
    makeHost('evil.example'),
    makeHost('good.example'),
  ]);
});
beforeEach(async () => {
  asked = [];
  pins = new Map([
    ['good.example', await pinOf('good.example', good)],
    ['evil.example', await pinOf('evil.example', evil)],
  ]);
  shards = {
    transact: shard,
    transactAll: (_call, transaction) => void asked.push(transaction),
    shardOf: (account) => (account < 'b' ? 'one' : 'two'),
  };
  peers = new Peers({ shards, clock: () => nowMs });
});

const bob = 'bob@good.example';
const alice = 'alice@example.com';
const toAlice = () => ({ Accounts: [alice], Message: [mail(bob, [alice])] });

describe('[S70] who speaks for a domain', () => {
  it('a host of the pinned service does; its domain is told to have spoken', async () => {
    expect((await entriesOf(toAlice())).entries).toMatchObject([{ IndexRequest: 0, Account: alice, Result: 'Accept' }]);
    expect(deliveries()).toMatchObject([{ senderDomain: 'good.example', receipts: true }]);
    expect(asked).toContainEqual({ $case: 'peerSpoke', value: { domain: 'good.example' } });
  });

  it('a true host of another domain does not, and nothing is looked up for it', async () => {
    expect(await refusal(toAlice(), evil)).toBe('policy');
    expect(asked).toEqual([]);
  });

  it('a host that names the domain by the word of another service does not', async () => {
    expect(await refusal(toAlice(), thief)).toBe('signature-invalid');
    expect(deliveries()).toEqual([]);
  });

  it('without a pin the service comes back later; routers ask the shard no more often than needed', async () => {
    pins.clear();
    await expect(posted(toAlice())).rejects.toMatchObject({ code: 'service-unverified', retryAfterMs: peerPendingMs });
    expect(await refusal(toAlice())).toBe('service-unverified');
    expect(asked.map(({ $case }) => $case)).toEqual(['lookupPeer']);
  });

  it('one message of a foreign domain refuses the whole post', async () => {
    const Message = [mail(bob, [alice]), mail('x@evil.example', [alice])];
    expect(await refusal({ Accounts: [alice], Message })).toBe('policy');
    expect(deliveries()).toEqual([]);
  });

  it('a ConnectionHost that has ended does not', async () => {
    peers = new Peers({ shards, clock: () => nowMs + 8 * 86_400_000 });
    expect(await refusal(toAlice())).toBe('signature-invalid');
  });
});

describe('[S33] [S70] under a service ticket', () => {
  const ticketed = async (account: string, udf?: string): Promise<Authentication> => {
    const accountUdf = udf ?? (await verifyService(good.profileService)).udf;
    const content = { level: 'service', account, accountUdf, deviceUdf: 'HOST', key: good.signingKey.publicKey.raw };
    return { form: 'ticket', ticket: { content } } as unknown as Authentication;
  };
  const call = { identity: { id: Buffer.alloc(24), payloadDigest: Buffer.alloc(64) }, deadlineMs: nowMs + 5000 };

  it('the domains that it names are spoken for, by the service that is still pinned', async () => {
    const host = await peers.hostOf(await ticketed('other.example good.example'), ['good.example'], call);
    expect(host).toMatchObject({ hostUdf: 'HOST', domains: ['good.example'] });
    const other = peers.hostOf(await ticketed('good.example', 'ANOTHER'), ['good.example'], call);
    await expect(other).rejects.toMatchObject({ code: 'ticket' });
  });

  it('for another domain a signature is asked for, and nothing is looked up', async () => {
    const refused = peers.hostOf(await ticketed('good.example'), ['evil.example'], call);
    await expect(refused).rejects.toMatchObject({ code: 'ticket' });
    expect(asked).toEqual([]);
  });

  it('a host is described for its ticket by what its pin vouches for, and not at all without one', async () => {
    const { udf } = await verifyService(good.profileService);
    const described = await peers.describe(speaking(good), call);
    expect(described).toMatchObject({ account: 'good.example', principal: { accountUdf: udf } });
    await expect(peers.describe(speaking(thief), call)).rejects.toMatchObject({ code: 'signature-invalid' });
    pins.clear();
    peers = new Peers({ shards, clock: () => nowMs });
    expect(await peers.describe(speaking(good), call)).toBeUndefined();
  });
});

describe('[S71] what a service may say', () => {
  it('Self is for own devices: 403/5', async () => {
    expect(await refusal({ ...toAlice(), Self: [mail(bob, [alice])] })).toBe('policy');
    expect(asked).toEqual([]);
  });

  it('a copy made for one is not filed for another', async () => {
    const { entries } = await entriesOf({ Accounts: [alice, 'carol@example.com'], Message: [mail(bob, [alice])] });
    expect(entries.map(({ Account, Result }) => [Account, Result])).toEqual([
      [alice, 'Accept'],
      ['carol@example.com', 'Reject'],
    ]);
    expect(deliveries().flatMap(({ messages }) => messages.flatMap(({ recipients }) => recipients))).toEqual([alice]);
  });

  it('nothing is relayed, and names that are none are rejected', async () => {
    const Accounts = ['dave@elsewhere.example', 'not an address'];
    const { code, entries } = await entriesOf({ Accounts, Message: [mail(bob, ['dave@elsewhere.example'])] });
    expect(code).toBe('policy');
    expect(entries.map(({ Result }) => Result)).toEqual(['Reject', 'Reject']);
    expect(deliveries()).toEqual([]);
  });
});

describe('[S75] services of old', () => {
  it('one without auth-1 is not heard', async () => {
    pins.set('good.example', await pinOf('good.example', good, ['manifest-1']));
    expect(await refusal(toAlice())).toBe('policy');
  });

  it('one without manifest-1, and a message without manifest: 400/23', async () => {
    const bare = makeEnvelope({ header: {}, payload: Buffer.from('{}') });
    expect(await refusal({ Accounts: [alice], Message: [bare] })).toBe('manifest');
    pins.set('good.example', await pinOf('good.example', good, ['auth-1']));
    expect(await refusal(toAlice())).toBe('manifest');
    expect(deliveries()).toEqual([]);
  });
});

describe('[S80] what answers tell', () => {
  it('[R027] no reason but that somebody has moved, which the shard says of those whom the recipient knows', async () => {
    const named = ['moved@example.com', 'zed@example.com'];
    const { entries } = await entriesOf({ Features: ['entry'], Accounts: named, Message: [mail(bob, named)] });
    expect(entries.map(({ Result, StatusExtended }) => [Result, StatusExtended])).toEqual([
      ['Reject', 25],
      ['Reject', undefined],
    ]);
  });

  it('Accept or Reject, in order, and nothing of the account; asked for in the same calls', async () => {
    const invented = 'zed@example.com';
    const calls: number[] = [];
    for (const account of ['carol@example.com', invented]) {
      asked = [];
      const { entries } = await entriesOf({ Accounts: [account, alice], Message: [mail(bob, [account, alice])] });
      calls.push(deliveries().length);
      const known = new Set(['IndexRequest', 'Account', 'Result', 'Receipt']);
      expect(entries.flatMap((entry) => Object.keys(entry)).filter((name) => !known.has(name))).toEqual([]);
      expect(entries.map(({ Account }) => Account)).toEqual([account, alice]);
    }
    expect(calls).toEqual([2, 2]);
  });

  it('the answer leaves no sooner than its time, whoever was asked for', async () => {
    for (const account of ['carol@example.com', 'zed@example.com']) {
      const begunAt = performance.now();
      await posted({ Accounts: [account], Message: [mail(bob, [account])] });
      expect(performance.now() - begunAt).toBeGreaterThanOrEqual(foreignAnswerMsMin);
    }
  });

  it('the answer leaves by one timer of one length, begun before anything is asked, however long that then takes', async () => {
    const eventsOf = async (account: string) => {
      const events: string[] = [];
      let later: Promise<unknown> | undefined;
      const watched = watchTimers((lengthMs) => events.push(`a timer of ${lengthMs} ms`));
      const transact: typeof shard = async (call, transaction) => {
        events.push(transaction.$case);
        const answer = await shard(call, transaction);
        // Timers of one length end in the order in which they were begun.
        watched.stop();
        later = pause(foreignAnswerMsMin + 1).then(() => events.push('later'));
        return answer;
      };
      shards.transact = transact;
      await posted({ Accounts: [account], Message: [mail(bob, [account])] }).finally(() => watched.stop());
      events.push('answered');
      await later;
      return events;
    };
    await posted(toAlice());
    const expected = [`a timer of ${foreignAnswerMsMin + 1} ms`, 'deliver', 'answered', 'later'];
    for (const account of ['carol@example.com', 'zed@example.com']) expect(await eventsOf(account)).toEqual(expected);
  });

  it('an offer is answered by 300 with bounds of the service', async () => {
    const { code, message } = await entriesOf({ Accounts: [alice], Message: [mail(bob, [alice], null)] });
    expect(code).toBe('bodies-awaited');
    expect(message.ConstraintsData).toEqual({ MaxEntries: postMessagesMax, BytesMax: messageBytesMax });
  });

  it('who knows no entries of ours gets one a message, accepted if it is for all', async () => {
    const Message = [mail(bob, [alice]), mail(bob, [alice, 'carol@example.com'])];
    const { entries } = await entriesOf({ Accounts: [alice, 'carol@example.com'], Message }, []);
    expect(entries).toEqual([
      { IndexRequest: 0, Result: 'Reject' },
      { IndexRequest: 1, Result: 'Accept' },
    ]);
  });
});

describe('bounds of a post', () => {
  const many = (count: number) => Array.from({ length: count }, (_, at) => `a${at}@example.com`);
  const large = (): EnvelopeOctets => mail(bob, [alice], Buffer.alloc(messageBytesMax));
  it.each([
    [
      'messages',
      () => ({ Accounts: [alice], Message: Array(postMessagesMax + 1).fill(mail(bob, [alice])) }),
      'too-large',
    ],
    [
      'messages times accounts',
      () => ({ Accounts: many(postDeliveriesMax + 1), Message: [mail(bob, [alice])] }),
      'too-large',
    ],
    ['one message too large', () => ({ Accounts: [alice], Message: [mail(bob, [alice]), large()] }), 'too-large'],
    ['no messages', () => ({ Accounts: [alice] }), 'malformed'],
    ['no accounts', () => ({ Message: [mail(bob, [alice])] }), 'malformed'],
    [
      'an account twice',
      () => ({ Accounts: [alice, 'Alice@example.com'], Message: [mail(bob, [alice])] }),
      'malformed',
    ],
  ])('%s: nothing is done', async (_name, message, code) => {
    expect(await refusal(message())).toBe(code);
    expect(deliveries()).toEqual([]);
  });
});
