/** What a message says to the person who reads it, when the service that brought it lies (S41 kind 2, S61, S71). */

import { buildMessage, type MessageDraft } from '@meshd/client/message-build';
import { readSpoolFrame, type SpoolReading } from '@meshd/client/message-read';
import { sha512 } from '@meshd/crypto/digest';
import { importPublicKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { contentKeys, witnessOf } from '@meshd/dare/content-cipher';
import { coreOfFrame } from '@meshd/dare/core';
import { encryptContentTo } from '@meshd/dare/encrypt';
import { type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import type { SignatureEntry } from '@meshd/dare/header';
import { manifestKinds, recipientsObject, signManifest } from '@meshd/dare/manifest';
import { decryptionKeyFromSeed, unwrapMasterKey } from '@meshd/dare/recipients';
import { signatureEntry } from '@meshd/dare/sign';
import { messageBytesMax } from '@meshd/limits/limits';
import { Person } from '@meshd/shard/testing/person';
import { describe, expect, it } from 'vitest';

const alice = new Person('alice', { address: 'alice@alpha.test' });
const phone = alice.device();
const bob = 'bob@beta.test';
const seed = systemRandom(57);
const reading: SpoolReading = {
  ...{ key: decryptionKeyFromSeed('Ed448', seed), address: bob },
  ...{ service: undefined as never, marks: undefined as never },
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

  it('[R157] that offers a group is shown like any other', async () => {
    const offer = { Sender: alice.address, Group: 'choir@alpha.test' };
    expect(await shown(message({ type: 'OfferGroup' }, offer))).toEqual(offer);
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

  it('[S61] of which the body names nobody, or another recipient, is not shown', async () => {
    expect(await shown(message({}, { Text: 'hello' }))).toBe('the body names no sender');
    const forCarol = { Sender: alice.address, Recipient: 'carol@beta.test' };
    expect(await shown(message({}, forCarol))).toBe('the body names another recipient');
    expect(await shown(message({}, { ...forCarol, Recipient: bob }))).toMatchObject({ Recipient: bob });
  });
});

describe('[S61] the ciphertext of Alice', () => {
  const mallory = new Person('mallory', { address: 'mallory@alpha.test' });
  const theirs = mallory.device();
  const sent = openEnvelope(message());
  const [alices = {}] = sent.signatures;

  /** Mallory’s own manifest, connection and account over what Alice wrote, and an entry of her making. */
  function resigned(entry: Partial<SignatureEntry>, octets = sent): EnvelopeOctets {
    const { header, payload } = octets;
    const bare = openEnvelope(makeEnvelope({ header, payload }));
    const core = coreOfFrame(bare, sha512(payload as Uint8Array));
    const fields = {
      ...{ kind: manifestKinds.message, from: 0, index: 0, root: new Uint8Array(32), createdMs: Date.now() },
      ...{ subject: mallory.address, object: recipientsObject([bob]) },
    };
    const own = signatureEntry(theirs.signature, payload as Uint8Array, {
      Manifest: signManifest(theirs.signature, fields, core),
      ...{ Connection: theirs.connection, Account: mallory.profileAccount },
    });
    const { witness: _none, ...signed } = { ...own, ...entry };
    const proof = entry.witness === undefined ? signed : { ...signed, witness: entry.witness };
    const trailer = { signatures: [proof], PayloadDigest: sha512(payload as Uint8Array) };
    return makeEnvelope({ header, payload, trailer });
  }

  it('[S60] under the signature of an outsider is not decrypted: she cannot make its witness', async () => {
    expect(await shown(resigned({}))).toMatch(/did not prove to know the master key/);
    expect(await shown(resigned({ witness: new Uint8Array(64) }))).toMatch(/did not prove to know the master key/);
  });

  it('is not decrypted with her signature and witness taken along: that signature is another device’s', async () => {
    const { signature, witness } = alices;
    expect(await shown(resigned({ signature, witness }))).toMatch(/signature/);
    expect(await shown(resigned({ ...{ signature, witness }, kid: alices.kid }))).toMatch(/another key/);
  });

  it('under a manifest alone, without a signature that a witness could belong to, is no message', async () => {
    expect(await shown(resigned({ signature: undefined }))).toMatch(/beside an S512 signature/);
  });

  it('which a fellow recipient has signed again, witness and all, says whose it is', async () => {
    // She can read it, so she has the master key.
    const secret = unwrapMasterKey(sent.header.recipients ?? [], reading.key);
    const keys = contentKeys(secret, sent.header.Salt as Uint8Array);
    const signature = theirs.signature.sign(sha512(sent.payload as Uint8Array));
    expect(await shown(resigned({ signature, witness: witnessOf(keys, signature) }))).toBe(
      'the body names another sender',
    );
  });

  it('without its witness, or with a recipient whose master key is another one, is not shown', async () => {
    const { witness: _gone, ...entry } = alices;
    const trailer = { signatures: [entry], PayloadDigest: sha512(sent.payload as Uint8Array) };
    expect(await shown(makeEnvelope({ header: sent.header, payload: sent.payload, trailer }))).toMatch(/master key/);
    // One ciphertext that two recipients would read under two keys: the signer has vouched for one of them.
    const plain = Buffer.from(JSON.stringify({ Note: { Sender: mallory.address } }));
    const other = encryptContentTo({
      plain,
      recipients: [importPublicKey(readers[0] as Uint8Array)],
      random: systemRandom,
      pad: true,
    });
    const header = { ...sent.header, recipients: other.header.recipients };
    const made = openEnvelope(makeEnvelope({ header, payload: sent.payload }));
    const signature = theirs.signature.sign(sha512(sent.payload as Uint8Array));
    const first = contentKeys(
      unwrapMasterKey(sent.header.recipients ?? [], reading.key),
      sent.header.Salt as Uint8Array,
    );
    expect(await shown(resigned({ signature, witness: witnessOf(first, signature) }, made))).toMatch(/master key/);
  });
});
