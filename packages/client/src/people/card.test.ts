import { type EnvelopeOctets, makeEnvelope, openEnvelope, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { describe, expect, it } from 'vitest';
import { accountKeys, type Correspondent } from '../contact-entry.js';
import { changedContact } from '../operations/contacts.js';
import { makeCard, readCard, requireFingerprint } from './card.js';
import { comparisonCode } from './comparison.js';
import { contactLink, isContactLink, readContactLink } from './contact-link.js';
import { newerProfile, readIntroduction, standingOf } from './exchange.js';
import { Someone } from './people.fixture.js';

const alice = new Someone('alice@alpha.test');
const bob = new Someone('bob@beta.test');
const mallory = new Someone('alice@alpha.test');
const cardOf = (person: Someone, name = 'Alice') => makeCard({ ...person.sender, name });
const told = (work: Promise<unknown>) => work.then(() => 'taken').catch(({ code, message }) => `${code}: ${message}`);

/** A card with its contact or its proof changed. */
function altered(octets: EnvelopeOctets, change: { payload?: Uint8Array; entry?: object }): EnvelopeOctets {
  const { header, payload, signatures } = openEnvelope(octets);
  const trailer = { signatures: [{ ...signatures[0], ...change.entry }] };
  return makeEnvelope({ header, payload: change.payload ?? payload, trailer });
}

describe('[R161] a contact card', () => {
  it('says who it is, and is read back from a file', async () => {
    const octets = readEnvelope(writeEnvelope(cardOf(alice), 'json'));
    expect(await readCard(octets)).toMatchObject({
      ...{ address: 'alice@alpha.test', name: 'Alice', accountUdf: alice.identity.accountUdf },
    });
    expect(await readCard(octets, 'alice@alpha.test')).toMatchObject({ name: 'Alice' });
  });

  it('as earlier versions wrote it, a bare profile, is taken too', async () => {
    const { accountUdf } = await readCard(bob.identity.profileAccount);
    expect(accountUdf).toBe(bob.identity.accountUdf);
  });

  it('that was altered is refused: name, address, key, signature', async () => {
    const octets = cardOf(alice);
    const text = Buffer.from(octets.payload ?? []).toString('utf8');
    const renamed = Buffer.from(text.replace('Alice', 'Alicf'));
    expect(await told(readCard(altered(octets, { payload: renamed })))).toMatch(/^profile: the card is refused/);
    const moved = Buffer.from(text.replaceAll('alice@alpha.test', 'alice@evil.test'));
    expect(await told(readCard(altered(octets, { payload: moved })))).toMatch(/^profile/);
    expect(await told(readCard(altered(octets, { entry: { Account: mallory.identity.profileAccount } })))).toMatch(
      /^profile/,
    );
    expect(await told(readCard(altered(octets, { entry: { Connection: undefined } })))).toMatch(
      /no Account and Connection/,
    );
    expect(await told(readCard(octets, 'bob@beta.test'))).toMatch(/^profile: the card of bob@beta.test is refused/);
  });

  it('signed by one account about the key of another is refused', async () => {
    const profileAccount = mallory.identity.profileAccount;
    const about = openEnvelope(
      makeCard({ ...mallory.sender, profileAccount: alice.identity.profileAccount, name: '' }),
    );
    const octets = makeEnvelope({
      ...{ header: about.header, payload: about.payload },
      trailer: { signatures: [{ ...about.signatures[0], Account: profileAccount }] },
    });
    expect(await told(readCard(octets))).toMatch(/another account than the one that has signed it/);
  });

  it('of another account than the fingerprint says is refused', async () => {
    const card = await readCard(cardOf(alice));
    expect(() => requireFingerprint(card, alice.identity.accountUdf.toLowerCase())).not.toThrow();
    expect(() => requireFingerprint(card, mallory.identity.accountUdf)).toThrow(/not of M/);
    expect(() => requireFingerprint(card, 'nonsense!')).toThrow(/not of nonsense!/);
  });
});

describe('a link', () => {
  it('is short enough for a code that a camera reads, and says address and account', () => {
    const link = { address: 'alice@alpha.test', accountUdf: alice.identity.accountUdf };
    const text = contactLink(link);
    expect(text.length).toBeLessThan(100);
    expect(isContactLink(text)).toBe(true);
    expect(readContactLink(text)).toEqual(link);
  });

  it.each(['mmm:alice@alpha.test', 'mmm:nobody?account=MDBJ-Z3NH', 'mmm:alice@alpha.test?account=!', 'mmm:'])(
    'that is none is refused: %s',
    (text) => {
      expect(() => readContactLink(text)).toThrow(/that is no link to a contact/);
    },
  );
});

describe('[S72] the code that people compare', () => {
  const rawOf = ({ keys }: Someone) => keys.key('accountOffline').publicKey.raw;

  it('is the same at both ends, 28 characters', () => {
    const code = comparisonCode(rawOf(alice), rawOf(bob));
    expect(code).toMatch(/^([A-Z2-7]{4}-){6}[A-Z2-7]{4}$/);
    expect(comparisonCode(rawOf(bob), rawOf(alice))).toBe(code);
  });

  it('is another one where a service has put another account in between', () => {
    expect(comparisonCode(rawOf(mallory), rawOf(bob))).not.toBe(comparisonCode(rawOf(alice), rawOf(bob)));
  });
});

describe('an introduction', () => {
  const request = (from: Someone, card: EnvelopeOctets) => {
    const Self = JSON.parse(Buffer.from(writeEnvelope(card, 'json')).toString('utf8'));
    return bob.read(from.say(bob, 'RequestContact', { Reply: true, Subject: 'choir', Self }));
  };

  it('[R161] shows the card of the account that has sent it', async () => {
    const shown = await readIntroduction(await request(alice, cardOf(alice)));
    expect(shown).toMatchObject({ wantsReply: true, subject: 'choir', card: { name: 'Alice' } });
    expect(standingOf(shown.card, undefined)).toBe('new');
  });

  it('with the card of another account under that address shows nobody', async () => {
    expect(await told(request(mallory, cardOf(alice)).then(readIntroduction))).toMatch(/that of another account/);
    expect(await told(request(alice, cardOf(bob)).then(readIntroduction))).toMatch(/^profile/);
  });

  it('[S72] of another account than the one that is known, or was shown in person, is told apart', async () => {
    const { card } = await readIntroduction(await request(mallory, cardOf(mallory)));
    const known: Correspondent = {
      ...{ key: 'K', address: alice.address, permissions: ['*'], name: '', isVerified: false },
      account: (await readCard(cardOf(alice))).account,
    };
    expect(standingOf(card, known)).toBe('changed');
    expect(standingOf(card, { ...known, account: undefined })).toBe('new');
    const expected = { ...known, account: undefined, expectedUdf: alice.identity.accountUdf };
    expect(standingOf(card, expected)).toBe('changed');
    for (const before of [known, expected]) {
      expect(() => changedContact(before, { address: alice.address, card }, () => 'N')).toThrow(
        /another account before/,
      );
    }
  });
});

describe('what is kept of a person', () => {
  const { address } = alice;
  const key = () => 'NEW';

  it('[S72] is verified where the account was shown in person and answered, and stays so', async () => {
    const card = await readCard(cardOf(alice));
    const asked = changedContact(
      undefined,
      { address, permissions: ['ReplyContact'], expectedUdf: card.accountUdf },
      key,
    );
    expect(asked).toMatchObject({ key: 'NEW', isVerified: false, permissions: ['ReplyContact'] });
    const answered = changedContact(asked, { address, card }, key);
    expect(answered).toMatchObject({ name: 'Alice', permissions: ['*'], isVerified: true, expectedUdf: undefined });
    expect(changedContact(answered, { address, permissions: ['Note'] }, key)).toMatchObject({
      ...{ permissions: ['Note'], isVerified: true, name: 'Alice' },
    });
  });

  it('is not verified by an answer alone, and whoever is blocked stays so', async () => {
    const card = await readCard(cardOf(alice));
    const blocked = changedContact(undefined, { address, permissions: [] }, key);
    expect(changedContact(blocked, { address, card }, key)).toMatchObject({ permissions: [], isVerified: false });
  });

  it('[S72] is the newer profile of one account', async () => {
    const { account } = await readCard(cardOf(alice));
    const older = { ...account, Updated: new Date(0) };
    expect(newerProfile(account, older)).toBe(account);
    expect(newerProfile(older, account)).toBe(account);
    expect(accountKeys(older).udf).toBe(accountKeys(account).udf);
  });
});
