import { type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { describe, expect, test } from 'vitest';
import { judgeEnvelope } from './dare-verdict.js';
import { profileKeys, vouchingKeys } from './profile-keys.js';

const keyOf = (fill: number) => signingKeyFromSeed(Buffer.alloc(57, fill));
const [victim, attacker] = [keyOf(1), keyOf(2)];

function named({ publicKey }: SigningKey, UDF = publicKey.udf) {
  const Public = Buffer.from(publicKey.raw).toString('base64url');
  return { UDF, PublicParameters: { PublicKeyECDH: { crv: 'Ed448', Public } } };
}

const signed = (value: object, ...keys: SigningKey[]) =>
  signEnvelope({ payload: Buffer.from(JSON.stringify(value)), keys });

/** The verdict without given keys, and what else the message holds. */
function judge(envelope: EnvelopeOctets, ...beside: EnvelopeOctets[]) {
  const { tag } = profileKeys(envelope.payload);
  const vouching = vouchingKeys(
    tag,
    beside.map(({ payload }) => profileKeys(payload)),
  );
  return judgeEnvelope(envelope, { given: [], ignoreKid: false, vouching });
}

describe('[S01] a profile vouches for itself by its offline key alone', () => {
  const listing = { KeyOfflineSignature: named(victim), KeysOnlineSignature: [named(attacker)] };
  const own = { KeyOfflineSignature: named(attacker), KeysOnlineSignature: [named(attacker)] };

  test.each(['ProfileMesh', 'ProfileService', 'ProfileAccount', 'ProfileDevice'])('%s', (tag) => {
    expect(judge(signed({ [tag]: listing }, victim))).toMatchObject({ valid: true });
    const forged = judge(signed({ [tag]: listing }, attacker));
    expect(forged).toMatchObject({ valid: false, signatures: [{ valid: true, trusted: false }] });
  });

  test('and no other profile lends it a key, but a Mesh to the account beside it', () => {
    const [mesh, account] = [signed({ ProfileMesh: own }, attacker), signed({ ProfileAccount: own }, attacker)];
    expect(judge(signed({ ProfileMesh: listing }, attacker), account).valid).toBe(false);
    const assertion = signed({ ProfileAccount: { KeyOfflineSignature: named(victim) } }, attacker);
    expect(judge(assertion, account).valid).toBe(false);
    expect(judge(assertion, mesh).valid).toBe(true);
  });

  test('what is no profile is vouched for by those beside it', () => {
    const connection = signed({ ConnectionHost: {} }, attacker);
    expect(judge(connection).valid).toBe(false);
    expect(judge(connection, signed({ ProfileService: listing }, victim)).valid).toBe(true);
  });
});

test.each([
  ['KeyAuthentication', named(attacker, victim.publicKey.udf)],
  ['KeysOnlineSignature', [named(attacker, victim.publicKey.udf)]],
])('[R305] a key under the name of another key: %s', (member, value) => {
  const profile = signed({ ProfileHost: { KeyOfflineSignature: named(victim), [member]: value } }, victim);
  expect(judge(profile)).toMatchObject({ valid: false, failure: expect.stringContaining(member) });
});

test('a name in lower case and without dashes is the name of the same key', () => {
  const bare = victim.publicKey.udf.replaceAll('-', '').toLowerCase();
  const profile = signed({ ProfileHost: { KeyOfflineSignature: named(victim, bare) } }, victim);
  expect(judge(profile).valid).toBe(true);
});
