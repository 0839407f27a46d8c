import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningRouter, startTestRouter } from './router-kit.js';

let running: RunningRouter;
beforeAll(async () => {
  running = await startTestRouter();
});
afterAll(() => running.stop());

describe('Hello', () => {
  it('[R012] [R076] [R082] [R107] [R233] [R238] [R239] [R240] [S22] [S23] brings verified profiles, version, constraints, features', async () => {
    const hello = await running.connect().hello();
    expect(hello.firstUse).toBe(true);
    const first = ['auth-1', 'host-1', 'manifest-1', 'gcm-1', 'entry'];
    expect(hello.features).toEqual([
      ...first,
      'ticket',
      'page',
      'filter',
      'wait',
      'heads-1',
      'connect-2',
      'receipt-1',
      'offer',
      'publish',
      'delivery-1',
      'large-1',
      'move',
    ]);
    expect(hello.message).toMatchObject({
      Status: 201,
      Version: { Major: 3, Minor: 0, Encodings: [{ ID: ['application/json'] }, { ID: ['application/json-b'] }] },
      ConstraintsUpdate: { MaxEntries: 1000, BytesMax: 8 * 1024 * 1024 },
      ConstraintsPost: { MaxEntries: 16, BytesMax: 65_536 },
      PolicyAccount: { Minimum: 1, Maximum: 64 },
    });
    expect(hello.message.PolicyAccount?.InvalidCharacters).toContain('@');
  });

  it('[R063] [R079] [S23] is answered bare when it is asked bare, without extension members', async () => {
    const { status, headers, body } = await running.send({ body: '{"Hello": {}}' });
    expect(status).toBe(201);
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['content-type']).toBe('application/json');
    const answer = JSON.parse(body).MeshHelloResponse;
    expect(answer.Status).toBe(201);
    const Encodings = [{ ID: ['application/json'] }, { ID: ['application/json-b'] }];
    expect(answer.Version).toEqual({ Major: 3, Minor: 0, Encodings });
    expect(answer.EnvelopedConnectionHost).toBeUndefined();
    expect(answer.EnvelopedProfileHost).toBeInstanceOf(Array);
  });

  it('[R041] answers on both well-known paths', async () => {
    const { status } = await running.send({ path: '/.well-known/mmm/', body: '{"Hello": {}}' });
    expect(status).toBe(201);
  });

  it('[R043] serves several domains on one port, each answer for its own', async () => {
    const second = await running.connect('b.example').hello();
    expect(second.message.Status).toBe(201);
    expect((await running.send({ headers: { host: 'B.Example:4443' }, body: '{"Hello": {}}' })).status).toBe(201);
  });
});
