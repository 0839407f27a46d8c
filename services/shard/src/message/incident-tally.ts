import { incidentRepeatMs, incidentSubjectsMax } from '@meshd/limits/requesters';
import { LRUCache } from 'lru-cache';
import type { Incident } from '../service-records.js';

/** What of messages is worth an operator's look, beside those that are recorded with a commit of their own. */
export type MessageIncident =
  /** Somebody writes under the address of a person whom the recipient knows by another key (S72). */
  | 'identity-changed'
  /** A domain asks for more contacts than it may. */
  | 'contact-rate'
  /** A service brings messages that do not prove what they say (S71). */
  | 'message-unproved';

/** Something that happened, and of which domain it is. */
export interface TalliedIncident {
  readonly kind: MessageIncident;
  readonly senderDomain: string;
  readonly account: string;
  readonly detail: string;
}

interface Told {
  readonly untilMs: number;
  more: number;
}

/**
 * Incidents that a stranger can cause at will: each kind of each domain is recorded at once, then at most once in an hour
 * with the number of those between, so that a flood fills no spool.
 *
 * They are recorded beside the answer and not before it: the work for a message must not show whose it was (S80).
 */
export class IncidentTally {
  readonly #record: (incident: Incident) => Promise<void>;
  readonly #onError: (error: unknown) => void;
  readonly #told = new LRUCache<string, Told>({ max: incidentSubjectsMax });

  constructor(record: (incident: Incident) => Promise<void>, onError: (error: unknown) => void = () => {}) {
    this.#record = record;
    this.#onError = onError;
  }

  /** Notes an incident. Nobody waits for it to be recorded. */
  note({ kind, senderDomain, account, detail }: TalliedIncident, nowMs: number): void {
    const subject = `${kind} ${senderDomain}`;
    const told = this.#told.get(subject);
    if (told !== undefined && nowMs < told.untilMs) {
      told.more += 1;
      return;
    }
    this.#told.set(subject, { untilMs: nowMs + incidentRepeatMs, more: 0 });
    const between = told === undefined || told.more === 0 ? '' : `; ${told.more} more since the last report`;
    this.#record({ kind, account, detail: `${senderDomain}: ${detail}${between}` }).catch(this.#onError);
  }
}
