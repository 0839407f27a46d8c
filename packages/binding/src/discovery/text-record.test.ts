import { describe, expect, it } from 'vitest';
import { readServiceText } from './text-record.js';

describe('[R056] TXT records', () => {
  it.each([
    ['nothing', [], { path: undefined, isFit: true }],
    ['a path', [['path=/mesh']], { path: '/mesh', isFit: true }],
    ['pairs in one string', [['version=3.0-3.0 path=/a/b encoding=json,json-b']], { path: '/a/b', isFit: true }],
    ['pairs in several strings and records', [['x=1', 'PATH=/a'], ['path=/b']], { path: '/a', isFit: true }],
    ['words that are no pairs', [['v', '=x', 'path=/a']], { path: '/a', isFit: true }],
  ])('may hold %s', (_name, records, expected) => {
    expect(readServiceText(records)).toEqual(expected);
  });

  it.each([
    ['3', true],
    ['3.0', true],
    ['2-3', true],
    ['2.0-3.0', true],
    ['3.0-4.2', true],
    ['1-2', false],
    ['2.9', false],
    ['3.1', false],
    ['3.1-4', false],
    ['4-5', false],
    ['new', true],
  ])('say that the service speaks version %s', (version, isFit) => {
    expect(readServiceText([[`version=${version}`]])?.isFit).toBe(isFit);
  });

  it.each([
    ['json', true],
    ['application/json', true],
    ['json-b, JSON', true],
    ['json-b', false],
    ['xml', false],
  ])('say that it takes %s', (encoding, isFit) => {
    // Words are parted by spaces, so a list with spaces ends early, as any reader will have it.
    expect(readServiceText([[`encoding=${encoding.replace(' ', '')}`]])?.isFit).toBe(isFit);
  });

  it.each([
    ['another scheme', 'http://evil.example/'],
    ['another host', '//evil.example/mmm'],
    ['no slash in front', 'mmm'],
    ['a way up', '/a/../../etc'],
    ['a way up, disguised', '/a/%2e%2E/b'],
    ['a dot', '/./a'],
    ['a query', '/mmm?to=elsewhere'],
    ['a fragment', '/mmm#x'],
    ['a backslash', '/\\evil.example'],
    ['a line break', '/mmm\r\nHost:evil.example'],
    ['a letter beyond ASCII', '/m\u00fcll'],
    ['nothing', ''],
    ['more than 255 octets', `/${'a'.repeat(255)}`],
  ])('[S74] have no path that holds %s', (_name, path) => {
    expect(readServiceText([[`path=${path}`]])).toBeUndefined();
  });
});
