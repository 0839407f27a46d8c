import { incidentRepeatMs, incidentsPerKindPerHourMax } from '@meshd/limits/requesters';
import { describe, expect, it } from 'vitest';
import type { Incident } from '../service-records.js';
import { IncidentTally } from './incident-tally.js';

const incident = { kind: 'contact-rate', by: 'alpha.test', account: 'bob@example.com', detail: 'x' } as const;

describe('[R030] incidents that a stranger causes', () => {
  it('are recorded once in an hour for each kind and domain, with the number of those between', () => {
    const recorded: Incident[] = [];
    const tally = new IncidentTally(async (one) => void recorded.push(one));
    for (let count = 0; count < 100; count += 1) tally.note(incident, 1000);
    tally.note({ ...incident, kind: 'identity-changed' }, 1000);
    tally.note({ ...incident, by: 'beta.test' }, 1000);
    tally.note(incident, 1000 + incidentRepeatMs);
    tally.note(incident, 1001 + incidentRepeatMs);
    expect(recorded.map(({ kind, detail }) => `${kind} ${detail}`)).toEqual([
      'contact-rate alpha.test: x',
      'identity-changed alpha.test: x',
      'contact-rate beta.test: x',
      'contact-rate alpha.test: x; 99 more since the last report',
    ]);
  });

  it('are recorded so often in an hour of each kind, whoever they are of, and the rest as one', () => {
    const recorded: Incident[] = [];
    const tally = new IncidentTally(async (one) => void recorded.push(one));
    const flood = (nowMs: number) => {
      for (let at = 0; at < 1000; at += 1) tally.note({ ...incident, by: `source ${at}`, times: 3 }, nowMs);
    };
    flood(1000);
    expect(recorded).toHaveLength(incidentsPerKindPerHourMax + 1);
    expect(recorded.at(-1)?.detail).toBe('others: x; 2 more since the last report');
    tally.note({ ...incident, kind: 'identity-changed' }, 1000);
    expect(recorded).toHaveLength(incidentsPerKindPerHourMax + 2);
    flood(1000 + incidentRepeatMs);
    expect(recorded).toHaveLength(2 * incidentsPerKindPerHourMax + 3);
    const rest = 3 * (1000 - incidentsPerKindPerHourMax);
    expect(recorded.at(-1)?.detail).toBe(`others: x; ${rest - 1} more since the last report`);
  });

  it('that cannot be recorded are no fault of the message', async () => {
    const failures: unknown[] = [];
    const tally = new IncidentTally(
      () => Promise.reject(new Error('closed')),
      (error) => failures.push(error),
    );
    tally.note(incident, 1000);
    await expect.poll(() => failures.length).toBe(1);
  });
});
