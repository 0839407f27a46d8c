/** What is published, as the router serves it: asked of a shard, as it is or not at all, and not too often (semantics 7.6). */
import { earlIdentifier } from '@meshd/crypto/udf';
import type { TransactRequest } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeLink, type RunningRouter, refused, startTestRouter, success } from './router-kit.js';

const identifier = earlIdentifier('EAVA-AQYX-POA7-KWEW-C62B-ZFG2-ZSVA');
const octets = Buffer.from('["e30", "AAEC"]');
let running: RunningRouter;
let asked: string[] = [];
/** What the shard says. */
let outcome = success();

beforeAll(async () => {
  const transact = async ({ transaction }: Pick<TransactRequest, 'transaction'>) => {
    if (transaction?.$case !== 'fetchPublication') return { number: 1, outcome: success(), result: undefined };
    asked.push(transaction.value.identifier);
    const result = { $case: 'fetchPublication', value: { payload: octets } } as const;
    return { number: 1, outcome, result: outcome.error === '' ? result : undefined };
  };
  const openLink = () => fakeLink({ transact: transact as ReturnType<typeof fakeLink>['transact'] });
  const publicationLimits = { perMinute: 6, countLoopback: true };
  running = await startTestRouter({ openLink, publicationLimits, clock: () => Date.UTC(2026, 0, 1) });
});
afterAll(() => running?.stop());

const get = (path: string) => running.send({ method: 'GET', path: `/.well-known/mmm-udf/${path}` });

describe('a publication', () => {
  it('[R153] goes out as it is, and as nothing that a browser would run', async () => {
    const answer = await get(identifier);
    expect([answer.status, answer.octets]).toEqual([200, octets]);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'x-content-type-options': 'nosniff' });
    expect(asked).toEqual([identifier]);
  });

  it('is not asked for where it cannot be', async () => {
    asked = [];
    for (const other of ['MAAA', identifier.toLowerCase()]) expect((await get(other)).status).toBe(404);
    expect(asked).toEqual([]);
  });

  it('is not there, or cannot be had now', async () => {
    outcome = refused('not-found');
    expect((await get(identifier)).status).toBe(404);
    outcome = refused('overloaded', { retryAfterMs: 2000 });
    const later = await get(identifier);
    expect([later.status, later.headers['retry-after']]).toEqual([503, '2']);
    outcome = success();
  });

  it('is given to one source only so often, and every answer is counted by what it was', async () => {
    expect((await get(identifier)).status).toBe(200);
    const late = await get(identifier);
    expect([late.status, late.headers['retry-after']]).toEqual([429, '10']);
    const counted = await running.metric('meshd_router_requests_total');
    for (const code of ['success', 'not-found', 'overloaded', 'rate-limited']) {
      expect(counted).toContain(`transaction="Publication",code="${code}"`);
    }
  });
});
