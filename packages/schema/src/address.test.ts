import { lanesPerDestination } from '@meshd/limits/limits';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  AddressError,
  canonicalAddress,
  canonicalDomain,
  invalidLocalCharacters,
  laneOfRecipient,
  parseAddress,
  slotCount,
  slotOfAddress,
  slotOfName,
  slotOfText,
} from './address.js';
import { MeshError } from './status.js';

function refusalOf(text: string): AddressError {
  try {
    canonicalAddress(text);
  } catch (error) {
    if (error instanceof AddressError) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

describe('canonical account addresses', () => {
  test.each([
    ['alice@example.com', 'alice@example.com'],
    ['Alice@Example.COM', 'alice@example.com'],
    ['alice@example.com.', 'alice@example.com'],
    ['a.b_c-d+e@xn--bcher-kva.example', 'a.b_c-d+e@xn--bcher-kva.example'],
    ['7@localhost', '7@localhost'],
    [`${'a'.repeat(64)}@a.b`, `${'a'.repeat(64)}@a.b`],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
    const { local, domain } = parseAddress(text);
    expect(`${local}@${domain}`).toBe(canonical);
  });

  test.each([
    ['alice', ''],
    ['@example.com', ''],
    ['@service', ''],
    ['alice@', ''],
    ['.alice@example.com', '.'],
    ['alice.@example.com', '.'],
    ['al..ice@example.com', '..'],
    ['al.-ice@example.com', '.-'],
    [`${'a'.repeat(65)}@example.com`, ''],
    ['\u0001'.repeat(1_000_000), ''],
    ['al ice@example.com', ' '],
    ['alice\u0000@example.com', '\u0000'],
    ['../alice@example.com', '/'],
    ['alice\\@example.com', '\\'],
    ['аlice@example.com', 'а'],
    ['bücher@example.com', 'ü'],
    ['\u212Aate@example.com', '\u212A'],
    ['alice\u200b@example.com', '\u200b'],
    ['a@b@example.com', '@'],
    ['alice@exa_mple.com', '_'],
    ['alice@bücher.example', 'ü'],
    ['alice@example..com', ''],
    ['alice@-example.com', ''],
    ['alice@example-.com', ''],
    ['alice@example.com..', ''],
    ['alice@127.0.0.1', ''],
    ['alice@[::1]', '[:]'],
    [`alice@${'a'.repeat(64)}.com`, ''],
    [`alice@${'a.'.repeat(127)}com`, ''],
    ['', ''],
  ])('%j is refused and the fault named', (text, offending) => {
    const refusal = refusalOf(text);
    expect(refusal).toBeInstanceOf(MeshError);
    expect(refusal.code).toBe('malformed');
    expect(refusal.offending).toBe(offending);
    expect(refusal.description.isWellFormed()).toBe(true);
  });

  test('lone surrogates do not get into answers', () => {
    expect(refusalOf('al\ud800ice@example.com').offending.isWellFormed()).toBe(true);
  });

  test('what is canonical stays as it is, and nothing but the written form gets through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ maxLength: 20 }), (local, domain) => {
        let canonical: string;
        try {
          canonical = canonicalAddress(`${local}@${domain}`);
        } catch (error) {
          expect(error).toBeInstanceOf(AddressError);
          return;
        }
        expect(canonicalAddress(canonical)).toBe(canonical);
        expect(canonical).toMatch(/^[a-z0-9._+-]{1,64}@[a-z0-9.-]+$/);
      }),
    );
  });

  test('[R226] every printable ASCII character that is refused is listed, and no other', () => {
    for (let code = 0x20; code < 0x7f; code++) {
      const character = String.fromCharCode(code);
      const listed = invalidLocalCharacters.includes(character);
      if (listed) expect(refusalOf(`a${character}b@example.com`)).toBeInstanceOf(AddressError);
      else expect(canonicalAddress(`a${character}b@example.com`)).toContain(character.toLowerCase());
    }
  });

  test('domains alone', () => {
    expect(canonicalDomain('Example.COM.')).toBe('example.com');
    expect(() => canonicalDomain('')).toThrow(AddressError);
    expect(() => canonicalDomain('.')).toThrow(AddressError);
    expect(() => canonicalDomain('a b')).toThrow(AddressError);
  });
});

describe('slots', () => {
  test('12 bits of the digest of the canonical address', () => {
    expect(slotOfAddress('alice@example.com')).toBe(4088);
    expect(slotOfAddress('ALICE@example.com.')).toBe(4088);
    expect(slotOfName('ALICE@example.com.')).toBe(4088);
    expect(slotOfName('MDLQ-7F2A')).toBe(slotOfText('MDLQ-7F2A'));
  });

  test('spread over all of them', () => {
    const seen = new Set(Array.from({ length: 40_000 }, (_, index) => slotOfAddress(`user${index}@example.com`)));
    expect(seen.size).toBeGreaterThan(slotCount - 10);
    expect(Math.max(...seen)).toBeLessThan(slotCount);
  });
});

describe('lanes', () => {
  test('the first 32 bits of the digest of the canonical address', () => {
    // sha256('alice@example.com') begins with ff8d9819
    expect(laneOfRecipient('alice@example.com')).toBe(0xff8d9819 % lanesPerDestination);
    expect(laneOfRecipient('ALICE@example.com.')).toBe(laneOfRecipient('alice@example.com'));
  });

  test('all are used', () => {
    const seen = new Set(Array.from({ length: 1000 }, (_, index) => laneOfRecipient(`user${index}@example.com`)));
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: lanesPerDestination }, (_, lane) => lane));
  });
});
