import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { requestsInFlightMax } from '@meshd/limits/limits';
import { silentLogger } from '@meshd/telemetry/logger';
import { createMetrics } from '@meshd/telemetry/metrics';
import { describe, expect, it } from 'vitest';
import { type ExchangeParts, Exchanges } from './exchange.js';
import { defineRouterMetrics } from './metrics.js';
import { OctetBudget } from './octet-budget.js';
import { RequesterLimits } from './requester-limits.js';
import { SeenRequests } from './seen-requests.js';
import { SourceLimits } from './source-limits.js';

const metrics = createMetrics();
const state = { requestsInFlight: () => 0, bodyBytes: () => 0, requestsSeen: () => 0, mapVersion: () => 0 };

/** Exchanges that never get as far as a shard. */
function exchanges(): Exchanges {
  const parts: Partial<ExchangeParts> = {
    domains: new Set(['example.com']),
    budget: new OctetBudget(),
    limits: new SourceLimits(),
    requesters: new RequesterLimits(() => 0),
    seen: new SeenRequests(),
    metrics: defineRouterMetrics(metrics, state),
    logger: silentLogger(),
    clock: () => 0,
  };
  return new Exchanges(parts as ExchangeParts);
}

/** A request whose body does not come, and what is answered. */
function open() {
  const body = new PassThrough();
  const head = { headers: { host: 'example.com', 'content-type': 'application/json' }, socket: {} };
  const request = Object.assign(body, head) as unknown as IncomingMessage;
  const answered: number[] = [];
  const nothing = () => undefined;
  const answer = { req: request, writeHead: (status: number) => answered.push(status), write: nothing };
  const http = Object.assign(answer, { end: nothing, destroy: nothing }) as unknown as ServerResponse;
  return { request, http, answered, leave: () => body.destroy() };
}

describe('requests in work', () => {
  it('are bounded: one more is told to come again, and those that leave make room', async () => {
    const serving = exchanges();
    const held = Array.from({ length: requestsInFlightMax }, open);
    const served = held.map(({ request, http }) => serving.serve(request, http));
    expect(serving.count).toBe(requestsInFlightMax);
    const late = open();
    await serving.serve(late.request, late.http);
    expect(late.answered).toEqual([503]);
    expect(await metrics.registry.metrics()).toContain('{transaction="unread",code="overloaded"} 1');
    for (const { leave } of held) leave();
    await Promise.all(served);
    expect(serving.count).toBe(0);
    expect(held.flatMap(({ answered }) => answered)).toEqual([]);
  });
});
