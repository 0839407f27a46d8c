import { describe, expect, it } from 'vitest';
import { contentText, fileOf, membersOf } from './message-content.js';

const octets = (text: string) => new TextEncoder().encode(text);

describe('the members of a message', () => {
  it('are those of a JSON object, or else the file as it is', () => {
    expect(membersOf(octets('{"Text":"hello"}'), 'a.json')).toEqual({ Text: 'hello' });
    for (const text of ['["hello"]', 'hello', '{"Text":']) {
      const members = membersOf(octets(text), 'a.txt');
      expect(fileOf({ MessageID: 'N', Sender: 'a@b', Recipient: 'c@d', ...members })).toEqual({
        name: 'a.txt',
        content: Buffer.from(text),
      });
    }
  });
});

describe('what a message says', () => {
  it('is shown as text where it is text', () => {
    expect(contentText({ Sender: 'a@b', Text: 'two\nlines' })).toBe('two\nlines');
    expect(contentText(membersOf(octets('milk\nbread\n'), 'list.txt'))).toBe('list.txt, 11 octets\n\nmilk\nbread');
  });

  it('is not shown where it is no text, and never steers the terminal', () => {
    expect(contentText({ Name: 'a.bin', Content: 'AAECAw' })).toBe('a.bin, 4 octets; --out FILE writes it');
    expect(contentText({ Text: 'red\u001b[31m' })).toBe('red\ufffd[31m');
    expect(contentText({ Name: 'a\u202e.txt', Content: '' })).toContain('a\ufffd.txt');
  });

  it('is JSON where it is anything else', () => {
    expect(contentText({ MessageID: 'N', Reply: true })).toBe('{\n  "Reply": true\n}');
    expect(contentText({ MessageID: 'N' })).toBe('it says nothing more');
  });
});
