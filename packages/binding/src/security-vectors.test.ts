import { readFileSync } from 'node:fs';
import { hmacSha512, sha512 } from '@meshd/crypto/digest';
import { importPublicKey, verify } from '@meshd/crypto/ed448';
import { x448FromSeed } from '@meshd/crypto/x448';
import { describe, expect, it } from 'vitest';
import {
  credDigest,
  reqAuth,
  requestInput,
  responseInput,
  ticketRequestAlgorithm,
  ticketResponseAlgorithm,
} from './credential.js';
import {
  exchangeSecret,
  isMac,
  ticketIdOf,
  ticketSecrets,
  ticketWitness,
  transcriptDigest,
  witnessKey,
} from './ticket-derivation.js';
import { encodeTicketContent, openTicket, sealTicket } from './ticket-seal.js';

interface Vector {
  readonly name: string;
  readonly kind: string;
  readonly input: Record<string, string>;
  readonly expected: Record<string, string | boolean>;
}

const file = new URL('../../../test/vectors/security.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: readonly Vector[] };
const ofKind = (kind: string) => vectors.filter((vector) => vector.kind === kind);
const octets = (text: string | boolean | undefined) => Buffer.from(String(text), 'base64url');
const utf8 = (text: string | undefined) => Buffer.from(text ?? '', 'utf8');

describe('vectors of requests and responses', () => {
  it.each(ofKind('requestSignature'))('[S21] $name', ({ input, expected }) => {
    const digest = sha512(utf8(input.payloadUtf8));
    const credentials = credDigest({
      profile: utf8(input.profilePayloadUtf8),
      connection: utf8(input.connectionPayloadUtf8),
      account: utf8(input.accountPayloadUtf8),
    });
    const signed = requestInput(input.service ?? '', digest, credentials);
    const signature = octets(expected.signature);
    expect(Buffer.from(digest)).toEqual(octets(expected.payloadDigest));
    expect(Buffer.from(credentials)).toEqual(octets(expected.credDigest));
    expect(Buffer.from(signed).toString('hex')).toBe(expected.signedHex);
    expect(verify(importPublicKey(octets(input.keyPublic)), signed, signature)).toBe(true);
    expect(Buffer.from(reqAuth([{ kid: input.kid ?? '', signature }]))).toEqual(octets(expected.reqAuth));
  });

  it.each(ofKind('responseSignature'))('[S22] $name', ({ input, expected }) => {
    const digest = sha512(utf8(input.payloadUtf8));
    const credentials = credDigest({
      profile: utf8(input.profilePayloadUtf8),
      connection: utf8(input.connectionPayloadUtf8),
    });
    const signed = responseInput({
      service: input.service ?? '',
      requestPayloadDigest: octets(input.requestPayloadDigest),
      reqAuth: octets(input.reqAuth),
      responsePayloadDigest: digest,
      credDigest: credentials,
    });
    expect(Buffer.from(digest)).toEqual(octets(expected.payloadDigest));
    expect(Buffer.from(credentials)).toEqual(octets(expected.credDigest));
    expect(Buffer.from(signed).toString('hex')).toBe(expected.signedHex);
    expect(verify(importPublicKey(octets(input.hostPublic)), signed, octets(expected.signature))).toBe(true);
  });

  it.each(ofKind('negative').filter(({ name }) => name.startsWith('request-')))('[S02] [S21] $name', ({ input }) => {
    const digest = sha512(utf8(input.payloadUtf8));
    const key = importPublicKey(octets(input.keyPublic));
    const signature = octets(input.signature);
    // It is a good signature of a stored object, and so none of a request whatever the credentials are.
    expect(verify(key, digest, signature)).toBe(true);
    expect(verify(key, requestInput(input.service ?? '', digest, credDigest({})), signature)).toBe(false);
  });

  it.each(ofKind('reqAuthEmpty'))('[S22] [S23] $name', ({ input, expected }) => {
    expect(Buffer.from(sha512(utf8(input.payloadUtf8)))).toEqual(octets(expected.payloadDigest));
    expect(Buffer.from(reqAuth([]))).toEqual(octets(expected.reqAuth));
  });
});

const hexOf = (value: Uint8Array) => Buffer.from(value).toString('hex');
const hex = (text: string | boolean | undefined) => Buffer.from(String(text), 'hex');

describe('vectors of tickets', () => {
  it.each(ofKind('ticketExchange'))('[S30] $name', ({ input, expected }) => {
    const client = x448FromSeed(octets(input.clientEphemeralPrivate));
    const host = x448FromSeed(octets(input.hostEphemeralPrivate));
    expect(Buffer.from(client.publicRaw)).toEqual(octets(input.clientEphemeralPublic));
    const shared = client.agree(octets(input.hostEphemeralPublic));
    expect(hexOf(shared)).toBe(expected.ikmHex);
    expect(hexOf(host.agree(octets(input.clientEphemeralPublic)))).toBe(expected.ikmHex);
    const transcript = {
      service: input.service ?? '',
      requesterKey: octets(input.clientSigningPublic),
      clientNonce: octets(input.clientEphemeralPublic),
      hostKey: octets(input.hostPublic),
      serverNonce: octets(input.hostEphemeralPublic),
      requestPayloadDigest: octets(input.requestPayloadDigest),
      reqAuth: octets(input.reqAuth),
    };
    expect(Buffer.from(transcriptDigest(transcript))).toEqual(octets(expected.transcript));
    const prk = exchangeSecret(transcript, shared);
    const { clientToServer, serverToClient } = ticketSecrets(prk);
    const ticket = octets(input.ticket);
    expect(hexOf(prk)).toBe(expected.prkHex);
    expect(hexOf(clientToServer)).toBe(expected.clientToServerHex);
    expect(hexOf(serverToClient)).toBe(expected.serverToClientHex);
    expect(hexOf(witnessKey(prk))).toBe(expected.witnessKeyHex);
    expect(Buffer.from(ticketWitness(prk, ticket, Number(input.expiresMs)))).toEqual(octets(expected.witness));
    expect(ticketIdOf(ticket)).toBe(expected.ticketId);
  });

  it.each(ofKind('ticketSeal'))('[S31] $name', ({ input, expected }) => {
    const content = {
      level: 'profile' as const,
      issuedMs: Number(input.issuedMs),
      expiresMs: Number(input.expiresMs),
      signedAtMs: Number(input.signedAtMs),
      service: input.service ?? '',
      account: input.account ?? '',
      accountUdf: input.accountUdf ?? '',
      deviceUdf: input.deviceUdf ?? '',
      key: octets(input.authPublic),
      connectionDigest: octets(input.connectionDigest),
      features: input.features?.split(' ') ?? [],
      prk: hex(input.prkHex),
    };
    const sealKey = { keyId: hex(input.keyIdHex), key: hex(input.sealKeyHex) };
    const serviceUdf = input.serviceUdf ?? '';
    expect(hexOf(encodeTicketContent(content))).toBe(expected.plainHex);
    const ticket = sealTicket(sealKey, serviceUdf, content, () => hex(input.saltHex));
    expect(Buffer.from(ticket)).toEqual(octets(expected.ticket));
    expect(openTicket(() => sealKey, serviceUdf, ticket)).toEqual(content);
  });

  it.each(ofKind('ticketMac'))('[S32] $name', ({ input, expected }) => {
    const service = input.service ?? '';
    const requestPayloadDigest = sha512(utf8(input.payloadUtf8));
    const nothing = credDigest({});
    const asked = requestInput(service, requestPayloadDigest, nothing);
    const requestMac = hmacSha512(hex(input.clientToServerHex), asked);
    expect(ticketRequestAlgorithm).toBe(expected.requestAlg);
    expect(hexOf(asked)).toBe(expected.requestInputHex);
    expect(Buffer.from(requestMac)).toEqual(octets(expected.requestMac));
    const auth = reqAuth([{ kid: input.ticketId ?? '', signature: requestMac }]);
    expect(Buffer.from(auth)).toEqual(octets(expected.reqAuth));
    const responsePayloadDigest = sha512(utf8(input.responsePayloadUtf8));
    const answered = responseInput({
      service,
      requestPayloadDigest,
      reqAuth: auth,
      responsePayloadDigest,
      credDigest: nothing,
    });
    expect(ticketResponseAlgorithm).toBe(expected.responseAlg);
    expect(hexOf(answered)).toBe(expected.responseInputHex);
    expect(isMac(hex(input.serverToClientHex), answered, octets(expected.responseMac))).toBe(true);
  });
});
