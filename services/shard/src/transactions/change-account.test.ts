/** What an operator's block does, and what it does not. */
import { openEnvelope } from '@meshd/dare/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { authorise } from '../authorise.js';
import { Person, type TestDevice } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { changeAccount } from './change-account.js';
import { createAccount } from './create-account.js';

const at = (text: string) => new Person('alice', { updated: new Date(text) });
const alice = at('2026-01-01T00:00:00Z');

let shard: TestShard;
let device: TestDevice;

beforeEach(async () => {
  shard = await new TestShard().start();
  device = alice.device();
  await shard.join(alice, device);
});

const change = (action: string, address = alice.address) =>
  changeAccount(shard.context, address, action).then(
    () => 'done',
    (error) => error.code,
  );
const answer = (principal = device.principal) =>
  authorise(principal, shard.store.stateOf(alice.address)).then(
    () => 'authorised',
    (error) => error.code,
  );
const records = () =>
  shard.store
    .framesOf('@service', 'mmm_Account')
    .flatMap((frame) => (openEnvelope(frame as never).payload === null ? [] : [openEnvelope(frame as never).payload]))
    .map((payload) => Buffer.from(payload ?? []).toString());

describe('an account that the operator has blocked', () => {
  test('answers its own devices so, and strangers like any other', async () => {
    expect(await change('block')).toBe('done');
    expect(await answer()).toBe('account-blocked');
    expect(await answer({ ...new Person('mallory').device().principal, account: alice.address })).toBe(
      'not-authenticated',
    );
    expect(await change('unblock')).toBe('done');
    expect(await answer()).toBe('authorised');
  });

  test('stays blocked whatever its Mesh binds anew', async () => {
    await change('block');
    const newer = at('2026-02-01T00:00:00Z');
    const request = await newer.createRequest(shard.nowMs);
    expect(await createAccount(shard.context, alice.address, request)).toMatchObject({ status: 202 });
    expect(await answer()).toBe('account-blocked');
  });

  test('stands so in the account catalog, and among the incidents', async () => {
    const incidents = () => shard.store.framesOf('@service', 'mmm_Incident').length;
    const before = incidents();
    await change('block');
    expect(records().at(-1)).toContain('"Blocked"');
    await change('block');
    expect(incidents()).toBe(before + 1);
    await change('unblock');
    expect(records().at(-1)).toContain('"Connected"');
    expect(incidents()).toBe(before + 2);
  });
});

test('nothing else is done to accounts', async () => {
  expect(await change('burn')).toBe('malformed');
  expect(await change('block', 'nobody@example.com')).toBe('account-unknown');
});
