/** Bounds by source and in all, what is counted, and what shards refuse. */
import { httpBodyBytesMax } from '@meshd/limits/limits';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { account, connectedDevice, enveloped, request, startRefusingRouter } from './device-kit.js';
import { fakeLink, type RunningRouter, refused, type SendOptions, startTestRouter } from './router-kit.js';

const device = connectedDevice();
const hello = '{"Hello":{}}';
let running: RunningRouter;
beforeAll(async () => {
  running = await startRefusingRouter();
});
afterAll(() => running?.stop());

describe('bounds', () => {
  it('[S22] signs no more refusals of a source than its budget', async () => {
    const few = await startTestRouter({ sourceLimits: { signedRefusalsPerSecond: 1 }, clock: () => 1_800_000_000_000 });
    try {
      const kinds: boolean[] = [];
      for (let at = 0; at < 7; at += 1) {
        const answer = await few.send({ body: enveloped('{"Status":{}}') });
        kinds.push(answer.body.startsWith('['));
      }
      expect(kinds).toEqual([true, true, true, true, true, false, false]);
      expect(await few.metric('meshd_router_refusals_unsigned_total')).toContain('code="malformed"} 2');
    } finally {
      await few.stop();
    }
  });

  it('limits Hello by source with 429 and Retry-After', async () => {
    const few = await startTestRouter({ sourceLimits: { helloPerMinute: 2, countLoopback: true } });
    try {
      const statuses: number[] = [];
      for (let at = 0; at < 3; at += 1) statuses.push((await few.send({ body: '{"Hello":{}}' })).status);
      expect(statuses).toEqual([201, 201, 429]);
      const last = await few.send({ body: '{"Hello":{}}' });
      expect(Number(last.headers['retry-after'])).toBeGreaterThan(0);
    } finally {
      await few.stop();
    }
  });

  it('[S84] limits Connect by source, since each tells whether there is such an account', async () => {
    const few = await startTestRouter({ sourceLimits: { connectPerHour: 2, countLoopback: true } });
    try {
      const answers = [];
      for (let at = 0; at < 3; at += 1) answers.push(await few.send({ body: enveloped('{"Connect":{}}') }));
      expect(answers.map(({ status }) => status === 429)).toEqual([false, false, true]);
      expect(Number(answers[2]?.headers['retry-after'])).toBeGreaterThan(60);
      expect((await few.send({ body: '{"Hello":{}}' })).status).toBe(201);
    } finally {
      await few.stop();
    }
  });

  it('bounds the octets of one source and of all', async () => {
    const few = await startTestRouter({ octetBudget: { bytesMax: 4096, bytesPerSourceMax: 1024 } });
    try {
      expect((await few.send({ body: ' '.repeat(2000) })).status).toBe(429);
      expect((await few.send({ body: '{"Hello":{}}' })).status).toBe(201);
      expect(await few.metric('meshd_router_body_bytes')).toContain(' 0');
    } finally {
      await few.stop();
    }
  });

  it('counts every refusal by its code', async () => {
    const stale = await request('Status', { Account: account }, [device.signer], { nowMs: Date.now() - 301_000 });
    const refusals: SendOptions[] = [
      { body: 'x' },
      { body: '{"Frobnicate":{}}' },
      { body: hello, headers: { 'content-type': 'text/plain' } },
      { method: 'GET' },
      { body: hello, headers: { host: 'c.example' } },
      { body: stale.body },
      { body: Buffer.alloc(httpBodyBytesMax + 1, 0x20) },
    ];
    for (const refusal of refusals) expect((await running.send(refusal)).status).toBeGreaterThanOrEqual(400);
    const figures = await running.metric('meshd_router_requests_total');
    for (const code of [
      'malformed',
      'unknown-transaction',
      'media-type',
      'method',
      'wrong-host',
      'clock-skew',
      'too-large',
    ])
      expect(figures).toContain(`code="${code}"`);
  });
});

describe('shards', () => {
  it('passes their refusals on, and says what is wrong with the way to them', async () => {
    const cases = [
      [refused('device-revoked'), 401, 4],
      [refused('quota'), 403, 19],
      [refused('internal', { correlation: 'abc' }), 500, undefined],
      [refused('no such code'), 500, undefined],
    ] as const;
    for (const [outcome, status, extended] of cases) {
      const link = fakeLink({ transact: async () => ({ number: 1, outcome, result: undefined }) });
      const other = await startTestRouter({ openLink: () => link });
      try {
        const answer = await other.connect().call('Status', { Account: account }, [device.signer]);
        expect([answer.status, answer.statusExtended]).toEqual([status, extended]);
      } finally {
        await other.stop();
      }
    }
  });
});
