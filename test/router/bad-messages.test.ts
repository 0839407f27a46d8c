/** Messages that cannot be read, members out of range, and what is not built. */
import type { Transaction } from '@meshd/schema/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { account, connectedDevice, enveloped, post, startRefusingRouter, verified } from './device-kit.js';
import type { RunningRouter } from './router-kit.js';

const device = connectedDevice();
let running: RunningRouter;
beforeAll(async () => {
  running = await startRefusingRouter();
});
afterAll(() => running?.stop());

describe('messages', () => {
  it.each([
    ['', 400, false],
    ['x', 400, false],
    ['{"Hello":', 400, false],
    ['{"Hello":{}} x', 400, false],
    ['[]', 400, false],
    ['[{}]', 400, false],
    ['[{},"!!!",{}]', 400, false],
    [`[{},"${'A'.repeat(10)}",{},{}]`, 400, false],
    ['{"Frobnicate":{}}', 400, false],
    ['{"Hello":{},"Status":{}}', 400, false],
    ['{"Status":{"Account":"alice@example.com"}}', 401, false],
    [enveloped('{"Frobnicate":{"Service":"example.com"}}'), 400, true],
    [enveloped('{"Hello":{},"Status":{}}'), 400, true],
    [enveloped('{"Status":{"Account":"a@b.c","Account":"d@e.f"}}'), 400, true],
    [enveloped('{"Status":{}}'), 400, true],
    [enveloped('not json'), 400, true],
  ])('refuses %j', async (body, status, isSigned) => {
    expect(await post(running, body)).toMatchObject({ http: status, status, isSigned });
  });

  it('[R311] answers in the declared class where it knows the transaction, else in MeshResponse', async () => {
    expect((await post(running, enveloped('{"Frobnicate":{}}'))).tag).toBe('MeshResponse');
    expect((await post(running, enveloped('{"Upload":{}}'))).tag).toBe('UploadResponse');
    expect((await post(running, 'x')).tag).toBe('MeshResponse');
  });

  it('survives nesting, long names, and members by the thousand', async () => {
    const deep = `{"Hello":${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}}`;
    expect((await post(running, deep)).http).toBe(400);
    const wide = `{"Hello":{${Array.from({ length: 20_000 }, (_, at) => `"m${at}":1`).join(',')}}}`;
    expect([201, 400, 413]).toContain((await post(running, wide)).http);
  });
});

describe('what is not for the caller, or not built', () => {
  it('is refused in the class of the transaction', async () => {
    expect(await verified(running, 'Connect', {}, [device.signer])).toMatchObject({
      status: 403,
      statusExtended: 2,
      tag: 'ConnectResponse',
    });
  });

  it('refuses members that are out of range, and those of later features', async () => {
    const of = { Account: account };
    const select = (members: object) => ({ ...of, Select: [{ Container: 'mmm_Device', ...members }] });
    const cases: [Transaction, object, number][] = [
      ['Download', select({ PageKey: 'x' }), 410],
      ['Download', select({ Filter: ['Deleted', 'Newer'] }), 400],
      ['Download', select({ ProveFrom: -1 }), 400],
      ['Download', { ...select({}), ConstraintsPost: { BytesOffset: -1 } }, 400],
      ['Download', { ...of, Select: Array(2).fill({ Container: 'a_b' }), ConstraintsPost: { BytesOffset: 1 } }, 400],
      ['Status', { ...of, Wait: -1 }, 400],
      ['Status', { ...of, Known: [{ Container: 'a_b' }] }, 400],
      ['Status', { ...of, Known: [{ Index: 1 }] }, 400],
      ['DeleteAccount', { ...of, MovedTo: 'nobody' }, 400],
    ];
    for (const [transaction, message, expected] of cases) {
      const { status } = await verified(running, transaction, message, [device.signer]);
      expect([transaction, JSON.stringify(message), status]).toEqual([transaction, JSON.stringify(message), expected]);
    }
  });
});
