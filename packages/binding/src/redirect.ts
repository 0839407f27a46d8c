import { redirectPathBytesMax } from '@meshd/limits/limits';
import { statusRegistry } from '@meshd/schema/status';

/** An answer, as far as it may send somebody elsewhere. */
interface Answer {
  readonly status: number;
  readonly statusExtended: number | undefined;
  readonly description: string | undefined;
}

const { 'moved-permanently': permanently, 'moved-temporarily': temporarily } = statusRegistry;
const followed: ReadonlySet<number> = new Set([permanently.status, temporarily.status]);

/**
 * Where a verified answer says that the request should go instead (semantics 3, S74). Only the place may be another: the
 * domain, its certificate and its pin stay what they are.
 *
 * @param domain canonical domain of the service
 * @param url where the answer came from
 * @returns undefined for an answer that stands: also for one that names a place outside of the domain, or no `https` one
 */
export function redirectedTo(answer: Answer, domain: string, url: string): string | undefined {
  const { status, statusExtended, description = '' } = answer;
  // With an extended code it is the account that has moved, to another address, which is for the user to say.
  if (!followed.has(status) || statusExtended !== undefined || !URL.canParse(description)) return undefined;
  const place = new URL(description);
  const isPlain = place.username === '' && place.password === '' && place.search === '' && place.hash === '';
  if (place.protocol !== 'https:' || !isPlain || place.pathname.length > redirectPathBytesMax) return undefined;
  const isInside = place.hostname === domain || place.hostname.endsWith(`.${domain}`);
  if (!isInside && place.hostname !== new URL(url).hostname) return undefined;
  return place.href;
}
