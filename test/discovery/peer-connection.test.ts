/** One service's way to another: places, tickets, deadlines, and what it does not follow (semantics 8.1). */
import { createServer, type Server, type Socket } from 'node:net';
import { memoryPinStore } from '@meshd/binding/pins';
import { makeRequestId } from '@meshd/binding/request-id';
import { systemRandom } from '@meshd/crypto/random';
import { waitFor } from '@meshd/dev/wait';
import { peerResponseBytesMax } from '@meshd/limits/peers';
import { statusRegistry } from '@meshd/schema/status';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answer, type RawAnswer, ScriptedService } from '../client/scripted-service.js';
import { codeOf, domain, serviceNameOf, txt, within } from './discovery-kit.js';
import { PeerBench, TicketGiver, zoneAt } from './peer-kit.js';

let bench: PeerBench;
let peer: ScriptedService;
beforeEach(async () => {
  bench = await PeerBench.start();
  ({ peer } = bench);
});
afterEach(() => bench.stop());

const post = { Accounts: ['bob@beta.test'] };

/** Posts are answered so; Hello as it should be. */
function says(service: ScriptedService, members: object, raw: Partial<RawAnswer> = {}): void {
  service.respond = async (request): Promise<RawAnswer> => {
    if (request.base.transaction === 'Hello') return service.honestly(request);
    return { httpStatus: 200, body: await answer(service.identity, request, 'PostResponse', members), ...raw };
  };
}

/** A port at which connections are taken and nothing is said. */
async function silence(): Promise<{ port: number; sockets: readonly Socket[]; stop(): void }> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: (server.address() as { port: number }).port, sockets, stop };
}

describe('a Post to another service', () => {
  it('[R042] [R058] [S70] is signed as a host, and addressed to the domain wherever it goes', async () => {
    const zone = zoneAt(peer.port);
    await bench.dns.setZone({ ...zone, records: [...zone.records, txt(domain, 'path=/mesh')] });
    const response = await bench.link().post(post, within());
    expect(response).toMatchObject({ status: 201, authenticatedBy: 'signature' });
    expect(bench.received().slice(0, 2)).toEqual(['Hello', 'Post']);
    expect(peer.addressed[1]).toEqual({ host: domain, serverName: domain, path: '/mesh' });
    const [entry, second] = peer.requests[1]?.entries ?? [];
    expect(second).toBeUndefined();
    expect(entry?.kid).toBe(bench.identity.signingKey.publicKey.udf);
    expect(entry?.Connection?.payload).toEqual(bench.identity.connectionHost.payload);
    expect(entry?.Profile?.payload).toEqual(bench.identity.profileHost.payload);
  });

  it('keeps its ID when it is repeated', async () => {
    const id = makeRequestId(Date.now(), systemRandom);
    const link = bench.link();
    await link.post(post, { ...within(), id });
    await link.post(post, { ...within(), id });
    const ids = peer.requests.filter(({ base }) => base.transaction === 'Post').map(({ base }) => base.id);
    expect(ids.map((each) => Buffer.from(each ?? []).toString('hex'))).toEqual(
      Array(2).fill(Buffer.from(id).toString('hex')),
    );
  });

  it('[S30] [S32] goes under a ticket once there is one, in JSON-B where that is taken', async () => {
    const giver = new TicketGiver(peer);
    const link = bench.link();
    expect(await link.post(post, within())).toMatchObject({ status: 201, authenticatedBy: 'signature' });
    await waitFor(async () => giver.forms.find((form) => form === 'Hello host'), { what: 'a Hello', deadlineMs: 5000 });
    const under = async () => {
      const { authenticatedBy } = await link.post(post, within());
      return authenticatedBy === 'ticket' ? true : undefined;
    };
    await waitFor(under, { what: 'a Post under a ticket', deadlineMs: 5000 });
    expect(peer.requests.at(-1)?.form).toBe('json-b');
    expect(giver.forms.filter((form) => form === 'Hello host')).toHaveLength(1);
    giver.forget();
    expect(await link.post(post, within())).toMatchObject({ status: 201, authenticatedBy: 'signature' });
  });

  it('[S26] is signed anew when our ConnectionHost was renewed, whatever ticket there was', async () => {
    new TicketGiver(peer);
    const link = bench.link();
    const by = async () => (await link.post(post, within())).authenticatedBy;
    await waitFor(async () => ((await by()) === 'ticket' ? true : undefined), { what: 'a ticket', deadlineMs: 5000 });
    await bench.renew();
    expect(await by()).toBe('signature');
  });

  it('does not wait for a ticket, nor ask for one again and again', async () => {
    peer.respond = async (request) => {
      if (request.base.transaction === 'Hello' && request.entries.length > 0) return new Promise(() => undefined);
      return peer.honestly(request);
    };
    const link = bench.link();
    for (let count = 0; count < 3; count += 1) expect((await link.post(post, within())).status).toBe(201);
    expect(bench.received().filter((name) => name === 'Hello').length).toBeLessThanOrEqual(2);
  });

  it('[S30] [S70] asks for a ticket once the other service knows ours: before that it would give none', async () => {
    const wishes = () =>
      peer.requests.filter(({ base, entries }) => base.transaction === 'Hello' && entries.length > 0);
    const link = bench.link();
    const { status, extended } = statusRegistry['service-unverified'];
    says(peer, { Status: status, StatusExtended: extended }, { httpStatus: status });
    expect((await link.post(post, within())).status).toBe(status);
    says(peer, { Status: 201 });
    expect((await link.post(post, within())).status).toBe(201);
    await waitFor(async () => (wishes().length > 0 ? true : undefined), { what: 'a wish', deadlineMs: 5000 });
    const order = peer.requests.map(({ base, entries }) => `${base.transaction} ${entries.length > 0}`);
    expect(order.filter((each) => each !== 'Hello false')).toEqual(['Post true', 'Post true', 'Hello true']);
  });
});

describe('places of another service', () => {
  it('are tried in turn, and one that could not be connected to comes last from then on', async () => {
    const dead = await silence();
    dead.stop();
    await bench.dns.setZone(zoneAt(dead.port, peer.port));
    const link = bench.link();
    expect((await link.post(post, within())).status).toBe(201);
    const hung = await silence();
    try {
      await bench.dns.setZone(zoneAt(hung.port, peer.port));
      const other = bench.link();
      expect((await other.post(post, within())).status).toBe(201);
      const triedCount = hung.sockets.length;
      expect(triedCount).toBeGreaterThan(0);
      expect((await other.post(post, within())).status).toBe(201);
      expect(hung.sockets).toHaveLength(triedCount);
    } finally {
      hung.stop();
    }
  });

  it('are not tried beyond the fourth', async () => {
    const dead = await silence();
    dead.stop();
    await bench.dns.setZone(zoneAt(dead.port, dead.port, dead.port, dead.port, peer.port));
    expect(await codeOf(bench.link().post(post, within()))).toBe('transport');
    expect(peer.requests).toEqual([]);
  });

  it('keep connections, and one that was closed meanwhile is replaced', async () => {
    const link = bench.link();
    await link.hello(within());
    peer.cuts = 1;
    expect((await link.post(post, within())).status).toBe(201);
    expect(peer.cuts).toBe(0);
  });

  it('are not sent to again by themselves where a fresh connection broke: the Post may have been taken', async () => {
    const pins = memoryPinStore();
    await bench.link({ pins }).hello(within());
    await bench.dns.setZone(zoneAt(peer.port, peer.port));
    peer.cuts = 2;
    expect(await codeOf(bench.link({ pins }).post(post, within()))).toBe('transport');
    expect(peer.cuts).toBe(1);
  });
});

describe('the deadline', () => {
  it('holds for a service that takes connections and says nothing', async () => {
    const hung = await silence();
    try {
      await bench.dns.setZone(zoneAt(hung.port));
      const began = performance.now();
      expect(await codeOf(bench.link().post(post, within(400)))).toBe('timeout');
      expect(performance.now() - began).toBeLessThan(1500);
    } finally {
      hung.stop();
    }
  });

  it('holds for a service that takes the Post and says nothing, and for one that hangs at Hello', async () => {
    const link = bench.link();
    await link.hello(within());
    peer.respond = () => new Promise(() => undefined);
    expect(await codeOf(link.post(post, within(400)))).toBe('timeout');
    expect(await codeOf(bench.link().post(post, within(400)))).toBe('timeout');
  });

  it('holds for name servers that say nothing, and one that has passed is no deadline', async () => {
    await bench.dns.setZone({ records: [], faults: { [serviceNameOf(domain)]: 'silent' } });
    const began = performance.now();
    expect(await codeOf(bench.link().hello(within(300)))).toBe('timeout');
    expect(await codeOf(bench.link().hello(within(-1)))).toBe('timeout');
    expect(performance.now() - began).toBeLessThan(1500);
  });

  it('does not keep a stop waiting', async () => {
    const link = bench.link();
    const reached = new Promise<void>((resolve) => {
      peer.respond = () => {
        resolve();
        return new Promise(() => undefined);
      };
    });
    const posting = codeOf(link.post(post, within()));
    await reached;
    link.stop();
    expect(await posting).toBe('transport');
    expect(await codeOf(link.post(post, within()))).toBe('transport');
  });
});

describe('[S74] a service that sends a Post elsewhere', () => {
  it.each([303, 307])('is not followed; the next attempt asks the DNS anew: %d', async (Status) => {
    const other = await ScriptedService.start([domain]);
    try {
      other.identity = peer.identity;
      says(peer, { Status, StatusDescription: `https://127.0.0.1:${other.port}/` });
      const link = bench.link({ ca: `${peer.ca}${other.ca}` });
      expect((await link.post(post, within())).status).toBe(Status);
      expect(other.requests).toEqual([]);
      await bench.dns.setZone(zoneAt(other.port));
      expect((await link.post(post, within())).status).toBe(201);
      expect(other.requests).not.toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('that is no longer there says 421, and is looked for anew at once', async () => {
    const other = await ScriptedService.start([domain]);
    try {
      other.identity = peer.identity;
      const link = bench.link({ ca: `${peer.ca}${other.ca}` });
      await link.hello(within());
      says(peer, { Status: 421 });
      await bench.dns.setZone(zoneAt(other.port));
      expect((await link.post(post, within())).status).toBe(201);
      await bench.dns.setZone(zoneAt(peer.port));
      says(other, { Status: 421 });
      expect((await link.post(post, within())).status).toBe(421);
    } finally {
      await other.stop();
    }
  });

  it('by HTTP is not followed either, and not believed', async () => {
    const other = await ScriptedService.start([domain]);
    try {
      const location = `https://127.0.0.1:${other.port}/`;
      peer.respond = async () => ({ httpStatus: 307, headers: { location }, body: Buffer.from('moved') });
      expect(await codeOf(bench.link().post(post, within()))).toBe('unsigned-error');
      expect(other.requests).toEqual([]);
    } finally {
      await other.stop();
    }
  });
});

describe('an answer', () => {
  it('larger than any that a service gives is not read', async () => {
    const link = bench.link();
    await link.hello(within());
    says(peer, {}, { body: Buffer.alloc(peerResponseBytesMax + 1) });
    expect(await codeOf(link.post(post, within()))).toBe('response-too-large');
  });

  it('that is a status of refusal is a result', async () => {
    says(peer, { Status: 503, StatusExtended: 22 }, { headers: { 'retry-after': '2' }, httpStatus: 503 });
    expect(await bench.link().post(post, within())).toMatchObject({
      ...{ status: 503, statusExtended: 22, succeeded: false, retryAfterMs: 2000 },
    });
  });
});
