/** `docs/conformance.md` says of every requirement whether a test bears its number; this compares it with the titles. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const requirementCount = 313;
const row = /^\| (R\d{3}) \| (MUST|SHOULD|MAY|DESC) \| .+ \| (tested|begun|later) \|$/;

interface Requirement {
  readonly id: string;
  readonly state: string;
}

const requirements: Requirement[] = readFileSync(`${root}docs/conformance.md`, 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, id, , state] = row.exec(line) ?? [];
    return id === undefined || state === undefined ? [] : [{ id, state }];
  });

/** A number in a comment proves nothing. Titles stand in tables, too, so what is left is not looked at more closely. */
const comment = /\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm;

/** Numbers in titles; `[R048–R050]` stands for three. */
function numbersIn(text: string): string[] {
  return [...text.replace(comment, '').matchAll(/\[R(\d{3})(?:[–-]R?(\d{3}))?\]/g)].flatMap(
    ([, first, last = first]) => {
      const count = Number(last) - Number(first) + 1;
      return Array.from({ length: count }, (_, at) => `R${String(Number(first) + at).padStart(3, '0')}`);
    },
  );
}

const titled = new Set(
  globSync('{packages,services,test,deploy,scripts}/**/*.{test,scenes}.ts', {
    cwd: root,
    exclude: (path) => path === 'node_modules' || path === 'dist',
  }).flatMap((path) => numbersIn(readFileSync(`${root}${path}`, 'utf8'))),
);

describe('docs/conformance.md', () => {
  it('has every requirement once, in order', () => {
    const expected = Array.from({ length: requirementCount }, (_, at) => `R${String(at + 1).padStart(3, '0')}`);
    expect(requirements.map(({ id }) => id)).toEqual(expected);
  });

  it('says tested or begun only where a test bears the number', () => {
    const unproved = requirements.filter(({ id, state }) => state !== 'later' && !titled.has(id));
    expect(unproved.map(({ id }) => id)).toEqual([]);
  });

  it('says later of nothing that has a test', () => {
    const known = new Map(requirements.map(({ id, state }) => [id, state]));
    expect([...titled].filter((id) => known.get(id) === 'later')).toEqual([]);
  });
});
