import { hmacSha512 } from '@meshd/crypto/digest';
import { systemRandom } from '@meshd/crypto/random';
import { generateX448 } from '@meshd/crypto/x448';
import { makeEnvelope, openEnvelope, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import type { SignatureEntry } from '@meshd/dare/header';
import { encodeTagged } from '@meshd/encoding/codec';
import { ticketChainMsMax, ticketMsMax } from '@meshd/limits/limits';
import type { ExchangeResponse, Response } from '@meshd/schema/common';
import { responseTableOf } from '@meshd/schema/protocol';
import type { MeshError } from '@meshd/schema/status';
import { describe, expect, it } from 'vitest';
import { credDigest, requestInput, responseInput } from './credential.js';
import { reqAuthOf } from './request-authenticate.js';
import { receiveRequest } from './request-open.js';
import { checkResponse, checkTicketResponse, openResponse } from './response-open.js';
import { signResponse } from './response-sign.js';
import { authenticate, build, domain, makeDevice, makeHost, newKey, nowMs } from './test-fixtures.js';
import { beginExchange, finishExchange, type HeldTicket } from './ticket-hold.js';
import { clientNonceOf, issueTicket, type TicketHolder } from './ticket-issue.js';
import { type TicketKey, TicketKeyRing } from './ticket-keys.js';
import { TicketOpener } from './ticket-opener.js';
import { openTicket } from './ticket-seal.js';

const account = 'alice@example.com';
const serviceUdf = 'MCL6-CFFS-KNVQ-C4HB-CWHW-RO56-ZK3G';
const device = makeDevice();
const host = newKey();
const sealKey: TicketKey = {
  keyId: systemRandom(8),
  key: systemRandom(32),
  notBeforeMs: nowMs - 1000,
  notAfterMs: nowMs + 48 * 3600_000,
};
const ring = new TicketKeyRing([sealKey]);
const opener = new TicketOpener(
  () => ring,
  () => serviceUdf,
);
const signer = { key: device.authentication, connection: device.connection };

const holder = (members: Partial<TicketHolder> = {}): TicketHolder => ({
  ...{ level: 'profile', signedAtMs: nowMs, service: domain, account, accountUdf: 'MACC', deviceUdf: 'MDEV' },
  key: device.authentication.publicKey.raw,
  connectionDigest: new Uint8Array(64),
  features: ['entry', 'page'],
  ...members,
});

/** An exchange in a signed request: the service's part of it, and what the client makes of that. */
async function exchanged(members: Partial<TicketHolder> = {}, atMs = nowMs) {
  const begun = beginExchange(systemRandom);
  const { service = domain } = members;
  const { body, sent } = await build('Status', { Account: account, Exchange: begun.member }, [signer], { service });
  const { payloadDigest, entries } = receiveRequest(body, 'json');
  const response = issueTicket({
    holder: holder(members),
    request: {
      clientNonce: clientNonceOf(begun.member),
      requestPayloadDigest: payloadDigest,
      reqAuth: reqAuthOf(entries),
    },
    ...{ hostKey: host.publicKey.raw, sealKey, serviceUdf, nowMs: atMs },
  });
  const finish = (altered: Partial<ExchangeResponse> = {}, hostKey = host.publicKey.raw) =>
    finishExchange(
      begun,
      { ...response, ...altered },
      {
        sent,
        requesterKey: device.authentication.publicKey.raw,
        host: { key: hostKey, udf: 'MHOST', notAfterMs: nowMs + 1e9 },
        features: ['entry'],
        signedAtMs: nowMs,
      },
    );
  return { response, finish };
}

async function held(members: Partial<TicketHolder> = {}, atMs = nowMs): Promise<HeldTicket> {
  const { finish } = await exchanged(members, atMs);
  const ticket = finish();
  if (ticket === undefined) throw new Error('the client discarded its ticket');
  return ticket;
}

const fault = async (action: Promise<unknown>): Promise<string> =>
  action.then(
    () => 'accepted',
    (error: MeshError) => `${error.status}/${error.extended ?? 0}`,
  );
const under = (ticket: HeldTicket, options: object = {}) =>
  build('Status', { Account: account }, [], { ticket, ...options });
const judged = (body: Uint8Array, options: object = {}) => fault(authenticate(body, { tickets: opener, ...options }));

/** Takes a request apart and puts it together with other entries. */
function withEntries(body: Uint8Array, change: (entry: SignatureEntry) => SignatureEntry[]): Uint8Array {
  const { header, payload, trailer, signatures } = openEnvelope(readEnvelope(body));
  const entries = change(signatures[0] as SignatureEntry);
  return writeEnvelope(makeEnvelope({ header, payload, trailer: { ...trailer, signatures: entries } }));
}

describe('[S30] the exchange', () => {
  it('gives both ends the same keys, and the ticket says who it is for', async () => {
    const ticket = await held();
    const opened = opener.open(ticket.ticket, nowMs);
    expect(opened?.id).toBe(ticket.id);
    expect(opened?.content).toMatchObject({ level: 'profile', account, service: domain, features: ['entry', 'page'] });
    const probe = new Uint8Array(200);
    expect(opened?.secrets.clientToServer.mac([probe])).toEqual(hmacSha512(ticket.clientToServer, probe));
    expect(opened?.secrets.serverToClient.mac([probe])).toEqual(hmacSha512(ticket.serverToClient, probe));
    expect(ticket.expiresMs).toBe(nowMs + ticketMsMax);
  });

  it('gives a replayed request another ticket, under keys that the replayer lacks', async () => {
    const [first, second] = [await held(), await held()];
    expect(first.id).not.toBe(second.id);
    expect(Buffer.from(first.clientToServer).equals(second.clientToServer)).toBe(false);
  });

  it('is discarded by the client when ticket, term, nonce, witness or host are others', async () => {
    const { response, finish } = await exchanged();
    const flipped = (octets: Uint8Array) =>
      Uint8Array.from(octets, (octet, at) => (at === 60 % octets.length ? octet ^ 1 : octet));
    const { Ticket = new Uint8Array(1), Witness = new Uint8Array(1), Expires = new Date() } = response;
    const nonce = (Public: Uint8Array) => ({ tag: 'PublicKeyECDH', value: { crv: 'X448', Public } }) as const;
    expect(finish()).toBeDefined();
    expect(finish({ Ticket: flipped(Ticket) })).toBeUndefined();
    expect(finish({ Expires: new Date(Expires.getTime() + 1000) })).toBeUndefined();
    expect(finish({ ServerNonce: nonce(generateX448().publicRaw) })).toBeUndefined();
    expect(finish({ ServerNonce: nonce(new Uint8Array(56)) })).toBeUndefined();
    expect(finish({ ServerNonce: undefined })).toBeUndefined();
    expect(finish({ Witness: flipped(Witness) })).toBeUndefined();
    expect(finish({ Witness: Witness.subarray(0, 31) })).toBeUndefined();
    expect(finish({}, newKey().publicKey.raw)).toBeUndefined();
  });

  it('refuses keys of the client that give nothing: zero, small order, another curve, another length', () => {
    const exchange = (Public: Uint8Array, crv = 'X448') => ({
      ClientNonce: { tag: 'PublicKeyECDH', value: { crv, Public } } as const,
    });
    const one = Uint8Array.from({ length: 56 }, (_, at) => (at === 0 ? 1 : 0));
    for (const bad of [exchange(new Uint8Array(56)), exchange(one), exchange(new Uint8Array(55)), {}]) {
      expect(() => clientNonceOf(bad)).toThrow(/ClientNonce/);
    }
    expect(() => clientNonceOf(exchange(generateX448().publicRaw, 'Ed448'))).toThrow(/no X448 key/);
  });
});

describe('[S31] sealing', () => {
  it('opens no ticket of which any octet was changed, and none that was cut', async () => {
    const { ticket } = await held();
    const open = (octets: Uint8Array) => openTicket((id) => ring.opening(id, nowMs), serviceUdf, octets);
    expect(open(ticket)).toBeDefined();
    for (let at = 0; at < ticket.length; at += 1) {
      const changed = Uint8Array.from(ticket);
      changed[at] = (changed[at] as number) ^ 0x10;
      expect(open(changed)).toBeUndefined();
      expect(open(ticket.subarray(0, at))).toBeUndefined();
    }
  });

  it('opens no ticket of another provider, though the key be the same', async () => {
    const { ticket } = await held();
    const other = new TicketOpener(
      () => ring,
      () => 'MDIR-PWP6-WKT7-BY44-23KZ-C7DI-YNZE',
    );
    expect(other.open(ticket, nowMs)).toBeUndefined();
  });

  it('answers 401/8 to a ticket of a retired key at once, also one that was in use, and to one that is over', async () => {
    const ticket = await held();
    let keys = ring;
    const tickets = new TicketOpener(
      () => keys,
      () => serviceUdf,
    );
    const { body } = await under(ticket);
    expect(await judged(body, { tickets })).toBe('accepted');
    expect(await judged(body, { tickets, nowMs: sealKey.notAfterMs })).toBe('401/21');
    keys = new TicketKeyRing([]);
    expect(await judged(body, { tickets })).toBe('401/8');
    const late = await under(ticket, { atMs: ticket.expiresMs });
    expect(await judged(late.body, { nowMs: ticket.expiresMs })).toBe('401/8');
    const last = await under(ticket, { atMs: ticket.expiresMs - 1 });
    expect(await judged(last.body, { nowMs: ticket.expiresMs - 1 })).toBe('accepted');
  });
});

describe('[S32] use', () => {
  it.each(['json', 'json-b'] as const)('authenticates its bearer (%s)', async (form) => {
    const { body } = await under(await held(), { form });
    const found = await authenticate(body, { tickets: opener }, form);
    expect(found).toMatchObject({ form: 'ticket', ticket: { content: { account, level: 'profile' } } });
  });

  it('refuses a MAC that is cut, changed, or made with the key of responses', async () => {
    const ticket = await held();
    const { body } = await under(ticket);
    const { payloadDigest } = receiveRequest(body, 'json');
    const input = requestInput(domain, payloadDigest, credDigest({}));
    const withMac = (signature: Uint8Array) => judged(withEntries(body, (entry) => [{ ...entry, signature }]));
    expect(await withMac(hmacSha512(ticket.clientToServer, input))).toBe('accepted');
    expect(await withMac(hmacSha512(ticket.clientToServer, input).subarray(0, 63))).toBe('401/10');
    expect(await withMac(new Uint8Array(64))).toBe('401/10');
    expect(await withMac(new Uint8Array(0))).toBe('401/10');
    expect(await withMac(hmacSha512(ticket.serverToClient, input))).toBe('401/10');
    const response = responseInput({
      ...{ service: domain, requestPayloadDigest: payloadDigest, responsePayloadDigest: payloadDigest },
      ...{ reqAuth: reqAuthOf([]), credDigest: credDigest({}) },
    });
    expect(await withMac(hmacSha512(ticket.serverToClient, response))).toBe('401/10');
  });

  it('refuses an Ed448 signature that is called a MAC, and a MAC that is called a signature', async () => {
    const ticket = await held();
    const { body } = await under(ticket);
    const { payloadDigest } = receiveRequest(body, 'json');
    const signature = device.authentication.sign(requestInput(domain, payloadDigest, credDigest({})));
    expect(await judged(withEntries(body, (entry) => [{ ...entry, signature }]))).toBe('401/10');
    expect(await judged(withEntries(body, (entry) => [{ ...entry, alg: 'S512-REQ1' }]))).toBe('401/10');
  });

  it('stands alone, under its own name, without credentials', async () => {
    const { body } = await under(await held());
    const signed = await build('Status', { Account: account }, [signer]);
    const second = openEnvelope(readEnvelope(signed.body)).signatures[0] as SignatureEntry;
    expect(await judged(withEntries(body, (entry) => [entry, second]))).toBe('401/10');
    expect(await judged(withEntries(body, (entry) => [second, entry]))).toBe('401/10');
    expect(await judged(withEntries(body, (entry) => [entry, entry]))).toBe('401/10');
    expect(await judged(withEntries(body, (entry) => [{ ...entry, kid: device.authentication.publicKey.udf }]))).toBe(
      '401/10',
    );
    for (const name of ['Profile', 'Connection', 'Account']) {
      const credential = { [name]: device.connection };
      expect(await judged(withEntries(body, (entry) => [{ ...entry, ...credential }]))).toBe('401/10');
    }
    expect(await judged(withEntries(body, (entry) => [{ ...entry, Ticket: undefined }]))).toBe('401/10');
  });

  it('does not authenticate where the payload is another', async () => {
    const ticket = await held();
    const [first, second] = [await under(ticket), await under(ticket)];
    const entry = openEnvelope(readEnvelope(first.body)).signatures[0] as SignatureEntry;
    expect(await judged(withEntries(second.body, () => [entry]))).toBe('401/10');
  });
});

describe('[S32] answers', () => {
  const answer = async (ticket: HeldTicket, prover: Parameters<typeof signResponse>[0] = ticket) => {
    const { body, sent } = await under(ticket);
    const { payloadDigest, entries } = receiveRequest(body, 'json');
    const payload = encodeTagged<Response>(responseTableOf('Status'), { Status: 201, ID: sent.id }, 'json');
    const answered = { service: domain, payloadDigest, reqAuth: reqAuthOf(entries) };
    return { sent, opened: openResponse('Status', await signResponse(prover, answered, payload)) };
  };

  it('are MACed under the ticket of the request, and no other will do', async () => {
    const [ticket, other] = [await held(), await held()];
    const { sent, opened } = await answer(ticket);
    expect(() => checkTicketResponse(opened, sent)).not.toThrow();
    const foreign = await answer(ticket, other);
    expect(() => checkTicketResponse(foreign.opened, foreign.sent)).toThrow(/another ticket/);
    const request = await answer(ticket, { id: ticket.id, serverToClient: ticket.clientToServer });
    expect(() => checkTicketResponse(request.opened, request.sent)).toThrow(/MAC does not hold/);
    const earlier = await answer(ticket);
    expect(() => checkTicketResponse(earlier.opened, sent)).toThrow(/MAC does not hold/);
  });

  it('may be signed by the host instead; a MAC never answers a signed request', async () => {
    const made = await makeHost();
    const { sent, opened } = await answer(await held(), made.identity);
    await expect(checkResponse(opened, sent, made.identity.signingKey.publicKey)).resolves.toBeUndefined();
    const maced = await answer(await held());
    const { ticket: _ticket, ...signed } = maced.sent;
    await expect(checkResponse(maced.opened, signed, made.identity.signingKey.publicKey)).rejects.toThrow(/MACed/);
    expect(() => checkTicketResponse(maced.opened, signed)).toThrow(/another ticket/);
    await made.remove();
  });
});

describe('[S33] limits', () => {
  it('ends after an hour, and with the chain of its signature', async () => {
    expect((await held()).expiresMs - nowMs).toBe(ticketMsMax);
    const signedAtMs = nowMs - ticketChainMsMax + 60_000;
    expect((await held({ signedAtMs })).expiresMs - nowMs).toBe(60_000);
    await expect(held({ signedAtMs: nowMs - ticketChainMsMax })).rejects.toMatchObject({ code: 'ticket' });
  });

  it('says its term in whole seconds, since the witness covers what the member can say', async () => {
    expect((await held({}, nowMs + 789)).expiresMs % 1000).toBe(0);
  });

  it('is good at its own service alone', async () => {
    const ticket = await held({ service: 'b.example' });
    const { body } = await under(ticket);
    expect(await judged(body)).toBe('401/8');
  });
});
