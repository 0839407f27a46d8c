import type { Conflict } from '@meshd/client/conflicts';

/** What became of an entry that was changed on two devices, in one line. */
export function conflictText({ container, name, choice, copy, mine, theirs }: Conflict): string {
  const did = (change: Conflict['mine']) => (change === 'delete' ? 'deleted' : 'changed');
  const what = `${name} in ${container} was ${did(mine)} here and ${did(theirs)} elsewhere`;
  if (choice === 'later') return `${what}; decide with: mesh account sync --conflicts mine|theirs`;
  const kept = `${what}; ${choice === 'mine' ? 'the change made here' : 'the other change'} stays`;
  return copy === undefined ? kept : `${kept}, the other version is in ${copy}`;
}
