/** Whether a user can tell by its text which lie was refused; that the device says just that, the file of each lie shows. */
import { expect, it } from 'vitest';
import { refusals } from './refusals.js';

it('[S43] [S45] [S26] each of the six lies is refused in words of its own, whatever frames it is about', () => {
  const texts = Object.values(refusals).map(({ message }) => message.replace(/\d+/g, 'N'));
  expect(texts).toHaveLength(6);
  for (const [at, text] of texts.entries()) {
    const others = texts.filter((_, index) => index !== at);
    expect(others.filter((other) => other.includes(text))).toEqual([]);
  }
});
