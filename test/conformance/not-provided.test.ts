/** What the draft anticipates and says is not supported is to be documented; this reads the document. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const page = fileURLToPath(new URL('../../docs/protocol-decisions.md', import.meta.url));
const section = readFileSync(page, 'utf8').split('\n## Not provided\n')[1]?.split('\n## ')[0] ?? '';

it.each([
  ['[R157] group messaging', ['Group messaging', 'OfferGroup']],
  ['[R160] mix networks and fair contract signing', ['mix networks', 'fair contract signing']],
  ['[R162] payments and presence', ['payments', 'presence']],
])('docs/protocol-decisions.md says what is not provided: %s', (_what, words) => {
  expect(words.filter((word) => !section.includes(word))).toEqual([]);
});
