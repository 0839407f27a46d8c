/** What the service makes of a header when it removes the body (S64): the core stays, and so does every other octet. */
import { sha512 } from '@meshd/crypto/digest';
import { describe, expect, it } from 'vitest';
import { coreOfFrame } from './core.js';
import { openEnvelope } from './envelope.js';
import { erasedHeader } from './erased-header.js';

const salt = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const written = salt.toString('base64url');
const malt = Buffer.from(sha512(salt)).toString('base64url');
const digest = sha512(Buffer.from('body'));
const erase = (text: string) => Buffer.from(erasedHeader(Buffer.from(text))).toString();
const core = (text: string) =>
  Buffer.from(coreOfFrame(openEnvelope({ header: Buffer.from(text), payload: null, trailer: null }), digest));

describe('[S40] [S64] the header of a body that is removed', () => {
  it('has the digest of the salt in its place, every other octet as it was, and the same core', () => {
    const head = '{ "enc":"A256GCM","X":"ü é",  "ContentMetaData":"e30"';
    for (const member of [`"Salt":"${written}"`, `"Salt" : "${written}"`]) {
      const before = `${head}, ${member} , "Unknown":[1.50,{"a":null}]}`;
      const after = erase(before);
      expect(after).toBe(before.replace(member, `"Malt":"${malt}"`));
      expect(core(after)).toEqual(core(before));
      expect(erase(after)).toBe(after);
    }
  });

  it('stays as it is where there is no salt, or no telling which words are the salt', () => {
    const texts = [
      '{"dig":"S512"}',
      `{"X":{"Salt":"${written}"}}`,
      `{"Salt":"${written}","X":{"Salt":"AAAA"}}`,
      `{"X":{"Salt":"AAAA"},"\\u0053alt":"${written}"}`,
      `{"Salt":"${written}","Malt":"${malt}"}`,
      `{"Salt":"${written}","X":{"Malt":"AAAA"}}`,
    ];
    for (const text of texts) expect(erase(text)).toBe(text);
  });
});
