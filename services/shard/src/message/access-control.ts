import type { ErrorCode } from '@meshd/schema/status';
import type { ContactRule } from '../storage/store.js';

/*
 * Whether a message is taken (semantics 8.3), by the first rule that says something. Pure: who is who, what was agreed and what
 * was counted is given. The sending service is told Accept or Reject and nothing else (S80); codes are for our own senders.
 */

/** What an operator decides for the whole site. */
export interface SitePolicy {
  /** Domains from which nothing is taken. */
  readonly blockedDomains: ReadonlySet<string>;
  /** Domains whose people may write to anybody here: for development, and for domains of one house. */
  readonly openDomains: ReadonlySet<string>;
  /** Messages that are refused are reported as taken, and filed nowhere but among the incidents. */
  readonly dropsSilently: boolean;
}

/** What is known of a message and its recipient. */
export interface Approach {
  readonly senderDomain: string;
  readonly messageType: string;
  /** UDF of the account that the message shows. */
  readonly accountUdf: string;
  /** What the recipient's contacts say of that account, or of the address it writes from. */
  readonly rules: readonly ContactRule[];
  /** The account exists. */
  readonly exists: boolean;
  /** The message fits into the account's quota; for none, true. */
  readonly fits: boolean;
  /** It answers a message that the recipient sent to this person. */
  readonly answersOurs: boolean;
  /** Requests for contact that the sending domain may still send today. */
  readonly contactRequestsLeft: number;
}

/** What becomes of a message. */
export type Decision =
  /** Filed, or nowhere to be filed: the sender cannot tell. `countsAsRequest`: it uses up one of the domain's requests. */
  | { readonly result: 'accept'; readonly countsAsRequest: boolean }
  /** Reported as taken, filed among the incidents. `why` is for the operator. */
  | { readonly result: 'drop'; readonly code: ErrorCode; readonly why: Refusal }
  | { readonly result: 'reject'; readonly code: ErrorCode; readonly why: Refusal };

/** Which rule refused. */
export type Refusal = 'domain-blocked' | 'identity-changed' | 'person-blocked' | 'quota' | 'rate' | 'stranger';

const requestType = 'RequestContact';
const answerTypes: ReadonlySet<string> = new Set(['ReplyContact', 'ResponseConfirmation']);

/** Decides by the default policy. */
export function decide(approach: Approach, site: SitePolicy): Decision {
  const { senderDomain, messageType, exists, fits } = approach;
  const rule = ruleFor(approach);
  const permissions = rule?.permissions;
  const refuse = (why: Refusal): Decision => ({ result: site.dropsSilently ? 'drop' : 'reject', code: 'policy', why });
  const accept = (countsAsRequest: boolean): Decision => ({ result: 'accept', countsAsRequest });
  if (site.blockedDomains.has(senderDomain)) return refuse('domain-blocked');
  // Same address, other key: whoever that is, it is not the person whom the user knows (S72).
  if (rule?.accountUdf !== undefined && rule.accountUdf !== approach.accountUdf) return refuse('identity-changed');
  if (permissions !== undefined && isBlocked(permissions)) return refuse('person-blocked');
  if (!fits) return { result: 'reject', code: 'quota', why: 'quota' };
  if (permissions !== undefined && permits(permissions, messageType)) return accept(false);
  // Existing or not: whoever may ask a stranger may ask a name that nobody has (S80).
  if (messageType === requestType) return approach.contactRequestsLeft > 0 ? accept(true) : refuse('rate');
  if (exists && answerTypes.has(messageType) && approach.answersOurs) return accept(false);
  if (exists && site.openDomains.has(senderDomain)) return accept(false);
  return refuse('stranger');
}

/** Who is known by his key is judged by what was said of the key; what was said of the address alone comes after. */
function ruleFor({ rules, accountUdf }: Approach): ContactRule | undefined {
  return (
    rules.find((rule) => rule.accountUdf === accountUdf) ??
    rules.find((rule) => rule.accountUdf !== undefined) ??
    rules.find((rule) => rule.accountUdf === undefined)
  );
}

const typesOf = (permissions: string) => permissions.split(',').map((name) => name.trim());

function isBlocked(permissions: string): boolean {
  const types = typesOf(permissions).filter((name) => name !== '');
  return types.length === 0 || types.includes('-');
}

function permits(permissions: string, messageType: string): boolean {
  return typesOf(permissions).some((name) => name === '*' || name === messageType);
}
