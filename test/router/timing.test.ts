/** Whether an account exists cannot be told from how long a refusal takes (semantics 4, S84). */
import { HttpsPoster } from '@meshd/binding/http-client';
import { signRequest } from '@meshd/binding/request-sign';
import { systemRandom } from '@meshd/crypto/random';
import { Person } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domain, openWire, type Wire } from './wire-kit.js';

let wire: Wire;
let poster: HttpsPoster;
beforeAll(async () => {
  wire = await openWire();
  poster = new HttpsPoster({ domain, url: wire.provider.url, ca: wire.provider.ca });
  await wire.join('alice');
});
afterAll(async () => {
  poster?.close();
  await wire?.stop();
});

const stranger = new Person('stranger').device();
const roundCount = 120;
/** Beyond this a difference is chance once in a hundred times. */
const deviateMax = 2.58;

async function refusalMs(account: string): Promise<number> {
  const { body } = await signRequest({
    transaction: 'Status',
    message: { Account: account },
    service: domain,
    nowMs: Date.now(),
    random: systemRandom,
    signers: [{ key: stranger.authentication, connection: stranger.connection }],
  });
  const begunMs = performance.now();
  const { httpStatus } = await poster.post(body, 5000);
  expect(httpStatus).toBe(401);
  return performance.now() - begunMs;
}

/** Standard normal deviate of the rank sum of two samples (Mann and Whitney); far from 0 when one is slower. */
function deviate(a: readonly number[], b: readonly number[]): number {
  const ranked = [...a.map((time) => ({ time, isA: true })), ...b.map((time) => ({ time, isA: false }))];
  ranked.sort((one, other) => one.time - other.time);
  const sum = ranked.reduce((total, { isA }, at) => total + (isA ? at + 1 : 0), 0);
  const mean = (a.length * (a.length + b.length + 1)) / 2;
  return (sum - mean) / Math.sqrt((a.length * b.length * (a.length + b.length + 1)) / 12);
}

let names = 0;
/** An address that nobody has asked for yet. */
const freshName = () => {
  names += 1;
  return `nobody${names}@${domain}`;
};

async function difference(one: () => string, other: () => string): Promise<number> {
  const [a, b]: [number[], number[]] = [[], []];
  for (let round = 0; round < roundCount; round += 1) {
    // Turn about, so that neither always follows the other.
    const [first, second] = round % 2 === 0 ? [one, other] : [other, one];
    const [early, late] = [await refusalMs(first()), await refusalMs(second())];
    a.push(round % 2 === 0 ? early : late);
    b.push(round % 2 === 0 ? late : early);
  }
  return deviate(a, b);
}

/** The machine has other work, which may hit one sample more than the other: a real difference stays. */
async function smallestOf(measure: () => Promise<number>): Promise<number> {
  let smallest = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3 && smallest >= deviateMax; attempt += 1) {
    smallest = Math.min(smallest, Math.abs(await measure()));
  }
  return smallest;
}

describe('[S24] [S84] the time of a refusal', () => {
  it('is the same for an account in use and for a name that nobody ever asked for', async () => {
    expect(await smallestOf(() => difference(() => `alice@${domain}`, freshName))).toBeLessThan(deviateMax);
  }, 120_000);

  it('is the same for a name that is asked for again and again', async () => {
    const again = () => `nobody@${domain}`;
    expect(await smallestOf(() => difference(again, freshName))).toBeLessThan(deviateMax);
  }, 120_000);

  it('is told apart by this test where there is a difference', async () => {
    const [slow, fast]: [number[], number[]] = [[], []];
    for (let round = 0; round < 20; round += 1) {
      const begunMs = performance.now();
      fast.push(await refusalMs(`alice@${domain}`));
      await refusalMs(`alice@${domain}`);
      slow.push(performance.now() - begunMs);
    }
    expect(Math.abs(deviate(slow, fast))).toBeGreaterThan(deviateMax);
  }, 60_000);
});
