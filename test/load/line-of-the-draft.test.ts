/** The draft's sizes (7.1, 9.1.2.1): what twenty full messages a second are, octet by octet, on a line of 10 Mb/s. */
import { signRequest, type TicketSigner } from '@meshd/binding/request-sign';
import { ticketIdOf, ticketSecrets } from '@meshd/binding/ticket-derivation';
import { systemRandom } from '@meshd/crypto/random';
import { draftMessagesPerSecond, draftPayloadBytes, loadRateShareMin } from '@meshd/limits/load';
import { messageOf } from '@meshd/shard/testing/outbox-kit';
import { Person } from '@meshd/shard/testing/person';
import { expect, it } from 'vitest';

const lineBitsPerSecond = 10_000_000;
/** Of a request, as our client writes them; generous. */
const httpHeaderBytes = 400;
/** Header, type and tag of a TLS 1.3 record; the most that one holds. */
const tls = { around: 5 + 1 + 16, content: 16_384 };
/** Ethernet's packets of 1500 octets with IPv6, TCP and its time stamps. */
const packet = { around: 40 + 20 + 12, whole: 1500 };

const onTheWire = (bytes: number): number => {
  const encrypted = bytes + Math.ceil(bytes / tls.content) * tls.around;
  return encrypted + Math.ceil(encrypted / (packet.whole - packet.around)) * packet.around;
};

/** A Post of one message, under a ticket, in JSON-B. */
async function postOf(payloadBytes: number): Promise<Uint8Array> {
  const nowMs = Date.UTC(2026, 0, 15);
  const alice = new Person('alice', { address: 'alice@alpha.test' });
  const to = ['bob@beta.test'];
  const envelope = messageOf(alice, alice.device(), nowMs, { to, payload: systemRandom(payloadBytes) });
  const sealed = systemRandom(700);
  const ticket: TicketSigner = { id: ticketIdOf(sealed), ticket: sealed, ...ticketSecrets(systemRandom(64)) };
  const message = { Accounts: to, Message: [envelope] };
  const base = { transaction: 'Post', service: 'beta.test', nowMs, random: systemRandom, form: 'json-b' } as const;
  return (await signRequest({ ...base, message, signers: [], ticket })).body;
}

it('[R176] about twenty full messages a second fit a line of 10 Mb/s, with all that is around them', async () => {
  const bits = 8 * onTheWire((await postOf(draftPayloadBytes)).length + httpHeaderBytes);
  const perSecond = lineBitsPerSecond / bits;
  expect(draftMessagesPerSecond).toBe(20);
  // So that the verdict of a load can be good, and the payload is no smaller than it has to be.
  expect(perSecond).toBeGreaterThanOrEqual(loadRateShareMin * draftMessagesPerSecond);
  expect(perSecond).toBeLessThan(draftMessagesPerSecond + 1);
});
