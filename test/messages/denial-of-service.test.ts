/** What keeps one sender from taking what is there for all (draft 9.1.2.1, semantics 8.4), each counted in a figure. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { verifyService } from '@meshd/binding/host-chain';
import type { HostIdentity } from '@meshd/binding/host-files';
import { MeshConnection } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { signRequest } from '@meshd/binding/request-sign';
import { systemRandom } from '@meshd/crypto/random';
import { transactionMsMax } from '@meshd/limits/limits';
import { abuseBarMs, pressedTransactionMsMin } from '@meshd/limits/requesters';
import type { ShardLink } from '@meshd/router/shard-link';
import type { TransactRequest, TransactResponse } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { messageOf } from '@meshd/shard/testing/outbox-kit';
import { Person, type TestDevice } from '@meshd/shard/testing/person';
import { createMetrics } from '@meshd/telemetry/metrics';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeIdentity } from '../client/scripted-service.js';
import {
  domain,
  fakeLink,
  type RouterKitOptions,
  type RunningRouter,
  startTestRouter,
  success,
} from '../router/router-kit.js';
import { rpcEnvelope } from '../shard/shard-kit.js';

// Some of this takes the seconds that a slow sender is given.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
let alpha: HostIdentity;
let open: RunningRouter[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-limits-'));
  alpha = await makeIdentity(folder, { domains: ['alpha.test'] });
});
afterEach(async () => {
  await Promise.all(open.map((running) => running.stop()));
  open = [];
});
afterAll(() => rm(folder, { recursive: true }));

async function start(options: RouterKitOptions): Promise<RunningRouter> {
  const running = await startTestRouter(options);
  open.push(running);
  return running;
}

/** A shard that knows the service alpha.test, and takes every message. */
async function knowing(more: Partial<ShardLink> = {}): Promise<ShardLink> {
  const { offlineKey } = await verifyService(alpha.profileService);
  const profileService = rpcEnvelope(alpha.profileService);
  const peer = {
    domain: 'alpha.test',
    serviceKey: Buffer.from(offlineKey.raw),
    profileService,
    verifiedMs: Date.now(),
  };
  const known = { peer: { ...peer, features: ['auth-1', 'manifest-1'] }, retryAfterMs: undefined };
  return fakeLink({
    transact: async ({ transaction }: Pick<TransactRequest, 'transaction'>): Promise<TransactResponse> => {
      const outcome = success();
      if (transaction?.$case === 'lookupPeer')
        return { number: 1, outcome, result: { $case: 'lookupPeer', value: known } };
      if (transaction?.$case !== 'deliver') return { number: 1, outcome, result: undefined };
      const results = transaction.value.messages.flatMap(({ indexRequest, recipients }) =>
        recipients.map((account) => ({ indexRequest, account, result: 'Accept', statusExtended: 0 })),
      );
      return { number: 1, outcome, result: { $case: 'deliver', value: { results } } } as TransactResponse;
    },
    ...more,
  });
}

const bob = `bob@${domain}`;
const alice = new Person('alice', { address: 'alice@alpha.test' });
const alices = alice.device();
const hello = { body: '{"Hello":{}}' };

/** A Post of alpha.test, its octets. */
async function foreignPost(nowMs = Date.now(), count = 1) {
  const Message = Array.from({ length: count }, () => messageOf(alice, alices, nowMs, { to: [bob] }));
  const message = { Accounts: [bob], Message };
  const signers = [{ key: alpha.signingKey, profile: alpha.profileHost, connection: alpha.connectionHost }];
  const base = { transaction: 'Post', service: domain, nowMs, random: systemRandom } as const;
  return (await signRequest({ ...base, message, signers })).body;
}

function connection(running: RunningRouter): MeshConnection {
  return new MeshConnection({ domain, url: running.url, ca: running.ca, pins: memoryPinStore(), useTickets: false });
}

function dial(running: RunningRouter): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const { port } = running.router.address;
    const socket = connect({ host: '127.0.0.1', port, ca: running.ca, servername: domain }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** All that comes until the connection is closed. */
const untilClosed = (socket: TLSSocket) =>
  new Promise<string>((resolve) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => undefined).on('close', () => resolve(text));
  });

const headOf = (bytes: number) =>
  `POST /.well-known/mmm HTTP/1.1\r\nHost: ${domain}\r\nContent-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n`;
/** Every machine has other work. */
const patience = { timeout: 20_000, interval: 5 };
const limited = (running: RunningRouter) => running.metric('meshd_router_limited_total');
const refused = (running: RunningRouter) => running.metric('meshd_router_connections_refused_total');

describe('[R174] slow senders', () => {
  it('of headers and of bodies are cut, and both are counted', async () => {
    const running = await start({});
    const [headers, body] = await Promise.all([dial(running), dial(running)]);
    const closed = [untilClosed(headers), untilClosed(body)];
    headers.write('POST /.well-known/mmm HTTP/1.1\r\nHost: ');
    body.write(`${headOf(20)}{"Hello"`);
    for (const answer of await Promise.all(closed)) expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(await refused(running)).toContain('{reason="ERR_HTTP_REQUEST_TIMEOUT"} 1');
    expect(await running.metric('meshd_router_requests_total')).toContain('{transaction="unread",code="timeout"} 1');
  });

  it('that go on being slow are refused for a time', async () => {
    const running = await start({
      requesterLimits: { refusalsPerMinute: 1, countLoopback: true },
      connectionLimits: { countLoopback: true },
    });
    const sockets = await Promise.all([dial(running), dial(running)]);
    const closed = sockets.map(untilClosed);
    for (const socket of sockets) socket.write('POST /');
    await Promise.all(closed);
    await expect(dial(running)).rejects.toThrow();
    expect(await refused(running)).toContain('{reason="barred"} 1');
  });

  it('[R177] a Post of a service that took over 5 s in all is counted as overload', async () => {
    let laterMs = 0;
    const link = await knowing();
    const running = await start({ openLink: () => link, clock: () => Date.now() + laterMs });
    const body = await foreignPost();
    const socket = await dial(running);
    const answer = new Promise<string>((resolve) => socket.once('data', (part) => resolve(part.toString())));
    socket.write(Buffer.concat([Buffer.from(headOf(body.length)), body.subarray(0, 100)]));
    await expect.poll(() => running.metric('meshd_router_requests_in_flight'), patience).toMatch(/ 1$/);
    laterMs = 5001;
    socket.write(body.subarray(100));
    expect(await answer).toMatch(/^HTTP\/1.1 201 /);
    socket.destroy();
    await expect.poll(() => running.metric('meshd_router_posts_slow_total'), patience).toMatch(/ 1$/);
  });
});

describe('[R174] each has its share', () => {
  it('a source: who is a little early waits, who is much too early is told when to come', async () => {
    let laterMs = 0;
    const clock = () => 1_800_000_000_000 + laterMs;
    const metrics = createMetrics();
    const requesterLimits = { requestsPerSourcePerSecond: 4, countLoopback: true };
    const running = await start({ clock, metrics, requesterLimits });
    const statuses: number[] = [];
    for (let count = 0; count < 4; count += 1) statuses.push((await running.send(hello)).status);
    expect(statuses).toEqual([201, 201, 201, 201]);
    // A quarter of a second too early: it waits. The clock goes on meanwhile.
    const early = running.send(hello);
    await expect.poll(() => metrics.registry.metrics(), patience).toContain('{kind="source",action="delayed"} 1');
    laterMs = 250;
    expect((await early).status).toBe(201);
    // Nothing is left, and time stands still: waiting does not help.
    const late = await running.send(hello);
    expect([late.status, late.headers['retry-after']]).toEqual([429, '1']);
    expect(await limited(running)).toContain('{kind="source",action="refused"} 1');
  });

  it('an account: its messages, whichever device sends them', async () => {
    const running = await start({ requesterLimits: { messagesPerAccountPerHour: 2 } });
    const link = connection(running);
    const person = new Person('carol');
    const post = (device: TestDevice, count: number) => {
      const Message = Array.from({ length: count }, () => messageOf(person, device, Date.now(), { to: [bob] }));
      const signer = { key: device.authentication, connection: device.connection };
      return link.call('Post', { Accounts: [bob], Message }, [signer]);
    };
    expect((await post(person.device(), 2)).status).toBe(201);
    const second = await post(person.device('second'), 1);
    expect([second.status, second.statusExtended]).toEqual([429, undefined]);
    expect(second.retryAfterMs).toBeGreaterThan(60_000);
    expect(await limited(running)).toContain('{kind="account",action="refused"} 1');
    await link.close();
  });

  it('a service: its messages, from whatever address they come', async () => {
    const link = await knowing();
    const running = await start({
      openLink: () => link,
      requesterLimits: { messagesPerDomainPerSecond: 0.05, refusalsPerMinute: 1 },
    });
    const statusOf = async (count: number) => {
      const { status, headers } = await running.send({ body: await foreignPost(Date.now(), count) });
      return [status, headers['retry-after'] === undefined];
    };
    expect(await statusOf(3)).toEqual([201, true]);
    expect(await statusOf(3)).toEqual([429, false]);
    expect(await statusOf(3)).toEqual([429, false]);
    // It did not heed the limit: now it is refused for a time, however little it brings.
    expect(await statusOf(1)).toEqual([429, false]);
    expect(await limited(running)).toContain('{kind="service",action="refused"} 3');
    expect(await limited(running)).toContain('{kind="service",action="barred"} 1');
  });

  it('connections: so many of one source', async () => {
    const running = await start({ connectionLimits: { perSource: 2, countLoopback: true } });
    const sockets = [await dial(running), await dial(running)];
    await expect(dial(running)).rejects.toThrow();
    expect(await refused(running)).toContain('{reason="source"} 1');
    for (const socket of sockets) socket.destroy();
    await expect.poll(async () => (await running.send(hello).catch(() => ({ status: 0 }))).status, patience).toBe(201);
  });
});

describe('[R175] who goes on trying what is not his', () => {
  it('is refused before anything is read, and taken again when the time is over', async () => {
    let laterMs = 0;
    const running = await start({
      clock: () => Date.now() + laterMs,
      sourceLimits: { signedRefusalsPerSecond: 1_000_000 },
      requesterLimits: { refusalsPerMinute: 3, countLoopback: true },
    });
    const body = Buffer.from(await foreignPost());
    // Another signer's name over the same signature.
    const forged = Buffer.from(body.toString().replace(/"signature":"..../, '"signature":"AAAA'));
    const statuses: number[] = [];
    for (let count = 0; count < 4; count += 1) statuses.push((await running.send({ body: forged })).status);
    expect(statuses).toEqual([401, 401, 401, 401]);
    expect(await limited(running)).toContain('{kind="source",action="barred"} 1');
    const socket = await dial(running);
    const closed = untilClosed(socket);
    // Not one octet of the body is waited for.
    socket.write(headOf(1_000_000));
    const answer = await closed;
    expect(answer).toMatch(/^HTTP\/1.1 429 /);
    expect(Number(/retry-after: (\d+)/i.exec(answer)?.[1])).toBeGreaterThan(abuseBarMs / 2000);
    laterMs = abuseBarMs;
    expect((await running.send(hello)).status).toBe(201);
  });
});

describe('[R174] under pressure', () => {
  it('each request gets less time, and beyond the bound none is taken', async () => {
    const nowMs = Date.now();
    const deadlines: number[] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = fakeLink();
    const link = fakeLink({
      transact: async (request, deadlineMs, signal) => {
        // The router also asks its shards whether they live.
        if (request.transaction?.$case !== 'status') return slow.transact(request, deadlineMs, signal);
        deadlines.push(deadlineMs);
        await held;
        return slow.transact(request, deadlineMs, signal);
      },
    });
    const running = await start({ openLink: () => link, inFlightMax: 4, clock: () => nowMs });
    const person = new Person('dave');
    const device = person.device();
    const signers = [{ key: device.authentication, connection: device.connection }];
    const connections = Array.from({ length: 5 }, () => connection(running));
    for (const each of connections) await each.call('Hello', {}, []);
    const asked = [];
    for (const [at, each] of connections.slice(0, 4).entries()) {
      asked.push(each.call('Status', { Account: person.address }, signers).catch((error) => error));
      await expect.poll(() => deadlines.length, patience).toBe(at + 1);
    }
    expect(deadlines).toEqual([
      ...[transactionMsMax, transactionMsMax],
      ...[(transactionMsMax + pressedTransactionMsMin) / 2, pressedTransactionMsMin],
    ]);
    const fifth = connections[4]?.call('Status', { Account: person.address }, signers).catch((error) => error);
    await expect.poll(() => running.metric('meshd_router_requests_total'), patience).toContain('code="overloaded"} 1');
    release();
    await Promise.all(asked);
    await fifth;
    for (const each of connections) await each.close();
  });
});
