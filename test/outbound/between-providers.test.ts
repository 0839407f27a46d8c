/** Messages from the sender's device to the recipient's, through both providers' processes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Person, startTwoProviders, type TwoProviders } from './two-providers.js';

let two: TwoProviders;
let alice: Person;
let bob: Person;
let carol: Person;
beforeAll(async () => {
  two = await startTwoProviders();
  [alice, bob, carol] = await Promise.all([
    two.person('alice', two.alpha),
    two.person('bob', two.beta),
    two.person('carol', two.alpha),
  ]);
});
afterAll(() => two?.stop());

const waitingMs = { timeout: 20_000, interval: 200 };

async function send(from: Person, to: string): Promise<string> {
  const { messages } = await from.run('message', 'send', to, '--type', 'RequestContact');
  return messages[0].id;
}

const inbound = async (person: Person): Promise<string[]> =>
  (await person.run('message', 'list')).messages.map(({ id }: { id: string }) => id);

/** What the marks in the sender's outbound spool say of a message. */
async function fate(person: Person, id: string): Promise<unknown> {
  const { messages } = await person.run('message', 'list', '--box', 'outbound');
  return messages.find((message: { id: string }) => message.id === id)?.deliveries;
}

describe('a message', () => {
  it('[R074] [S81] goes from one provider to another, and comes back as a mark with a receipt', async () => {
    const id = await send(alice, bob.address);
    await expect.poll(() => inbound(bob), waitingMs).toContain(id);
    await expect
      .poll(() => fate(alice, id), waitingMs)
      .toMatchObject([{ account: bob.address, result: 'delivered', receipt: true }]);
  });

  it('goes the other way too, now that both services know each other', async () => {
    const id = await send(bob, alice.address);
    await expect.poll(() => inbound(alice), waitingMs).toContain(id);
    await expect.poll(() => fate(bob, id), waitingMs).toMatchObject([{ result: 'delivered', receipt: true }]);
  });

  it('to an account of the same provider is delivered by the same worker, with a receipt', async () => {
    const id = await send(alice, carol.address);
    await expect.poll(() => inbound(carol), waitingMs).toContain(id);
    await expect.poll(() => fate(alice, id), waitingMs).toMatchObject([{ result: 'delivered', receipt: true }]);
  });
});
