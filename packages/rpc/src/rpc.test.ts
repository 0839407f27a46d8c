import { randomBytes } from 'node:crypto';
import { createServer, connect as netConnect, type Socket } from 'node:net';
import { rpcRequestsWaitingMax } from '@meshd/limits/limits';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Identity, Role } from './credentials.js';
import { roleName } from './credentials.js';
import type { DownloadPart, DownloadRequest, TransactRequest } from './generated/meshd/shard/v1/shard.js';
import { connectShard, type ShardConnection, type TransactAsk } from './shard-client.js';
import { type ShardHandlers, type ShardServer, serveShard } from './shard-server.js';
import { makeAuthority } from './test-kit.js';

const identities = {} as Record<Role, Identity>;
let stranger: Identity;
beforeAll(async () => {
  const authority = await makeAuthority();
  for (const role of ['router', 'shard', 'outbound'] as const) identities[role] = await authority.issue(roleName(role));
  stranger = await (await makeAuthority()).issue(roleName('router'));
});

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const errors: unknown[] = [];
async function serve(handlers: Partial<ShardHandlers>, port = 0, identity = identities.shard): Promise<ShardServer> {
  errors.length = 0;
  const unexpected = () => Promise.reject(new Error('not expected'));
  const server = await serveShard({
    ...{ host: '127.0.0.1', port, identity },
    handlers: { transact: unexpected, download: unexpected, watchMap: unexpected, ...handlers },
    onError: (error) => errors.push(error),
    stopMsMax: 100,
  });
  cleanups.push(() => server.stop());
  return server;
}

function connect(port: number, identity = identities.router): ShardConnection {
  const connection = connectShard({ address: `127.0.0.1:${port}`, identity });
  cleanups.push(() => connection.close());
  return connection;
}

const upload = (payload: Uint8Array): TransactAsk => ({
  mapVersion: 7,
  identity: { id: randomBytes(24), payloadDigest: randomBytes(64) },
  describePrincipal: false,
  transaction: {
    $case: 'upload',
    value: {
      principal: undefined,
      updates: [{ container: 'c', index: 3, envelopes: [{ header: Buffer.from('{}'), payload }] }],
      ...{ self: [], heads: false },
    },
  },
});

/** A Status that waits for a change. */
const waiting: TransactAsk = {
  ...{ mapVersion: 7, identity: undefined, describePrincipal: false },
  transaction: {
    $case: 'status',
    value: {
      ...{ principal: undefined, deviceUdf: '', profileMasterDigest: Buffer.alloc(0), containers: [], known: [] },
      ...{ waitMs: 60_000, heads: false },
    },
  },
};

const accepted = { status: 201, error: '', detail: '', retryAfterMs: 0, correlation: '', mapVersion: 7 };
const silent = () => new Promise<never>(() => {});
/** Answers with the first octet of the payload. */
async function echo(request: TransactRequest) {
  const { transaction } = request;
  if (transaction?.$case !== 'upload') throw new Error('an upload was expected');
  const payload = transaction.value.updates[0]?.envelopes[0]?.payload ?? new Uint8Array(0);
  const entry = { indexRequest: payload[0] ?? 0, result: 'Accept', statusExtended: 0 };
  return { outcome: accepted, result: { $case: 'upload' as const, value: { entries: [entry] } } };
}

/** Answers nobody before so many have asked, and then the last one first. */
function echoBackwards(count: number) {
  const held: (() => void)[] = [];
  return async (request: TransactRequest) => {
    await new Promise<void>((resolve) => {
      held.push(resolve);
      if (held.length === count) for (const release of held.toReversed()) release();
    });
    return echo(request);
  };
}

describe('transactions', () => {
  it('answers each request with its own answer, whatever the order', async () => {
    const { port } = await serve({ transact: echoBackwards(500) });
    const connection = connect(port);
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, at) => connection.transact(upload(Uint8Array.of(at % 256)), 5000)),
    );
    for (const [at, { result }] of answers.entries()) {
      expect(result).toMatchObject({ $case: 'upload', value: { entries: [{ indexRequest: at % 256 }] } });
    }
    expect(connection.waitingCount).toBe(0);
  });

  it('carries octets unchanged and tells the absent from the empty', async () => {
    const requests: TransactRequest[] = [];
    const { port } = await serve({
      transact: async (request) => {
        requests.push(request);
        return { outcome: accepted, result: undefined };
      },
    });
    const big = randomBytes(8 << 20);
    const connection = connect(port);
    await connection.transact(upload(big), 5000);
    await connection.transact(upload(new Uint8Array(0)), 5000);
    const envelopes = requests.map(({ transaction }) =>
      transaction?.$case === 'upload' ? transaction.value.updates[0]?.envelopes[0] : undefined,
    );
    expect(Buffer.from(envelopes[0]?.payload ?? []).equals(big)).toBe(true);
    expect(envelopes[0]?.trailer).toBeUndefined();
    expect(envelopes[1]?.payload).toHaveLength(0);
    expect(requests[0]?.deadlineMs).toBeLessThanOrEqual(5000);
    expect(requests[0]?.deadlineMs).toBeGreaterThan(0);
  });

  it('gives up a request whose time is over and still answers the others', async () => {
    const { port } = await serve({
      transact: async (request) => {
        if (request.mapVersion === 1) await silent();
        return { outcome: accepted, result: undefined };
      },
    });
    const connection = connect(port);
    await connection.transact(upload(randomBytes(1)), 5000);
    const slow = connection.transact({ ...upload(randomBytes(1)), mapVersion: 1 }, 50);
    const quick = connection.transact(upload(randomBytes(1)), 5000);
    await expect(slow).rejects.toMatchObject({ code: 'deadline', sent: true });
    expect((await quick).outcome?.status).toBe(201);
  });

  it('tells the shard when nobody waits for an answer any more, also when the router dies', async () => {
    const gone: number[] = [];
    const server = await serve({
      transact: ({ number }, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            gone.push(number);
            reject(new Error('nobody waits'));
          });
        }),
    });
    const router = connect(server.port);
    const leaving = new AbortController();
    const first = router.transact(upload(Buffer.from('a')), 10_000, leaving.signal);
    const second = router.transact(upload(Buffer.from('b')), 10_000).catch(() => 'closed');
    await expect.poll(() => server.inFlightCount).toBe(2);
    leaving.abort(new Error('left'));
    await expect(first).rejects.toThrow('left');
    await expect.poll(() => gone).toEqual([1]);
    router.close();
    expect(await second).toBe('closed');
    await expect.poll(() => gone).toEqual([1, 2]);
  });

  it('answers what a handler throws as an internal error, without its text', async () => {
    const { port } = await serve({ transact: () => Promise.reject(new Error('swordfish')) });
    const { outcome } = await connect(port).transact(upload(randomBytes(1)), 5000);
    expect(outcome).toMatchObject({ status: 500, error: 'internal', detail: '' });
    expect(errors).toHaveLength(1);
  });

  it('fails what waits when the shard dies, says what was sent, and connects again', async () => {
    const first = await serve({ transact: () => new Promise(() => {}) });
    const proxy = await cuttableProxy(first.port);
    const connection = connect(proxy.port);
    const waiting = connection.transact(upload(randomBytes(1)), 5000);
    await expect.poll(() => first.inFlightCount).toBe(1);
    proxy.cut();
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable', sent: true });
    const second = await serve({ transact: echo });
    proxy.to(second.port);
    await expect
      .poll(
        () =>
          connection.transact(upload(randomBytes(1)), 1000).then(
            () => true,
            () => false,
          ),
        { timeout: 5000 },
      )
      .toBe(true);
  });

  it('says that nothing was sent where nobody listens, and reaches a shard that starts meanwhile', async () => {
    const nobody = await serve({});
    await nobody.stop();
    const lonely = connect(nobody.port).transact(upload(randomBytes(1)), 300);
    await expect(lonely).rejects.toMatchObject({ code: 'deadline', sent: false });
    const door = await slammingDoor(nobody.port);
    const early = connect(nobody.port).transact(upload(randomBytes(1)), 5000);
    await expect.poll(door.knocks).toBeGreaterThan(0);
    await door.remove();
    await serve({ transact: echo }, nobody.port);
    expect((await early).outcome?.status).toBe(201);
  });

  it('[S83] what waits for a change is no work, and takes no room of what does not', async () => {
    let begun = 0;
    const server = await serve({
      transact: (request) => {
        if (request.transaction?.$case !== 'status') return echo(request);
        begun += 1;
        return silent();
      },
    });
    const connection = connect(server.port);
    const wait = () => connection.transact(waiting, 60_000);
    const waits = Array.from({ length: rpcRequestsWaitingMax }, () => wait().catch(() => undefined));
    await expect.poll(() => begun).toBe(rpcRequestsWaitingMax);
    expect(server.inFlightCount).toBe(0);
    expect((await connection.transact(upload(Uint8Array.of(9)), 5000)).outcome?.status).toBe(201);
    connection.close();
    await Promise.all(waits);
  });

  it('refuses to wait without bound', async () => {
    const { port } = await serve({ transact: () => new Promise(() => {}) });
    const connection = connect(port);
    const big = upload(new Uint8Array(8 << 20));
    const all = await Promise.allSettled(Array.from({ length: 12 }, () => connection.transact(big, 50)));
    const codes = all.map((one) => (one.status === 'rejected' ? one.reason.code : 'answered'));
    expect(codes.filter((code) => code === 'overloaded').length).toBeGreaterThanOrEqual(4);
    expect(new Set(codes)).toEqual(new Set(['overloaded', 'deadline']));
  });
});

describe('[S91] who may talk', () => {
  it('lets in routers and outbound workers, and nobody of another authority or role', async () => {
    const { port } = await serve({ transact: echo });
    const ask = (identity: Identity) => connect(port, identity).transact(upload(randomBytes(1)), 2000);
    expect((await ask(identities.router)).outcome?.status).toBe(201);
    expect((await ask(identities.outbound)).outcome?.status).toBe(201);
    await expect(ask(identities.shard)).rejects.toMatchObject({ code: 'refused' });
    await expect(ask(stranger)).rejects.toMatchObject({ code: 'deadline', sent: false });
  });

  it('does not talk to a server of another role', async () => {
    const { port } = await serve({ transact: echo }, 0, identities.router);
    await expect(connect(port).transact(upload(randomBytes(1)), 1000)).rejects.toMatchObject({
      code: expect.stringMatching(/unavailable|deadline/),
    });
  });
});

describe('downloads', () => {
  const request: DownloadRequest = {
    ...{ mapVersion: 1, deadlineMs: 5000, identity: undefined, principal: undefined, selections: [] },
    ...{ entriesMax: 10, payloadBytesMax: 10, header: true, payload: true, trailer: true },
    ...{ heads: false, describePrincipal: false },
  };
  const part = (payload: Uint8Array): DownloadPart => ({
    part: { $case: 'frames', value: { envelopes: [{ header: Buffer.from('{}'), payload }], proofs: [] } },
  });

  it('sends no faster than the router reads', async () => {
    let sent = 0;
    const { port } = await serve({
      download: async (_, sink) => {
        for (; sent < 200; sent += 1) await sink.send(part(randomBytes(256 << 10)));
      },
    });
    // All of it must come, however busy the machine is.
    const parts = connect(port)
      .download({ ...request, deadlineMs: 60_000 })
      [Symbol.asyncIterator]();
    await parts.next();
    let before = 0;
    const hasStopped = () => {
      const isSame = sent === before;
      before = sent;
      return isSame && sent > 0;
    };
    await expect.poll(hasStopped, { interval: 100, timeout: 5000 }).toBe(true);
    expect(sent).toBeLessThan(60);
    let received = 1;
    while (!(await parts.next()).done) received += 1;
    expect(received).toBe(200);
  });

  it('stops when the router leaves', async () => {
    let left: unknown;
    const { port } = await serve({
      download: async (_, sink) => {
        try {
          for (;;) await sink.send(part(randomBytes(64 << 10)));
        } catch (error) {
          left = error;
          throw error;
        }
      },
    });
    for await (const _ of connect(port).download(request)) break;
    await expect.poll(() => left).toMatchObject({ code: 'unavailable' });
    expect(errors).toEqual([]);
  });

  it('tells of a failure in the middle', async () => {
    const { port } = await serve({
      download: async (_, sink) => {
        await sink.send(part(randomBytes(10)));
        throw new Error('swordfish');
      },
    });
    const seen: unknown[] = [];
    const read = async () => {
      for await (const one of connect(port).download(request)) seen.push(one);
    };
    const failure = await read().catch((error) => error);
    expect(failure).toMatchObject({ code: 'unavailable', sent: true });
    expect(failure.message).not.toContain('swordfish');
    expect(seen).toHaveLength(1);
  });

  it('ends with the signal', async () => {
    const gone = new AbortController();
    const { port } = await serve({
      download: () => {
        gone.abort();
        return silent();
      },
    });
    const read = async () => {
      for await (const _ of connect(port).download(request, gone.signal));
    };
    await expect(read()).rejects.toMatchObject({ code: 'unavailable' });
  });
});

it('watches the map', async () => {
  const { port } = await serve({
    watchMap: async ({ versionKnown }, sink) => {
      for (const version of [versionKnown + 1, versionKnown + 2]) {
        await sink.send({ version, ranges: [{ first: 0, last: 4095, shard: 's' }], exceptions: [], shards: [] });
      }
    },
  });
  const versions: number[] = [];
  for await (const map of connect(port).watchMap(4)) versions.push(map.version);
  expect(versions).toEqual([5, 6]);
});

/** Somebody who lets nobody in, until a shard takes the place. */
async function slammingDoor(port: number) {
  let knocks = 0;
  const server = createServer((socket) => {
    knocks += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { knocks: () => knocks, remove: () => new Promise((resolve) => server.close(resolve)) };
}

/** A wire that can be cut. */
async function cuttableProxy(target: number) {
  let port = target;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = netConnect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  cleanups.push(() => {
    cut();
    server.close();
  });
  return {
    port: (server.address() as { port: number }).port,
    cut,
    to: (other: number) => {
      port = other;
    },
  };
}
