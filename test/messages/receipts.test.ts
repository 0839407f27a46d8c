/** What counts as another service's word that it took a message (S81). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyHost, verifyService } from '@meshd/binding/host-chain';
import type { HostIdentity } from '@meshd/binding/host-files';
import { sha512 } from '@meshd/crypto/digest';
import { coreOfFrame } from '@meshd/dare/core';
import { type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import type { CarryOutcome, LeasedRow } from '@meshd/outbound/carrier';
import type { Peers } from '@meshd/outbound/peers';
import { postCarrier } from '@meshd/outbound/post-carrier';
import { type JudgeHost, ReceiptError, verifyReceipt } from '@meshd/outbound/receipt';
import { makeReceipt, type ReceiptFields } from '@meshd/shard/message/receipt';
import { Person } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeIdentity } from '../client/scripted-service.js';
import { draftOf } from './foreign-kit.js';

const bob = 'bob@beta.test';
const alice = new Person('alice', { address: 'alice@alpha.test' });
const sender = { person: alice, device: alice.device() };
let folder: string;
let beta: HostIdentity;
let other: HostIdentity;
let row: LeasedRow;
let fields: ReceiptFields;

function coreOf({ header, payload }: EnvelopeOctets): Uint8Array {
  return coreOfFrame(openEnvelope({ header, payload, trailer: null }), sha512(payload ?? new Uint8Array(0)));
}

/** A message as it lies in the outbox. */
function leased(): LeasedRow {
  const message = draftOf(sender, { to: [bob] });
  return {
    id: 1,
    message,
    payloadDigest: sha512(message.payload ?? new Uint8Array(0)),
    bytes: 1000,
    sender: alice.address,
    recipient: bob,
  };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-receipts-'));
  [beta, other] = (await Promise.all([
    makeIdentity(join(folder, 'beta'), { domains: ['beta.test'] }),
    makeIdentity(join(folder, 'other'), { domains: ['beta.test'] }),
  ])) as [HostIdentity, HostIdentity];
  row = leased();
  fields = {
    ...{ service: 'beta.test', senderService: 'alpha.test', recipient: bob, core: coreOf(row.message) },
    ...{ receiptId: 'NAAA', timeMs: Date.now() },
  };
});
afterAll(() => rm(folder, { recursive: true }));

/** Hosts of the service that was pinned for the recipient's domain, in force now. */
const pinned: JudgeHost = async (profileHost, connectionHost) =>
  verifyHost(await verifyService(beta.profileService), profileHost, connectionHost, 'beta.test', Date.now());

const judge = (receipt: EnvelopeOctets) =>
  verifyReceipt(receipt, row, pinned).then(
    () => 'holds',
    (error) => (error instanceof ReceiptError ? error.message : String(error)),
  );
const changed = async (more: Partial<ReceiptFields>) => judge(await makeReceipt(beta, { ...fields, ...more }));

describe('[S81] a receipt', () => {
  it('of the recipient’s service for this very message holds', async () => {
    expect(await changed({})).toBe('holds');
  });

  it('for another message, recipient or service is none', async () => {
    expect(await changed({ core: coreOf(leased().message) })).toBe('the receipt is for another message');
    expect(await changed({ recipient: 'carol@beta.test' })).toBe('the receipt names another recipient');
    expect(await changed({ service: 'evil.test' })).toBe('the receipt is of another service');
    expect(await changed({ senderService: 'evil.test' })).toBe('the receipt is for another service');
    expect(await changed({ receiptId: '' })).toBe('the receipt has no name or no time');
  });

  it('of a host that the pinned service did not name is none, whatever domain it says', async () => {
    expect(await judge(await makeReceipt(other, fields))).toMatch(/^the receipt does not hold: /);
  });

  it('without credentials, without signature, or with a changed word is none', async () => {
    const { header, payload, signatures, payloadDigest } = openEnvelope(await makeReceipt(beta, fields));
    const [{ Profile: _profile, Connection: _connection, ...bare } = {}] = signatures;
    const trailer = { PayloadDigest: payloadDigest as Uint8Array };
    expect(await judge(makeEnvelope({ header, payload, trailer: { ...trailer, signatures: [bare] } }))).toMatch(
      /which host/,
    );
    expect(await judge(makeEnvelope({ header, payload, trailer: { ...trailer, signatures: [] } }))).toMatch(
      /which host/,
    );
    const text = Buffer.from(payload ?? [])
      .toString()
      .replace('NAAA', 'NBBB');
    expect(
      await judge(makeEnvelope({ header, payload: Buffer.from(text), trailer: { signatures: [...signatures] } })),
    ).toMatch(/does not hold/);
  });

  it('that is none leaves the message delivered, without proof, and is counted', async () => {
    const forged = await makeReceipt(beta, { ...fields, core: new Uint8Array(64) });
    const entry = { IndexRequest: 0, Account: bob, Result: 'Accept', Receipt: forged };
    const told: unknown[] = [];
    const peers = {
      connection: () => ({ post: async () => ({ status: 201, succeeded: true, message: { Entries: [entry] } }) }),
      judgeHost: () => pinned,
    } as unknown as Peers;
    const carrier = postCarrier({ peers, onReceipt: (_domain, receipt) => told.push(receipt) });
    const outcome: CarryOutcome = await carrier.carry('beta.test', [row], Date.now() + 5000);
    expect(outcome.kind === 'answered' && outcome.results.get(row)).toEqual({ kind: 'delivered', receipt: undefined });
    expect(told).toEqual([expect.any(ReceiptError)]);
  });
});
