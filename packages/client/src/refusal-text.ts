import { statusCodes, statusRegistry } from '@meshd/schema/status';

/**
 * Why a message was refused, for people. Services tell each other nothing more than that (S80); the own one may.
 *
 * @param extended `StatusExtended` of an entry or a mark; undefined or 0: none was given
 */
export function refusalText(extended: number | undefined): string {
  if (!extended) return 'no reason was given';
  const known = statusCodes.map((code) => statusRegistry[code]).filter((entry) => entry.extended === extended);
  // What a message is refused for is mostly a matter of permission.
  const entry = known.find(({ status }) => status === 403) ?? known[0];
  const said = entry?.description ?? 'for a reason that this program does not know';
  return `${said.charAt(0).toLowerCase()}${said.slice(1)} (${extended})`;
}
