/** What is known of the domains that messages go to. */
import type { DestinationState } from '../../outbox/destination.js';
import type { Statement } from '../database.js';

const columns = [
  ...['failures', 'failing_since_ms', 'last_failure', 'last_failure_ms', 'last_success_ms', 'next_attempt_ms', 'held'],
];

/** Inserts or replaces a state. */
export function upsertDestination(domain: string, state: DestinationState): Statement {
  const { failures, failingSinceMs, lastFailure, lastFailureMs, lastSuccessMs, nextAttemptMs, held } = state;
  return {
    name: 'destination-upsert',
    text: `INSERT INTO destination (domain, ${columns.join(', ')}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
      ON CONFLICT (domain) DO UPDATE SET ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}`,
    values: [domain, failures, failingSinceMs, lastFailure, lastFailureMs, lastSuccessMs, nextAttemptMs, held],
  };
}

/** Columns of {@link selectDestination}. */
export type DestinationSelectRow = readonly [
  failures: number,
  failingSinceMs: number | null,
  lastFailure: string,
  lastFailureMs: number,
  lastSuccessMs: number,
  nextAttemptMs: number,
  held: boolean,
];

/** A state: one row or none. */
export function selectDestination(domain: string): Statement {
  return {
    name: 'destination-select',
    text: `SELECT ${columns.join(', ')} FROM destination WHERE domain = $1`,
    values: [domain],
  };
}

/** The state that a row tells. */
export function destinationOfRow(row: DestinationSelectRow): DestinationState {
  const [failures, failingSinceMs, lastFailure, lastFailureMs, lastSuccessMs, nextAttemptMs, held] = row;
  return { failures, failingSinceMs, lastFailure, lastFailureMs, lastSuccessMs, nextAttemptMs, held };
}

/** Forgets destinations without rows of which nothing was heard since a time. */
export function deleteDestinations(beforeMs: number): Statement {
  return {
    text: `DELETE FROM destination AS d WHERE NOT held AND greatest(last_failure_ms, last_success_ms) < $1
      AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.domain = d.domain)`,
    values: [beforeMs],
  };
}
