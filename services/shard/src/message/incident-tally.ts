import { incidentRepeatMs, incidentSubjectsMax, incidentsPerKindPerHourMax } from '@meshd/limits/requesters';
import { Tally } from '@meshd/process/tally';
import type { Incident } from '../service-records.js';

/** What of messages is worth an operator's look, beside those that are recorded with a commit of their own. */
export type MessageIncident =
  /** Somebody writes under the address of a person whom the recipient knows by another key (S72). */
  | 'identity-changed'
  /** A domain asks for more contacts than it may. */
  | 'contact-rate'
  /** A service brings messages that do not prove what they say (S71). */
  | 'message-unproved';

/** What routers refuse and an operator should know. */
export const routerIncidents = ['host-refused', 'requester-barred'] as const;

/** One of {@link routerIncidents}. */
export type RouterIncident = (typeof routerIncidents)[number];

/** Something that happened, and of whom it is. */
export interface TalliedIncident {
  readonly kind: MessageIncident | RouterIncident;
  /** Domain of the sender, or who asked a router. */
  readonly by: string;
  readonly account: string;
  readonly detail: string;
  /** How often it happened; once where absent. */
  readonly times?: number;
}

/** Of whom incidents are when too many have caused them to name each. */
const others = 'others';

/**
 * Incidents that a stranger can cause at will: each kind of each domain or requester is recorded at once, then at most once in
 * an hour with the number of those between; and of each kind so many in an hour altogether, the rest as one. A flood fills no
 * spool, from wherever it comes.
 *
 * They are recorded beside the answer and not before it: the work for a message must not show whose it was (S80).
 */
export class IncidentTally {
  readonly #record: (incident: Incident) => Promise<void>;
  readonly #onError: (error: unknown) => void;
  readonly #tally = new Tally({ everyMs: incidentRepeatMs, subjectsMax: incidentSubjectsMax });
  /** Records of this hour, by kind. */
  readonly #hours = new Map<TalliedIncident['kind'], { readonly untilMs: number; records: number }>();

  constructor(record: (incident: Incident) => Promise<void>, onError: (error: unknown) => void = () => {}) {
    this.#record = record;
    this.#onError = onError;
  }

  /** Notes an incident. Nobody waits for it to be recorded. */
  note({ kind, by, account, detail, times = 1 }: TalliedIncident, nowMs: number): void {
    const hour = this.#hourOf(kind, nowMs);
    const named = hour.records < incidentsPerKindPerHourMax ? by : others;
    const count = this.#tally.count(`${kind} ${named}`, nowMs, times);
    if (count === undefined) return;
    hour.records += 1;
    const between = count === 1 ? '' : `; ${count - 1} more since the last report`;
    this.#record({ kind, account, detail: `${named}: ${detail}${between}` }).catch(this.#onError);
  }

  #hourOf(kind: TalliedIncident['kind'], nowMs: number) {
    const known = this.#hours.get(kind);
    if (known !== undefined && nowMs < known.untilMs) return known;
    const hour = { untilMs: nowMs + incidentRepeatMs, records: 0 };
    this.#hours.set(kind, hour);
    return hour;
  }
}
