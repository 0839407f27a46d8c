/** Secrets are found in every form in which they may lie about; otherwise finding none would say nothing. */
import { describe, expect, it } from 'vitest';
import { keySecrets, type Secret, secretFinder, textSecret, udfSecrets } from './secret-forms.js';

const password = 'Löwe "7" \\ Gasse';
const secrets = [textSecret('password', password)];
const base64 = (octets: string | Uint8Array) => Buffer.from(octets as string).toString('base64');
const base64url = (octets: string | Uint8Array) => Buffer.from(octets as string).toString('base64url');
const hex = (octets: string | Uint8Array) => Buffer.from(octets as string).toString('hex');
const json = (text: string) => JSON.stringify({ Password: text });
const findSecrets = (of: readonly Secret[], octets: Uint8Array) => secretFinder(of)(octets);
const isFound = (stored: string | Uint8Array) => findSecrets(secrets, Buffer.from(stored as string)).length === 1;

describe('a secret is found', () => {
  it.each([
    ['as it is', `before ${password} after`],
    ['in JSON', json(password)],
    ['in JSON in JSON', json(json(password))],
    ['in JSON of ASCII alone', json(password).replaceAll('ö', '\\u00f6')],
    ['in base64', base64(json(password))],
    ['in base64url', base64url(`?${password}`)],
    ['in hexadecimal', `\\x${hex(password)}`],
    ['in capital hexadecimal', hex(password).toUpperCase()],
    ['in base64 in base64 in hexadecimal', hex(json(base64(json(base64url(json(password))))))],
    ['in octets', Buffer.concat([Buffer.from([0x80, 0xff, 0]), Buffer.from(password), Buffer.from([0xfe])])],
    ['in base64 four deep', json(base64url(json(base64url(json(base64url(json(base64url(json(password)))))))))],
  ])('%s', (_form, stored) => {
    expect(isFound(stored)).toBe(true);
  });

  it('wherever it begins in base64 whose beginning is something else', () => {
    for (const at of [0, 1, 2]) expect(isFound(`A${base64(`${'x'.repeat(at)}${password}zzz`)}`)).toBe(true);
  });

  it('of keys and codes: their octets in either direction, with and without dashes', () => {
    const key = Uint8Array.from({ length: 57 }, (_, at) => (at * 37) % 251);
    expect(findSecrets(keySecrets('key', key), Buffer.from(base64url(key)))).toEqual(['key']);
    expect(findSecrets(keySecrets('key', key), Uint8Array.from(key).reverse())).toEqual(['key, reversed']);
    const pin = 'NCTL-3W34-YRSJ-I4XT-L4';
    expect(findSecrets(udfSecrets('pin', pin), Buffer.from(json(pin)))).toEqual(['pin']);
    expect(findSecrets(udfSecrets('pin', pin), Buffer.from(pin.replaceAll('-', '')))).toContain('pin, without dashes');
  });
});

describe('nothing is found', () => {
  it('where it is not, and what is too short is not looked for', () => {
    expect(isFound(json('Löwe 7'))).toBe(false);
    expect(isFound(new Uint8Array(0))).toBe(false);
    expect(() => findSecrets([textSecret('code', '1234')], Buffer.from('x'))).toThrow(/too short/);
  });
});
