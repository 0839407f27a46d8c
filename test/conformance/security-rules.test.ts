/** `docs/conformance.md` lists the security rules in force; every one of them must have a test that bears its number. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** All rules, as far as what they are about is built. */
const inForce = [
  ...['S01', 'S02', 'S03', 'S04', 'S05', 'S10', 'S11', 'S12', 'S13'],
  ...['S20', 'S21', 'S22', 'S23', 'S24', 'S25', 'S26', 'S27', 'S28'],
  ...['S30', 'S31', 'S32', 'S33'],
  ...['S40', 'S41', 'S42', 'S43', 'S44', 'S45', 'S46', 'S47', 'S48', 'S49'],
  ...['S50', 'S51', 'S52', 'S53', 'S54', 'S55', 'S56', 'S57'],
  ...['S60', 'S61', 'S62', 'S63', 'S64', 'S70', 'S71', 'S72', 'S73', 'S74', 'S75'],
  ...['S80', 'S81', 'S82', 'S83', 'S84'],
];

const listed = readFileSync(`${root}docs/conformance.md`, 'utf8')
  .split('\n')
  .flatMap((line) => /^\| (S\d{2}) \| .+ \| .*\|$/.exec(line)?.[1] ?? []);

/** Titles alone: a number in a comment proves nothing. */
const title = /\b(?:it|test|describe)(?:\.each\([\s\S]{0,400}?\))?\(\s*['"`]([^'"`\n]*)/g;
const titled = new Set(
  globSync('{packages,services,test}/**/*.{test,scenes}.ts', {
    cwd: root,
    exclude: (path) => path === 'node_modules' || path === 'dist',
  }).flatMap((path) => {
    const titles = [...readFileSync(`${root}${path}`, 'utf8').matchAll(title)].map(([, text = '']) => text);
    return titles.flatMap((text) => [...text.matchAll(/\[(S\d{2})\]/g)].map(([, rule]) => rule));
  }),
);

describe('security rules', () => {
  it('in force are listed, each once, in order', () => {
    expect(listed).toEqual(inForce);
  });

  it('that are listed have tests that bear their number', () => {
    expect(listed.filter((rule) => !titled.has(rule))).toEqual([]);
  });
});
