/**
 * Messages without envelope: the public port takes Hello alone; a socket that only a test can open takes the others too,
 * from this very machine (S28).
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { routerConfigSchema } from '@meshd/router/config';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RawAnswer, type RunningRouter, type SendOptions, startTestRouter } from './router-kit.js';

let running: RunningRouter;
beforeAll(async () => {
  running = await startTestRouter({ allowBare: true });
});
afterAll(() => running?.stop());

const bareHello = '{"Hello":{}}';
const bareStatus = '{"Status":{"Account":"alice@example.com"}}';
/** Refused by CreateAccount itself before it asks who calls: tells whether a message came that far. */
const bareInvite = '{"CreateAccount":{"Invite":"x"}}';

const toPublic = (options: SendOptions): Promise<RawAnswer> => running.send(options);
const toBare = (options: SendOptions): Promise<RawAnswer> =>
  running.send({ port: running.router.bareAddress?.port ?? 0, ...options });
const messageOf = ({ body }: RawAnswer) => JSON.parse(body);

describe('[S28] the public port', () => {
  it('refuses a bare Status, and whatever else is no Hello: 401, naked', async () => {
    for (const body of [bareStatus, bareInvite]) {
      const answer = await toPublic({ body });
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Mesh']);
    }
    expect(messageOf(await toPublic({ body: bareStatus }))).toMatchObject({ StatusResponse: { Status: 401 } });
    expect((await toPublic({ body: bareHello })).status).toBe(201);
  });
});

describe('[S28] the socket of tests', () => {
  it('lets a bare message come to its transaction, in nobody’s name, and answers it naked', async () => {
    expect(messageOf(await toBare({ body: bareHello }))).toMatchObject({ MeshHelloResponse: { Status: 201 } });
    const invited = await toBare({ body: bareInvite });
    expect([invited.status, messageOf(invited)]).toMatchObject([501, { CreateResponse: { Status: 501 } }]);
    const status = await toBare({ body: bareStatus });
    expect([status.status, messageOf(status)]).toMatchObject([401, { StatusResponse: { Status: 401 } }]);
  });

  it('refuses what came through an intermediary, Hello as well: 401', async () => {
    const marks: Record<string, string>[] = [
      { 'X-Forwarded-For': '192.0.2.1' },
      { 'x-forwarded-host': 'example.com' },
      { 'X-Forwarded-Anything': '' },
      { Forwarded: 'for=192.0.2.1' },
      { Via: '1.1 proxy' },
    ];
    for (const headers of marks) {
      for (const body of [bareStatus, bareInvite, bareHello, '[{},"",{}]']) {
        const answer = await toBare({ headers, body });
        expect([answer.status, answer.headers['www-authenticate'], headers]).toEqual([401, 'Mesh', headers]);
      }
      expect((await toBare({ headers, method: 'GET', path: '/' })).status).toBe(401);
    }
    expect((await toBare({ headers: { 'x-forwarder': 'a' }, body: bareInvite })).status).toBe(501);
  });

  it('is on the loopback interface, and another one than the public', () => {
    const { address, bareAddress } = running.router;
    expect(bareAddress?.host).toBe('127.0.0.1');
    expect(bareAddress?.port).not.toBe(address.port);
  });

  it('is not there unless a test asks for it: no setting does', async () => {
    const plain = await startTestRouter();
    expect(plain.router.bareAddress).toBeUndefined();
    await plain.stop();
    expect(Object.keys(routerConfigSchema.shape).filter((name) => /bare/i.test(name))).toEqual([]);
    const main = fileURLToPath(new URL('../../services/router/src/main.ts', import.meta.url));
    expect(readFileSync(main, 'utf8')).not.toMatch(/bare/i);
  });
});
