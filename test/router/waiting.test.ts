/** Waiting Status at the router (S83): the shard waits, the router only must not be in its way. */
import type { RequestSigner } from '@meshd/binding/request-sign';
import type { TransactRequest, TransactResponse } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { Person } from '@meshd/shard/testing/person';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { domain, fakeLink, type RunningRouter, startTestRouter, success } from './router-kit.js';

const person = new Person('alice');
const device = person.device();
const signer: RequestSigner = { key: device.authentication, connection: device.connection };

interface Waiting {
  readonly request: NonNullable<TransactRequest['transaction']>;
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  readonly wake: () => void;
}
let running: RunningRouter;
let waiting: Waiting[];

beforeEach(async () => {
  waiting = [];
  const plain = fakeLink();
  running = await startTestRouter({
    openLink: () =>
      fakeLink({
        transact: (ask, deadlineMs, signal) => {
          const { transaction } = ask;
          if (transaction?.$case !== 'status' || transaction.value.waitMs === undefined) {
            return plain.transact(ask, deadlineMs, signal);
          }
          return new Promise<TransactResponse>((resolve, reject) => {
            const containers = [{ container: 'mmm_Inbound', index: 4, digest: Buffer.alloc(0) }];
            const value = { containers, profileMesh: undefined, deviceEntry: undefined };
            const wake = () => resolve({ number: 1, outcome: success(), result: { $case: 'status', value } });
            signal?.addEventListener('abort', () => reject(signal.reason));
            waiting.push({ request: transaction, deadlineMs, signal, wake });
          });
        },
      }),
  });
});
afterEach(() => running.stop());

const wait = (Wait: number, signal?: AbortSignal) =>
  running
    .connect(domain)
    .call('Status', { Account: person.address, Wait, Known: [{ Container: 'mmm_Inbound', Index: 3 }] }, [signer], {
      signal,
    });
const inFlight = () => running.metric('meshd_router_requests_in_flight');

describe('[S83] a waiting Status', () => {
  it('is answered when the shard answers, and may take longer than other work', async () => {
    const answer = wait(30_000);
    await expect.poll(() => waiting.length).toBe(1);
    expect(waiting[0]?.request).toMatchObject({
      value: { waitMs: 30_000, known: [{ container: 'mmm_Inbound', index: 3 }] },
    });
    expect(waiting[0]?.deadlineMs).toBeGreaterThan(30_000);
    waiting[0]?.wake();
    expect((await answer).message.ContainerStatus).toEqual([{ Container: 'mmm_Inbound', Index: 4 }]);
  });

  it('waits 55 seconds at most, without a word about it', async () => {
    const answer = wait(3600_000);
    await expect.poll(() => waiting.length).toBe(1);
    expect(waiting[0]?.request).toMatchObject({ value: { waitMs: 55_000 } });
    waiting[0]?.wake();
    expect((await answer).status).toBe(201);
  });

  it('ends at the shard when the client goes, and is none of the requests in work', async () => {
    const leaving = new AbortController();
    const answer = wait(30_000, leaving.signal);
    await expect.poll(() => waiting.length).toBe(1);
    expect(await inFlight()).toMatch(/ 0$/);
    leaving.abort();
    await expect(answer).rejects.toMatchObject({ code: 'transport' });
    await expect.poll(() => waiting[0]?.signal?.aborted).toBe(true);
    await expect.poll(inFlight).toMatch(/ 0$/);
  });

  it('[R244] ends with 503 when the router stops', async () => {
    const answer = wait(30_000);
    await expect.poll(() => waiting.length).toBe(1);
    const stopping = running.router.stop();
    expect(await answer).toMatchObject({ status: 503, retryAfterMs: 1000 });
    await stopping;
  });

  it('without a wait is answered at once, by a signal of nobody', async () => {
    const link = running.connect(domain);
    const Known = [{ Container: 'mmm_Inbound', Index: 3 }];
    expect((await link.call('Status', { Account: person.address, Known, Wait: 0 }, [signer])).status).toBe(201);
    expect(waiting).toEqual([]);
  });
});
