/**
 * The protocol has no sequence and no connections (draft 10): the same requests in any order, over connections that come and
 * go, are answered alike. Orders are random, by a seed that is printed where one fails.
 */
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { opening, TestWriter } from '@meshd/shard/testing/person';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connected, type Joined, join, linkTo, type Verdict, verdictOf } from '../permissions/people.js';

let provider: TestProvider;
let alice: Joined;
const links: MeshConnection[] = [];

beforeAll(async () => {
  provider = await startTestProvider({ domains: ['example.com'] });
  for (let count = 0; count < 3; count += 1) links.push(linkTo(provider));
  alice = await join(links[0] as MeshConnection, 'alice');
});
afterAll(async () => {
  for (const link of links) await link.close();
  await provider?.stop();
});

let containers = 0;
/** Each in a form in which nothing of the others is needed before. */
const requests: Readonly<Record<string, (link: MeshConnection) => Promise<Verdict>>> = {
  Hello: (link) => verdictOf(link, 'Hello', {}, []),
  Status: (link) => verdictOf(link, 'Status', { Account: alice.person.address }, [connected(alice.device)]),
  Download: (link) => {
    const Select = [{ Container: 'mmm_Device' }];
    return verdictOf(link, 'Download', { Account: alice.person.address, Select }, [connected(alice.device)]);
  },
  Upload: (link) => {
    const container = `my_Order${++containers}`;
    const writer = new TestWriter(container, alice.person.accountUdf, alice.device.signature);
    const Updates = [{ Container: container, Envelopes: [...writer.write([opening()]).envelopes] }];
    return verdictOf(link, 'Upload', { Account: alice.person.address, Updates }, [connected(alice.device)]);
  },
};

describe('[R191] [R193] [R194] transactions', () => {
  it('in any order, over any connection, old or new, one after the other or at once: 201', async () => {
    const step = fc.record({
      name: fc.constantFrom(...Object.keys(requests)),
      link: fc.integer({ min: 0, max: links.length }),
    });
    const order = fc.record({ steps: fc.array(step, { minLength: 2, maxLength: 6 }), atOnce: fc.boolean() });
    const run = async ({ name, link: number }: { name: string; link: number }): Promise<Verdict> => {
      // The number after the last is a connection of its own, closed when it has been used once.
      const link = links[number] ?? linkTo(provider);
      try {
        return await (requests[name] as (link: MeshConnection) => Promise<Verdict>)(link);
      } finally {
        if (links[number] === undefined) await link.close();
      }
    };
    await fc.assert(
      fc.asyncProperty(order, async ({ steps, atOnce }) => {
        const verdicts: Verdict[] = atOnce ? await Promise.all(steps.map(run)) : [];
        if (!atOnce) for (const each of steps) verdicts.push(await run(each));
        expect(verdicts).toEqual(steps.map(() => [201]));
      }),
      { numRuns: 25 },
    );
  });
});
