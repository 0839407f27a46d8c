import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { codeOfAnswer, httpOfStatus, MeshError, type StatusEntry, statusCodes, statusRegistry } from './status.js';

/** Rows of the tables in docs/errors.md, cells without their marks. */
function documented(): Map<string, string[]> {
  const text = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  const cells = rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
  return new Map(cells.map(([code, ...rest]) => [code as string, rest]));
}

function row({ status, extended, http, retryable, description, advice, clientOnly }: StatusEntry): string[] {
  const shown = clientOnly ? ['–', '–'] : [String(status), String(http)];
  return [...shown, extended === undefined ? '–' : String(extended), retryable ? 'yes' : 'no', description, advice];
}

describe('the registry of statuses and errors', () => {
  test('docs/errors.md lists what the registry holds, and the registry all that it lists', () => {
    const inDocs = Object.fromEntries(documented());
    const inCode = Object.fromEntries(statusCodes.map((code) => [code, row(statusRegistry[code])]));
    expect(inDocs).toEqual(inCode);
  });

  test('[R201] HTTP reports the status, but for 3xx', () => {
    for (const code of statusCodes) {
      const { status, http } = statusRegistry[code];
      expect(http).toBe(status >= 300 && status < 400 ? 200 : status);
      expect(http).toBe(httpOfStatus(status));
    }
  });

  test('every status and extended code of semantics 3 is there', () => {
    const entries = statusCodes.map((code) => statusRegistry[code]);
    const statuses = new Set(entries.map(({ status }) => status));
    const wanted = [
      201, 202, 300, 303, 307, 400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 421, 429, 500, 501, 503, 504,
    ];
    expect([...statuses].sort((a, b) => a - b)).toEqual(wanted);
    const extended = entries
      .filter((entry) => entry.extended !== undefined && !entry.clientOnly)
      .map((entry) => `${entry.status}/${entry.extended}`);
    // 26 and 27 are ours: marks tell them, no service tells another one.
    const listed =
      '403/26 413/27 409/1 403/2 403/3 401/4 403/5 300/6 403/6 403/7 401/8 403/9 401/10 400/10 400/11 409/11 409/12 400/13 409/13 300/17 ' +
      '403/18 403/19 401/20 401/21 503/22 400/23 409/24 303/25';
    expect([...new Set(extended)].sort()).toEqual(listed.split(' ').sort());
    const ofClients = entries.filter((entry) => entry.clientOnly).map((entry) => entry.extended);
    expect(ofClients).toEqual([14, 15, 16]);
  });

  test('only what waiting can cure is retryable', () => {
    for (const code of statusCodes) {
      const { status, retryable } = statusRegistry[code];
      if ([408, 429, 500, 503, 504].includes(status)) expect(retryable).toBe(true);
      if ([400, 405, 409, 410, 413, 415, 421, 501].includes(status)) expect(retryable).toBe(false);
    }
  });

  test('descriptions and advice are single sentences that name nothing of ours', () => {
    for (const code of statusCodes) {
      const { description, advice } = statusRegistry[code];
      expect(`${description} ${advice}`).not.toMatch(/postgres|redis|node|stack|\||\n/i);
      expect(advice).toMatch(/\.$/);
      expect(description).not.toMatch(/\.$/);
    }
  });
});

describe('MeshError', () => {
  test('carries what the wire needs and keeps its cause to itself', () => {
    const cause = new Error('connection to db-3 refused');
    const error = new MeshError('overloaded', '', { cause, retryAfterMs: 2000, resource: 'writes waiting' });
    expect(error).toMatchObject({ status: 503, extended: undefined, retryable: true, retryAfterMs: 2000 });
    expect(error.description).toBe('Overloaded: writes waiting');
    expect(error.description).not.toContain('db-3');
    expect(error.cause).toBe(cause);
    expect(new MeshError('name-taken')).toMatchObject({ status: 409, extended: 1, description: 'Account name taken' });
  });

  test('a redirect describes the new place alone', () => {
    expect(new MeshError('moved-temporarily', 'https://a.example/x').description).toBe('https://a.example/x');
    expect(new MeshError('account-moved', 'alice@new.example').description).toBe('alice@new.example');
  });
});

describe('answers received', () => {
  test.each([
    [409, 1, 'name-taken'],
    [401, undefined, 'not-authenticated'],
    [401, 0, 'not-authenticated'],
    [401, 4, 'device-revoked'],
    [400, undefined, 'malformed'],
    [403, 14, 'not-authorised'],
    [503, 22, 'service-unverified'],
    [201, undefined, 'success'],
    [299, undefined, 'success'],
    [404, 77, 'not-found'],
    [599, undefined, 'internal'],
    [418, undefined, 'malformed'],
  ])('%s/%s is %s', (status, extended, code) => {
    expect(codeOfAnswer(status, extended)).toBe(code);
  });
});
