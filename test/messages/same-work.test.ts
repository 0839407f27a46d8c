/**
 * An account that exists and one that does not are told apart neither by what is answered nor by the work that was done for the
 * answer (S80): the same verifications of signatures, the same calls to shards, the same statements to their databases.
 */
import { randomBytes } from 'node:crypto';
import { redactEnvelope } from '@meshd/dare/envelope';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domain, draftOf, type Foreign, type ForeignService, openForeign } from './foreign-kit.js';
import { type Work, WorkCounter } from './work-count.js';

let foreign: Foreign;
let alpha: ForeignService;
let counter: WorkCounter;
/** Whose credentials nobody in this process has seen. */
const stranger = `stranger-${randomBytes(4).toString('hex')}`;
/** From when on time stands still, so that nothing is looked up because a minute has passed. */
let stoppedMs: number | undefined;
beforeAll(async () => {
  counter = new WorkCounter();
  foreign = await openForeign(['alpha.test'], { clock: () => stoppedMs ?? Date.now() });
  [alpha] = foreign.services as [ForeignService];
  counter.started();
  await alpha.introduce();
  stoppedMs = Date.now();
}, 400_000);
afterAll(async () => {
  counter?.stop();
  await foreign?.stop();
});

/** Calls by which a shard learns of a message; the others are about the service that speaks, and made once in a while. */
const aboutAccounts = ['deliver', 'authenticate', 'status', 'upload', 'post', 'createAccount', 'deleteAccount'];

async function callsToShards(): Promise<Record<string, number>> {
  const [url] = foreign.wire.provider.adminUrls.shards;
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
  const counts = aboutAccounts.map((name) => {
    const found = lines.filter((line) => line.startsWith(`meshd_shard_requests_total{transaction="${name}"`));
    return [name, found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)] as const;
  });
  return Object.fromEntries(counts);
}

/** What a stranger's message to an account costs. */
async function workFor(account: string, type: string, isOffer = false): Promise<Work & { calls: object }> {
  const whole = draftOf(alpha.person(stranger), { to: [account], type });
  const Message = [isOffer ? redactEnvelope(whole) : whole];
  const before = await callsToShards();
  const work = await counter.during(() => alpha.post({ Accounts: [account], Message }));
  const after = await callsToShards();
  const calls = Object.fromEntries(aboutAccounts.map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
  return { ...work, calls };
}

describe('[S80] an existing and an invented recipient cost the same', () => {
  it('is a count that counts: other messages cost other work', async () => {
    const first = await workFor(`a@${domain}`, 'Note');
    const [note, request] = [await workFor(`a@${domain}`, 'Note'), await workFor(`a@${domain}`, 'RequestContact')];
    expect(first.verifications).toBeGreaterThan(3);
    // The sender's credentials held a moment ago; the message itself is verified each time.
    expect(note.verifications).toBeGreaterThan(0);
    expect(note.verifications).toBeLessThan(first.verifications);
    expect(note.calls).toMatchObject({ deliver: 1 });
    expect(Object.keys(request.statements).length).toBeGreaterThan(Object.keys(note.statements).length);
  });

  it.each([
    ['RequestContact', false],
    ['RequestContact', true],
    ['Note', false],
    ['ReplyContact', false],
  ])('%s, offered: %s; at the first message and at the next', async (type, isOffer) => {
    const name = `${type}-${isOffer}`.toLowerCase();
    await foreign.wire.join(name);
    const [existing, invented] = [`${name}@${domain}`, `no-${name}@${domain}`];
    // The account was used a moment ago; of the name nobody has ever heard.
    const first = await workFor(existing, type, isOffer);
    expect(await workFor(invented, type, isOffer)).toEqual(first);
    const next = await workFor(existing, type, isOffer);
    expect(await workFor(invented, type, isOffer)).toEqual(next);
  });
});
