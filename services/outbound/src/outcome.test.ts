import { BindingError } from '@meshd/binding/errors';
import type { EntryResponse } from '@meshd/schema/common';
import { MeshError } from '@meshd/schema/status';
import { describe, expect, it } from 'vitest';
import { leasedRow } from './leased-row.fixture.js';
import { failureOf, judgeResponse } from './outcome.js';

const batch = [0, 1].map((id) => leasedRow(id, 'bob@beta.test'));
const answer = (status: number, entries: EntryResponse[] = [], retryAfterMs = 0) => {
  const message = { Entries: entries };
  return { status, statusExtended: 0, succeeded: status < 300, message, retryAfterMs } as Parameters<
    typeof judgeResponse
  >[0];
};
const kindsOf = (entries: EntryResponse[], status = 201): string[] => {
  const judged = judgeResponse(answer(status, entries), batch);
  if (judged.kind !== 'entries') throw new Error(`judged ${judged.kind}`);
  return batch.map((row) => judged.verdicts.get(row)?.kind ?? 'none');
};

describe('an answer to a Post', () => {
  it('is read entry by entry, by its number', () => {
    const entries = [
      { IndexRequest: 1, Result: 'Reject', StatusExtended: 9 },
      { IndexRequest: 0, Result: 'Accept' },
    ];
    expect(kindsOf(entries)).toEqual(['accepted', 'refused']);
  });

  it('says nothing of a row that it does not name, or names twice', () => {
    expect(kindsOf([{ IndexRequest: 0, Result: 'Accept' }])).toEqual(['accepted', 'unsaid']);
    const twice = { IndexRequest: 0, Result: 'Accept' };
    expect(kindsOf([twice, { ...twice, Result: 'Reject' }])).toEqual(['unsaid', 'unsaid']);
  });

  it('says nothing with an entry for another account, or with a result that nobody knows', () => {
    const other = { IndexRequest: 0, Account: 'carol@beta.test', Result: 'Accept' };
    expect(kindsOf([other, { IndexRequest: 1, Result: 'Perhaps' }])).toEqual(['unsaid', 'unsaid']);
  });

  it('that rejects everything was processed all the same', () => {
    const entries = [0, 1].map((index) => ({ IndexRequest: index, Result: 'Reject' }));
    expect(kindsOf(entries, 403)).toEqual(['refused', 'refused']);
    expect(judgeResponse(answer(403), batch).kind).toBe('refused');
  });

  it.each([400, 403, 404, 410, 413, 415, 421])('with status %i is final', (status) => {
    expect(judgeResponse(answer(status), batch)).toMatchObject({ kind: 'refused', reason: `status ${status}` });
  });

  it('tells the sender why: by what the peer says, else by what its status means', () => {
    const judged = (status: number, statusExtended: number) =>
      judgeResponse({ ...answer(status), statusExtended }, batch);
    expect(judged(413, 0)).toMatchObject({ kind: 'refused', statusExtended: 27 });
    expect(judged(403, 5)).toMatchObject({ kind: 'refused', statusExtended: 5 });
    expect(judged(403, 0)).toMatchObject({ kind: 'refused', statusExtended: 0 });
    expect(judged(503, 22)).toMatchObject({ kind: 'failed', failure: 'service-unverified' });
    expect(judged(503, 99)).toMatchObject({ kind: 'failed', failure: 'status-503' });
  });

  it.each([401, 429, 500, 503])('with status %i may pass, and the service is there', (status) => {
    expect(judgeResponse(answer(status, [], 3000), batch)).toEqual({
      ...{ kind: 'failed', failure: `status-${status}`, reached: true, retryAfterMs: 3000 },
    });
  });
});

describe('no answer', () => {
  it('is a failure that has a word and keeps the messages', () => {
    expect(failureOf(new BindingError('timeout', 'late'))).toMatchObject({ failure: 'timeout', reached: false });
    const overload = new MeshError('overloaded', 'busy', { retryAfterMs: 700 });
    expect(failureOf(overload)).toMatchObject({ failure: 'overloaded', reached: false, retryAfterMs: 700 });
  });

  it('is no excuse for a defect of ours', () => {
    expect(() => failureOf(new TypeError('a defect'))).toThrow(TypeError);
  });
});
