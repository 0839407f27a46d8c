/** Whether strangers may create accounts. */
export type Registration = 'closed' | 'open';

/** Names that RFC 2142 gives to roles of a domain, and words that would pass for the service itself. */
const reservedNames: ReadonlySet<string> = new Set([
  'abuse',
  'hostmaster',
  'mailer-daemon',
  'mmm',
  'noc',
  'postmaster',
  'security',
  'service',
  'webmaster',
]);

/** Why a name cannot be had, in words for the person who chose it. */
export interface PolicyRefusal {
  readonly code: 'account-name' | 'registration-closed';
  readonly reason: string;
}

/**
 * Decides whether an account of this name may be made (semantics 6.2 step 3). The form of the name, its
 * length and characters were judged before, with the address.
 *
 * @param localPart canonical local part.
 */
export function judgeName(localPart: string, registration: Registration): PolicyRefusal | undefined {
  if (reservedNames.has(localPart)) return { code: 'account-name', reason: `the name ${localPart} is reserved` };
  if (registration === 'closed') return { code: 'registration-closed', reason: 'registrations are closed' };
  return undefined;
}
