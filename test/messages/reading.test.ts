/** What a message says to the person who reads it, when the service that brought it lies (S41 kind 2, S61, S71). */

import { buildMessage, type MessageDraft } from '@meshd/client/message-build';
import { readSpoolFrame, type SpoolReading } from '@meshd/client/message-read';
import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { messageBytesMax } from '@meshd/limits/limits';
import { Person } from '@meshd/shard/testing/person';
import { describe, expect, it } from 'vitest';

const alice = new Person('alice', { address: 'alice@alpha.test' });
const phone = alice.device();
const bob = 'bob@beta.test';
const seed = systemRandom(57);
const reading: SpoolReading = {
  ...{ key: decryptionKeyFromSeed('Ed448', seed), address: bob },
  service: undefined as never,
};
const readers = [signingKeyFromSeed(seed).publicKey.raw];

function message(more: Partial<MessageDraft> = {}, body: object = { Sender: alice.address, Text: 'hello' }) {
  const type = more.type ?? 'Note';
  const draft = {
    type,
    uniqueId: 'ONE',
    recipient: bob,
    readers,
    body: Buffer.from(JSON.stringify({ [type]: body })),
    ...more,
  };
  const sender = {
    ...{ address: alice.address, signer: phone.signature },
    ...{ connectionAccount: phone.connection, profileAccount: alice.profileAccount },
  };
  return buildMessage(draft, sender, { nowMs: Date.now(), random: systemRandom }, messageBytesMax);
}

/** What the reader shows, or why he shows nothing. */
async function shown(octets: EnvelopeOctets): Promise<unknown> {
  const frame = await readSpoolFrame(octets, 1, reading);
  return frame.kind === 'message' ? frame.body : 'reason' in frame ? frame.reason : frame.kind;
}

describe('[S61] [S71] a message', () => {
  it('is shown with its sender when all holds', async () => {
    expect(await readSpoolFrame(message(), 1, reading)).toMatchObject({
      ...{ kind: 'message', sender: alice.address, recipients: [bob], isEncrypted: true },
      body: { Text: 'hello' },
    });
  });

  it('of which the body names another sender, or is of another type, is not shown', async () => {
    expect(await shown(message({}, { Sender: 'carol@alpha.test' }))).toBe('the body names another sender');
    const Note = Buffer.from(JSON.stringify({ Invoice: {} }));
    expect(await shown(message({ body: Note }))).toBe('the body is of another type than the message says');
    expect(await shown(message({ readers: [] }, { Sender: 'carol@alpha.test' }))).toMatch(/Sender is another account$/);
  });

  it('that was made for somebody else is not shown, though it can be decrypted', async () => {
    expect(await shown(message({ recipient: 'carol@beta.test' }))).toBe('it was not sent to this account');
  });

  it('[S41] of which anything was changed on the way is not shown', async () => {
    const sent = message();
    const { header, payload, signatures } = openEnvelope(sent);
    const trailer = { signatures: [...signatures] };
    const renamed = Buffer.from(
      Buffer.from(header.ContentMetaData ?? [])
        .toString()
        .replace('"ONE"', '"TWO"'),
    );
    const salted = Buffer.from(header.Salt ?? []).map((octet) => octet ^ 1);
    const cut = (payload ?? new Uint8Array(0)).map((octet, at) => (at === 0 ? octet ^ 1 : octet));
    for (const changed of [
      makeEnvelope({ header: { ...header, ContentMetaData: renamed }, payload, trailer }),
      makeEnvelope({ header: { ...header, Salt: salted }, payload, trailer }),
      makeEnvelope({ header: { ...header, recipients: [] }, payload, trailer }),
      makeEnvelope({ header, payload: cut, trailer }),
    ]) {
      const frame = await readSpoolFrame(changed, 1, reading);
      expect(frame.kind).toBe('refused');
    }
  });

  it('[S61] of which the cipher text is under another’s signature is not shown', async () => {
    const mallory = new Person('mallory', { address: 'mallory@alpha.test' });
    const theirs = mallory.device();
    const sent = openEnvelope(message());
    const sender = { address: mallory.address, signer: theirs.signature };
    const own = openEnvelope(
      buildMessage(
        { type: 'Note', uniqueId: 'ONE', recipient: bob, readers, body: Buffer.from('{"Note":{}}') },
        { ...sender, connectionAccount: theirs.connection, profileAccount: mallory.profileAccount },
        { nowMs: Date.now(), random: systemRandom },
        messageBytesMax,
      ),
    );
    // Mallory's signature beside what Alice wrote.
    const stolen = makeEnvelope({
      header: sent.header,
      payload: sent.payload,
      trailer: { signatures: [...own.signatures] },
    });
    expect((await readSpoolFrame(stolen, 1, reading)).kind).toBe('refused');
  });
});
