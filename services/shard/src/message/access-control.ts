import type { ErrorCode } from '@meshd/schema/status';
import type { ContactRule } from '../storage/message-rows.js';
import { type SitePolicy, type SiteRefusal, siteRefusal } from './site-policy.js';

/*
 * Whether a message is taken (semantics 8.3), by the first rule that says something. Pure: who is who, what was agreed and what
 * was counted is given. The sending service is told Accept or Reject and nothing else (S80); codes are for our own senders.
 *
 * To a stranger all names are alike: what is answered to him may not depend on whether the account exists, is full, or has
 * blocked him. So what cannot be filed of a stranger's is dropped where a name that nobody has would have accepted it.
 */

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
  /** Another message of that `UniqueID` is in the spool, which holds each once. */
  readonly nameTaken: boolean;
  /** It answers a message that the recipient sent to this person. */
  readonly answersOurs: boolean;
  /** Requests for contact that the sending domain may still send today. */
  readonly contactRequestsLeft: number;
  /** For an offer of connection at an account where devices hail: how it would be taken; undefined for all else. */
  readonly offer?: OfferState | undefined;
}

/** `unreadable`: no device could take it; `full`: as many wait as may. */
export type OfferState = 'fits' | 'full' | 'unreadable';

/** What becomes of a message. `countsAsRequest`: it uses up one of the domain's requests. */
export type Decision =
  /** Filed, or nowhere to be filed: the sender cannot tell. */
  | { readonly result: 'accept'; readonly countsAsRequest: boolean }
  /** Reported as taken, filed among the incidents. `why` is for the operator. */
  | { readonly result: 'drop'; readonly countsAsRequest: boolean; readonly why: Refusal }
  | { readonly result: 'reject'; readonly code: ErrorCode; readonly why: Refusal };

/** Which rule refused. */
export type Refusal =
  | SiteRefusal
  | 'identity-changed'
  | 'person-blocked'
  | 'quota'
  | 'name-taken'
  | 'rate'
  | 'offer-unreadable'
  | 'stranger';

const requestType = 'RequestContact';
const answerTypes: ReadonlySet<string> = new Set(['ReplyContact', 'ResponseConfirmation']);
const codeOf: Partial<Record<Refusal, ErrorCode>> = {
  quota: 'quota',
  'name-taken': 'event-rule',
  'offer-unreadable': 'malformed',
};

/** Decides by the default policy. */
export function decide(approach: Approach, site: SitePolicy): Decision {
  const { senderDomain, messageType } = approach;
  const rule = ruleFor(approach);
  const refuse = (why: Refusal): Decision => {
    const code = codeOf[why];
    // What does not fit is refused whatever the site wants to be seen: nobody takes responsibility for it.
    if (site.dropsSilently && code === undefined) return { result: 'drop', countsAsRequest: false, why };
    return { result: 'reject', code: code ?? 'policy', why };
  };
  const ofSite = siteRefusal(site, senderDomain, messageType);
  if (ofSite !== undefined) return refuse(ofSite);
  // Same address, other key: whoever that is, it is not the person whom the user knows (S72).
  if (rule?.accountUdf !== undefined && rule.accountUdf !== approach.accountUdf) return refuse('identity-changed');
  const isOut = rule !== undefined && isBlocked(rule.permissions);
  const obstacle = obstacleOf(approach);
  const takeKnown = (): Decision =>
    obstacle === undefined ? { result: 'accept', countsAsRequest: false } : refuse(obstacle);
  // That it is there, a hailing account has told everybody: what is wrong with an offer can be said (semantics 7.6).
  if (approach.offer !== undefined && !isOut) {
    if (approach.offer === 'unreadable') return refuse('offer-unreadable');
    if (approach.offer === 'full' || approach.contactRequestsLeft <= 0) return refuse('rate');
    return obstacle === undefined ? { result: 'accept', countsAsRequest: true } : refuse(obstacle);
  }
  if (!isOut && rule !== undefined && permits(rule.permissions, messageType)) return takeKnown();
  // Existing or not: whoever may ask a stranger may ask a name that nobody has (S80).
  if (messageType === requestType) {
    if (approach.contactRequestsLeft <= 0) return refuse('rate');
    return takeStranger(isOut ? 'person-blocked' : obstacle, true);
  }
  if (isOut) return refuse('person-blocked');
  if (approach.exists && answerTypes.has(messageType) && approach.answersOurs) return takeKnown();
  if (site.openDomains.has(senderDomain)) return takeStranger(obstacle, false);
  return refuse('stranger');
}

/** A stranger's message is taken as it would be for a name that nobody has, and dropped where it cannot be filed. */
function takeStranger(obstacle: Refusal | undefined, countsAsRequest: boolean): Decision {
  return obstacle === undefined
    ? { result: 'accept', countsAsRequest }
    : { result: 'drop', countsAsRequest, why: obstacle };
}

/** What keeps a message out of the spool though it may come. */
function obstacleOf({ fits, nameTaken }: Approach): Refusal | undefined {
  if (!fits) return 'quota';
  return nameTaken ? 'name-taken' : undefined;
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
