/** What a router must live through: slow, broken and hostile peers, and its own stop. */
import { connect, type TLSSocket } from 'node:tls';
import { signRequest } from '@meshd/binding/request-sign';
import { systemRandom } from '@meshd/crypto/random';
import type { TransactResponse } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { Person } from '@meshd/shard/testing/person';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domain, fakeLink, type RunningRouter, startTestRouter, success } from './router-kit.js';

let running: RunningRouter;
beforeAll(async () => {
  running = await startTestRouter({ sourceLimits: { signedRefusalsPerSecond: 1_000_000 } });
});
afterAll(() => running.stop());

function dial(): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const { port } = running.router.address;
    const socket = connect({ host: '127.0.0.1', port, ca: running.ca, servername: domain }, () => resolve(socket));
    socket.once('error', reject);
  });
}

const untilClosed = (socket: TLSSocket) =>
  new Promise<string>((resolve) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => undefined).on('close', () => resolve(text));
  });

const status = async (person = new Person('alice')) => {
  const device = person.device();
  const { body } = await signRequest({
    transaction: 'Status',
    message: { Account: person.address },
    signers: [{ key: device.authentication, connection: device.connection }],
    service: domain,
    nowMs: Date.now(),
    random: systemRandom,
  });
  return body;
};

describe('slow peers', () => {
  it('are given 2 s for their headers, then 408 and the end', async () => {
    const socket = await dial();
    const closed = untilClosed(socket);
    const begun = Date.now();
    socket.write('POST /.well-known/mmm HTTP/1.1\r\nHost: ');
    expect(await closed).toMatch(/^HTTP\/1.1 408 [\s\S]*connection: close/i);
    expect(Date.now() - begun).toBeLessThan(4000);
  });

  it('are given 5 s for a small body', async () => {
    const socket = await dial();
    const closed = untilClosed(socket);
    const begun = Date.now();
    const head = `POST /.well-known/mmm HTTP/1.1\r\nHost: ${domain}\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n`;
    socket.write(`${head}{"Hello"`);
    expect(await closed).toMatch(/^HTTP\/1.1 408 /);
    expect(Date.now() - begun).toBeGreaterThan(4500);
  });
});

describe('peers that leave', () => {
  it('in the middle of a body cost nothing that stays', async () => {
    const inFlight = () => running.metric('meshd_router_requests_in_flight');
    const sockets = await Promise.all(Array.from({ length: 20 }, dial));
    for (const socket of sockets) {
      socket.write(
        `POST /.well-known/mmm HTTP/1.1\r\nHost: ${domain}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{`,
      );
    }
    await expect.poll(inFlight).toMatch(/ 20$/);
    for (const socket of sockets) socket.destroy();
    await expect.poll(inFlight).toMatch(/ 0$/);
    expect(await running.metric('meshd_router_body_bytes')).toMatch(/ 0$/);
  });

  it('before the answer leave the process alive', async () => {
    const body = await status();
    const leaving: Promise<string>[] = [];
    for (let at = 0; at < 20; at += 1) {
      const socket = await dial();
      leaving.push(untilClosed(socket));
      const head = `POST /.well-known/mmm HTTP/1.1\r\nHost: ${domain}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
      socket.write(Buffer.concat([Buffer.from(head), body]), () => socket.destroy());
    }
    await Promise.all(leaving);
    expect((await running.send({ body: '{"Hello":{}}' })).status).toBe(201);
    await expect.poll(() => running.metric('meshd_router_requests_in_flight')).toMatch(/ 0$/);
    expect((await running.send({ body: '{"Hello":{}}' })).status).toBe(201);
  });
});

describe('hostile input', () => {
  it('[R104] is answered with a status of the client’s fault, whatever is changed in a good request', async () => {
    const good = Buffer.from(await status());
    const allowed = new Set([201, 400, 401, 403, 413, 421, 501]);
    const change = fc.record({
      at: fc.nat({ max: good.length - 1 }),
      remove: fc.nat({ max: 40 }),
      insert: fc.oneof(
        fc.uint8Array({ maxLength: 12 }),
        fc.constantFrom(...'[]{}",:\\'.split('')).map((c) => Buffer.from(c)),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        let body = good;
        for (const { at, remove, insert } of changes) {
          body = Buffer.concat([body.subarray(0, at), insert, body.subarray(at + remove)]);
        }
        const answer = await running.send({ body });
        expect(allowed).toContain(answer.status);
      }),
      { numRuns: 300 },
    );
  });

  it('inside the payload too', async () => {
    const words = [
      'Hello',
      'Status',
      'Upload',
      'Download',
      'Service',
      'ID',
      'Account',
      'Updates',
      'Select',
      '__proto__',
    ];
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, 0, -1, 1e300, '', 'x', 'example.com', 'alice@example.com'),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...words), tie('value'), { maxKeys: 5 }),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(value, async (payload) => {
        const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
        const answer = await running.send({ body: `[{"dig":"S512"},"${text}",{}]` });
        expect([201, 400, 401, 403, 404, 421]).toContain(answer.status);
      }),
      { numRuns: 200 },
    );
  });
});

describe('stopping', () => {
  it('fails readiness, finishes what is open, and refuses what comes', async () => {
    let answer: (response: TransactResponse) => void = () => undefined;
    const held = new Promise<TransactResponse>((resolve) => {
      answer = resolve;
    });
    const link = fakeLink({
      transact: ({ transaction }) =>
        transaction?.$case === 'status' ? held : Promise.resolve({ number: 1, outcome: success(), result: undefined }),
    });
    const other = await startTestRouter({ openLink: () => link, drainMs: 300 });
    await expect.poll(async () => (await fetch(`${other.router.adminUrl}/readyz`)).status).toBe(200);
    const person = new Person('alice');
    const device = person.device();
    const signers = [{ key: device.authentication, connection: device.connection }];
    const asked = other.connect().call('Status', { Account: person.address }, signers);
    await expect.poll(() => other.metric('meshd_router_requests_in_flight')).toMatch(/ 1$/);
    const stopped = other.router.stop();
    await expect.poll(async () => (await fetch(`${other.router.adminUrl}/readyz`)).status).toBe(503);
    const late = () =>
      other.send({ body: '{"Hello":{}}' }).then(
        () => 'answered',
        () => 'refused',
      );
    await expect.poll(late).toBe('refused');
    const value = { containers: [], profileMesh: undefined, deviceEntry: undefined };
    answer({ number: 1, outcome: success(), result: { $case: 'status', value } });
    expect((await asked).status).toBe(201);
    await stopped;
    await other.stop();
  });
});
