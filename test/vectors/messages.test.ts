/** The draft's own messages, octet for octet: what a reader of the tables makes of them. */
import { readFileSync } from 'node:fs';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { decodeTagged, type TagRegistry, type Tagged } from '@meshd/encoding/codec';
import { publicKeyOf, verifyAccountAssertion, verifyProfile } from '@meshd/schema/profile-check';
import { type CreateRequest, type MeshHelloResponse, requestRegistry, responseRegistry } from '@meshd/schema/protocol';
import { describe, expect, test } from 'vitest';

interface Vector {
  readonly name: string;
  readonly input: { readonly text: string };
  readonly expected: {
    readonly tag: string;
    readonly members: readonly string[];
    readonly envelopes: number;
    readonly Status?: number;
  };
}

const { vectors } = JSON.parse(readFileSync(new URL('messages.json', import.meta.url), 'utf8')) as { vectors: Vector[] };
const requirements: Record<string, string> = {
  'hello-request': '[R063] [R108]',
  'hello-response': '[R070] [R108] [R304]',
  'create-account-request': '[R113]',
  'create-account-response': '[R114] [R303]',
};

function vectorOf(name: string): Vector {
  const found = vectors.find((vector) => vector.name === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return found;
}

function decode({ input, expected }: Vector): Tagged<Record<string, unknown>> {
  const isResponse = expected.tag.endsWith('Response');
  const registry: TagRegistry = isResponse ? responseRegistry : requestRegistry;
  const octets = new TextEncoder().encode(input.text);
  return decodeTagged(registry, octets, { form: 'json', refuseRepeated: true }) as Tagged<Record<string, unknown>>;
}

const isEnvelope = (value: unknown): value is EnvelopeOctets =>
  typeof value === 'object' && value !== null && 'header' in value && 'trailer' in value;

describe('messages printed in the draft', () => {
  test.each(vectors.map((vector) => ({ ...vector, ids: requirements[vector.name] ?? '' })))(
    '$name is read by its table $ids',
    (vector) => {
      const { tag, value } = decode(vector);
      const { expected } = vector;
      expect(tag).toBe(expected.tag);
      expect(Object.keys(value)).toEqual(expected.members);
      expect(Object.values(value).filter(isEnvelope)).toHaveLength(expected.envelopes);
      expect(value['Status']).toBe(expected.Status);
    },
  );

  test('[R070] [R304] the version that the Hello response states', () => {
    const { Version } = decode(vectorOf('hello-response')).value as MeshHelloResponse;
    expect(Version).toEqual({ Major: 3, Minor: 0, Encodings: [{ ID: ['application/json'] }] });
  });

  test('[R070] [R302] [R305] both profiles of the Hello response hold', async () => {
    const response = decode(vectorOf('hello-response')).value as MeshHelloResponse;
    await verifyProfile(response.EnvelopedProfileService as EnvelopeOctets, 'ProfileService');
    const { profile } = await verifyProfile(response.EnvelopedProfileHost as EnvelopeOctets, 'ProfileHost');
    expect(publicKeyOf(profile.KeyAuthentication ?? {}).udf).toBe(profile.KeyAuthentication?.UDF);
  });

  test('[R113] [R302] the account of the CreateAccount request belongs to its Mesh and its address', async () => {
    const request = decode(vectorOf('create-account-request')).value as CreateRequest;
    const mesh = await verifyProfile(request.SignedProfileMesh as EnvelopeOctets, 'ProfileMesh');
    const assertion = request.SignedAssertionAccount as EnvelopeOctets;
    const account = await verifyAccountAssertion(assertion, mesh, request.ServiceID ?? '');
    expect(account.signers.map(({ udf }) => udf)).toEqual([mesh.profile.KeysOnlineSignature?.[0]?.UDF]);
    await expect(verifyAccountAssertion(assertion, mesh, 'mallory@example.com')).rejects.toThrow('address');
  });
});
