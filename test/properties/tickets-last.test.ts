/** Tickets outlive the routers that issued them, and end with the device (S31, S33): real processes, one after the other. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import type { HeldTicket } from '@meshd/binding/ticket-hold';
import { freePorts } from '@meshd/dev/ports';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import { makeTestPlan } from '@meshd/dev/test-provider';
import type { TestDevice } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  connected,
  type Joined,
  join,
  linkTo,
  list,
  type Place,
  revoke,
  TicketCalls,
  ticketFor,
} from '../permissions/people.js';

const testMs = 120_000;
let folder: string;
let removePlan: () => Promise<void>;
let processes: ProviderProcesses;
let place: Place;
let link: MeshConnection;
let tickets: TicketCalls;
let alice: Joined;
let second: TestDevice;
let held: { first: HeldTicket; second: HeldTicket };

beforeAll(async () => {
  folder = await mkdtemp(joinPath(tmpdir(), 'meshd-tickets-'));
  const { plan, remove } = await makeTestPlan({ domains: ['example.com'] });
  removePlan = remove;
  const [port = 0] = await freePorts(1);
  processes = new ProviderProcesses({ ...plan, port }, joinPath(folder, 'logs'));
  await processes.start();
  place = { domain: 'example.com', url: processes.url, ca: await readFile(plan.certificates.caFile, 'utf8') };
  link = linkTo(place);
  tickets = new TicketCalls(place);
  alice = await join(link, 'alice');
  second = alice.person.device('second');
  await list(link, alice, second);
  held = {
    first: await ticketFor(place, connected(alice.device)),
    second: await ticketFor(place, connected(second)),
  };
}, testMs);
afterAll(async () => {
  tickets?.close();
  await link?.close();
  await processes?.stop();
  await removePlan?.();
  await rm(folder, { recursive: true, force: true });
}, testMs);

const status = async (ticket: HeldTicket) => {
  const { verdict, opened } = await tickets.call('Status', { Account: alice.person.address }, ticket);
  return { verdict, kind: opened.entry.kind };
};
const taken = { verdict: [201], kind: 'ticket' };

describe('[R074] [R086] a ticket', () => {
  it('[S31] is taken after every router was restarted, and after one was killed', { timeout: testMs }, async () => {
    expect(await status(held.first)).toEqual(taken);
    await processes.restart('router');
    expect(await status(held.first)).toEqual(taken);
    await processes.killOne('router');
    await processes.startOne('router');
    expect(await status(held.first)).toEqual(taken);
    expect(await status(held.second)).toEqual(taken);
  });

  it('[S33] is taken after every shard was restarted', { timeout: testMs }, async () => {
    for (const name of processes.names.filter((each) => each.startsWith('shard'))) await processes.restart(name);
    expect(await status(held.first)).toEqual(taken);
  });

  it('[S33] of a revoked device is refused at the very next request, by another router too: 401/4', {
    timeout: testMs,
  }, async () => {
    expect(await status(held.second)).toEqual(taken);
    await revoke(link, alice, second, 2);
    expect((await status(held.second)).verdict).toEqual([401, 4]);
    await processes.restart('router');
    expect((await status(held.second)).verdict).toEqual([401, 4]);
    expect(await status(held.first)).toEqual(taken);
  });

  it('[S33] is nobody’s after the account was deleted', { timeout: testMs }, async () => {
    const signers = [connected(alice.device), { key: alice.person.admin }];
    const deletion = await link.call('DeleteAccount', { Account: alice.person.address }, signers);
    expect(deletion.status).toBe(201);
    expect((await status(held.first)).verdict[0]).toBe(401);
  });
});
