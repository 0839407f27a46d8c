/** A ticket is its octets, however they are written (S05): no other spelling makes another request of the same one. */
import { HttpsPoster } from '@meshd/binding/http-client';
import { makeRequestId } from '@meshd/binding/request-id';
import { signRequest } from '@meshd/binding/request-sign';
import { checkTicketResponse, openResponse } from '@meshd/binding/response-open';
import type { HeldTicket } from '@meshd/binding/ticket-hold';
import { systemRandom } from '@meshd/crypto/random';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { opening, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allFeatures, connected, type Joined, join, linkTo, ticketFor } from '../permissions/people.js';

const domain = 'example.com';
let provider: TestProvider;
let poster: HttpsPoster;
let alice: Joined;
/** One whose text has bits to spare. */
let ticket: HeldTicket;

beforeAll(async () => {
  provider = await startTestProvider({ domains: [domain] });
  const { url, ca } = provider;
  poster = new HttpsPoster({ domain, url, ca });
  const link = linkTo(provider);
  alice = await join(link, 'alice');
  await link.close();
  // Features stand in the ticket, so their names decide its length.
  for (let count = 2; ticket === undefined || ticket.ticket.length % 3 === 0; count += 1) {
    ticket = await ticketFor(provider, connected(alice.device), allFeatures.slice(0, count));
  }
});
afterAll(async () => {
  poster?.close();
  await provider?.stop();
});

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The same octets in another spelling: the last character's lowest bit means nothing. */
function respelt(body: Uint8Array): Uint8Array {
  const spelling = Buffer.from(ticket.ticket).toString('base64url');
  const last = alphabet.indexOf(spelling.at(-1) ?? '');
  const other = spelling.slice(0, -1) + alphabet[last ^ 1];
  expect(Buffer.from(other, 'base64url').equals(Buffer.from(ticket.ticket))).toBe(true);
  const text = Buffer.from(body).toString('utf8');
  expect(text.split(spelling)).toHaveLength(2);
  return Buffer.from(text.replace(spelling, other));
}

async function signed<T extends Transaction>(transaction: T, members: object, id: Uint8Array) {
  const message = { Account: alice.person.address, ...members } as RequestOf<T>;
  const base = { service: domain, nowMs: Date.now(), random: systemRandom, signers: [], ticket, id };
  const { body, sent } = await signRequest<T>({ ...base, transaction, message, form: 'json' });
  const ask = async (octets: Uint8Array) => {
    const opened = openResponse(transaction, (await poster.post(octets, 20_000)).body);
    if (opened.entry.kind === 'ticket') checkTicketResponse(opened, sent);
    const { Status, StatusExtended: extended } = opened.message;
    return { verdict: extended === undefined ? [Status] : [Status, extended], message: opened.message };
  };
  return { body, ask };
}

/** Makes a container. */
function uploadOf(Container: string) {
  const { person, device } = alice;
  const Envelopes = [...new TestWriter(Container, person.accountUdf, device.signature).write([opening()]).envelopes];
  return { Updates: [{ Container, Envelopes }] };
}

describe('[S05] [S27] the same ticket with other unused bits', () => {
  it('is the same ticket: a repetition under it gets the stored answer, and nothing happens twice', async () => {
    const { body, ask } = await signed('Upload', uploadOf('my_Own'), makeRequestId(Date.now(), systemRandom));
    const first = await ask(body);
    expect(first.verdict).toEqual([201]);
    expect(await ask(respelt(body))).toEqual(first);
  });

  it('is no way to use an ID for something else: 401/20', async () => {
    for (const [transaction, members, others] of [
      ['Status', {}, { Catalogs: ['mmm_Device'] }],
      ['Upload', uploadOf('my_First'), uploadOf('my_Second')],
    ] as const) {
      const id = makeRequestId(Date.now(), systemRandom);
      const first = await signed(transaction, members, id);
      expect((await first.ask(first.body)).verdict).toEqual([201]);
      const second = await signed(transaction, others, id);
      expect([transaction, ...(await second.ask(respelt(second.body))).verdict]).toEqual([transaction, 401, 20]);
    }
  });
});
