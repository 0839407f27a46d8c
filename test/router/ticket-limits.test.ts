/** What tickets are good for and how long (S33), and what the client does about it: a router under a clock of ours. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { loadHostIdentity } from '@meshd/binding/host-files';
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import type { RequestSigner } from '@meshd/binding/request-sign';
import { ticketIdOf, ticketSecrets } from '@meshd/binding/ticket-derivation';
import { type HeldTicket, memoryTicketStore, type TicketStore, ticketName } from '@meshd/binding/ticket-hold';
import { loadTicketKeys, rotateTicketKeys } from '@meshd/binding/ticket-keys';
import { TicketOpener } from '@meshd/binding/ticket-opener';
import { sealTicket, type TicketContent } from '@meshd/binding/ticket-seal';
import { systemRandom } from '@meshd/crypto/random';
import type { Transaction } from '@meshd/schema/protocol';
import { Person } from '@meshd/shard/testing/person';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { domain, type RunningRouter, startTestRouter } from './router-kit.js';

const hour = 3600_000;
const startMs = Date.UTC(2026, 5, 1, 12);
const person = new Person('alice');
const device = person.device();
const signer: RequestSigner = { key: device.authentication, connection: device.connection };
const name = ticketName(domain, person.address, signer);

let nowMs: number;
let running: RunningRouter;
let tickets: TicketStore;
beforeEach(async () => {
  nowMs = startMs;
  running = await startTestRouter({ clock: () => nowMs });
  tickets = memoryTicketStore();
});
afterEach(() => running.stop());

const connect = () => running.connect(domain, { tickets });
const ask = (link: MeshConnection) => link.call('Status', { Account: person.address }, [signer]);

async function opened() {
  const held = await tickets.get(name);
  const ring = await loadTicketKeys(join(running.directory, 'tickets'));
  const { serviceUdf } = await loadHostIdentity(join(running.directory, 'router'));
  return (
    held &&
    new TicketOpener(
      () => ring,
      () => serviceUdf,
    ).open(held.ticket, nowMs)?.content
  );
}

/** A ticket of any content, as a router of this provider would seal it; what the client believes of it besides. */
async function sealed(members: Partial<TicketContent>, believed: Partial<HeldTicket> = {}): Promise<void> {
  const ring = await loadTicketKeys(join(running.directory, 'tickets'));
  const { serviceUdf, signingKey } = await loadHostIdentity(join(running.directory, 'router'));
  const sealKey = ring.sealing(nowMs);
  if (sealKey === undefined) throw new Error('no key');
  const content: TicketContent = {
    ...{ level: 'profile', issuedMs: nowMs, expiresMs: nowMs + hour, signedAtMs: nowMs, service: domain },
    ...{ account: person.address, accountUdf: '', deviceUdf: '', key: device.authentication.publicKey.raw },
    ...{ connectionDigest: new Uint8Array(64), features: [], prk: systemRandom(64) },
    ...members,
  };
  const ticket = sealTicket(sealKey, serviceUdf, content, systemRandom);
  await tickets.put(name, {
    ...{ id: ticketIdOf(ticket), ticket, ...ticketSecrets(content.prk) },
    ...{ expiresMs: content.expiresMs, signedAtMs: content.signedAtMs, features: [] },
    host: { key: signingKey.publicKey.raw, udf: '', notAfterMs: nowMs + 48 * hour },
    ...believed,
  });
}

describe('[S33] the life of a ticket', () => {
  it('is an hour; near its end it is renewed under itself, and keeps the time of the signature', async () => {
    const link = connect();
    expect((await ask(link)).authenticatedBy).toBe('signature');
    const first = await opened();
    nowMs += hour - 60_000;
    expect((await ask(link)).authenticatedBy).toBe('ticket');
    const second = await opened();
    expect(second?.issuedMs).toBe(nowMs);
    expect([second?.signedAtMs, second?.accountUdf, second?.deviceUdf]).toEqual([startMs, 'MACC-OUNT', 'MDEV-ICE']);
    expect(Buffer.compare(second?.prk ?? Buffer.alloc(0), first?.prk ?? Buffer.alloc(0))).not.toBe(0);
    nowMs += 30 * 60_000;
    expect((await ask(link)).authenticatedBy).toBe('ticket');
  });

  it('is over after that: the client signs, and gets another', async () => {
    const link = connect();
    await ask(link);
    nowMs += hour;
    expect((await ask(link)).authenticatedBy).toBe('signature');
    expect((await opened())?.signedAtMs).toBe(nowMs);
  });

  it('renewed for a day needs a signature again', async () => {
    await rotateTicketKeys(join(running.directory, 'tickets'), startMs + 12 * hour);
    const link = connect();
    const by: string[] = [];
    for (let at = 0; at < 30; at += 1) {
      by.push((await ask(link)).authenticatedBy);
      nowMs += 57 * 60_000;
    }
    expect(by.filter((each) => each === 'signature').length).toBe(2);
    expect(by.indexOf('signature', 1)).toBeGreaterThan(20);
  });

  it('older than a day from its signature is not renewed, whatever it says of its end', async () => {
    // As no router of ours would seal it: the age of the signature is judged by itself.
    await sealed({ signedAtMs: nowMs - 24 * hour }, { signedAtMs: nowMs, expiresMs: nowMs + 60_000 });
    expect((await ask(connect())).authenticatedBy).toBe('signature');
    expect(await running.metric('meshd_router_requests_total{transaction="Status",code="ticket"}')).toMatch(/ 1$/);
  });
});

describe('[S33] levels', () => {
  const outcomes = async (level: TicketContent['level'], account = person.address) => {
    await sealed({ level, account });
    const link = connect();
    await link.hello();
    const found: Record<string, string> = {};
    // Connect and Post name no account: the ticket is then the one for the account of the connection.
    for (const transaction of ['Status', 'Download', 'Upload', 'Connect', 'Complete', 'Post'] as Transaction[]) {
      const message = transaction === 'Connect' || transaction === 'Post' ? {} : { Account: account };
      const answer = await link.call(transaction, message, [signer]);
      expect([transaction, answer.authenticatedBy]).toEqual([transaction, 'ticket']);
      found[transaction] = `${answer.status}/${answer.statusExtended ?? 0}`;
    }
    return found;
  };

  it('a service ticket can Post, and neither read nor write an account', async () => {
    expect(await outcomes('service')).toMatchObject({
      Status: '403/5',
      Download: '403/5',
      Upload: '403/5',
      Post: '400/0',
    });
  });

  it('a device ticket can Connect and Complete, and nothing else', async () => {
    expect(await outcomes('device')).toMatchObject({
      ...{ Status: '401/0', Download: '401/0', Upload: '401/0' },
      ...{ Connect: '400/0', Complete: '400/0' },
    });
  });

  it('a profile ticket does all that its connection does', async () => {
    expect(await outcomes('profile')).toMatchObject({ Status: '201/0', Download: '201/0', Upload: '201/0' });
  });
});

describe('the client', () => {
  it('signs where its ticket is refused, and carries on with a new one', async () => {
    const link = connect();
    await ask(link);
    expect((await ask(link)).authenticatedBy).toBe('ticket');
    const folder = join(running.directory, 'tickets');
    for (const file of await readdir(folder)) await rm(join(folder, file));
    await rotateTicketKeys(folder, nowMs);
    // The router has seen the change when the old ticket is refused.
    await expect.poll(async () => (await ask(link)).authenticatedBy).toBe('signature');
    expect((await ask(link)).authenticatedBy).toBe('ticket');
  });

  it('asks for one ticket at a time, though many requests are on their way', async () => {
    const link = connect();
    await link.hello();
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(link)));
    expect(answers.filter(({ message }) => message.Exchange !== undefined)).toHaveLength(1);
    expect(answers.every(({ status }) => status === 201)).toBe(true);
  });

  it('does without tickets where it is told to, and where more than one key signs', async () => {
    const link = running.connect(domain, { tickets, useTickets: false });
    for (let at = 0; at < 2; at += 1) {
      const { authenticatedBy, message } = await ask(link);
      expect([authenticatedBy, message.Exchange]).toEqual(['signature', undefined]);
    }
    const other = connect();
    await ask(other);
    const proof = { key: person.admin };
    const both = await other.call('Status', { Account: person.address }, [signer, proof]);
    expect(both.authenticatedBy).toBe('signature');
    expect(
      (await other.call('Status', { Account: person.address }, [signer], { useTicket: false })).authenticatedBy,
    ).toBe('signature');
  });

  it('sends the same payload again under the same ID, the exchange included', async () => {
    const link = connect();
    const id = Buffer.concat([Buffer.from(BigInt(nowMs).toString(16).padStart(16, '0'), 'hex'), Buffer.alloc(16, 7)]);
    const once = () => link.call('Status', { Account: person.address }, [signer], { id });
    expect((await once()).status).toBe(201);
    // A request with another payload would be refused with 401/20.
    expect((await once()).status).toBe(201);
  });
});

describe('readiness', () => {
  it('[S31] fails without a key in force', async () => {
    const ready = async () => (await fetch(`${running.router.adminUrl}/readyz`)).status;
    await expect.poll(ready).toBe(200);
    const folder = join(running.directory, 'tickets');
    for (const file of await readdir(folder)) await rm(join(folder, file));
    await expect.poll(ready).toBe(503);
    expect(await (await fetch(`${running.router.adminUrl}/readyz`)).text()).toContain('ticket key');
    await rotateTicketKeys(folder, nowMs);
    await expect.poll(ready).toBe(200);
  });
});
