import { describe, expect, it } from 'vitest';
import { readStartOptions, UsageError } from './start-options.js';

describe('what follows npm start --', () => {
  it('has defaults that work on any machine', () => {
    expect(readStartOptions([], '/here/.data')).toEqual({
      domains: ['mesh.localhost'],
      port: 8443,
      data: '/here/.data',
      openTo: [],
    });
  });

  it('chooses domains, port and data', () => {
    const args = ['--domain', 'A.example', '--domain', 'b.example', '--port', '9000', '--data', 'x'];
    const chosen = { domains: ['a.example', 'b.example'], port: 9000, data: 'x', openTo: ['c.example'] };
    expect(readStartOptions([...args, '--open-to', 'C.example'], '')).toEqual(chosen);
  });

  it.each([
    [['--port', '0']],
    [['--port', 'x']],
    [['--domain', 'a b']],
    [['--open-to', 'a b']],
    [['--unknown']],
    [['word']],
  ])('refuses %j', (args) => {
    expect(() => readStartOptions(args, '')).toThrow(UsageError);
  });
});
