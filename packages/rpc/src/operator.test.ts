import { slotOfAddress } from '@meshd/schema/address';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Identity, roleName } from './credentials.js';
import { withEveryShard } from './operator.js';
import { type CallContext, type ShardServer, serveShard, type TransactAnswer } from './shard-server.js';
import { makeAuthority } from './test-kit.js';

let shard: Identity;
let operator: Identity;
beforeAll(async () => {
  const authority = await makeAuthority();
  [shard, operator] = await Promise.all([authority.issue(roleName('shard')), authority.issue(roleName('operator'))]);
});

const servers: ShardServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

const outcome = { status: 201, error: '', detail: '', retryAfterMs: 0, correlation: '', mapVersion: 3 };
const rows = (count: number): TransactAnswer => ({
  outcome,
  result: { $case: 'changeDestination', value: { rows: count } },
});
const refused: TransactAnswer = {
  outcome: { ...outcome, status: 403, error: 'policy', detail: 'no' },
  result: undefined,
};
const drop = { $case: 'changeDestination', value: { domain: 'beta.test', action: 'drop', all: false } } as const;

/** Shards that know one another, each with its answer; the roles of who asked are written down. */
async function serve(answers: readonly TransactAnswer[]): Promise<{ addresses: string[]; roles: string[] }> {
  const addresses: string[] = [];
  const roles: string[] = [];
  for (const answer of answers) {
    const server = await serveShard({
      ...{ host: '127.0.0.1', port: 0, identity: shard, stopMsMax: 100 },
      handlers: {
        transact: async (_request, { role }: CallContext) => {
          roles.push(role);
          return answer;
        },
        download: () => Promise.reject(new Error('not expected')),
        watchMap: async (_request, sink) => {
          const shards = addresses.map((address, at) => ({ shard: `shard-${at}`, address }));
          const ranges = shards.map(({ shard }, at) => ({ first: at * 2048, last: at * 2048 + 2047, shard }));
          await sink.send({ version: 3, ranges, exceptions: [], shards });
        },
      },
      onError: () => undefined,
    });
    servers.push(server);
    addresses.push(`127.0.0.1:${server.port}`);
  }
  return { addresses, roles };
}

const askAll = (addresses: readonly string[]) =>
  withEveryShard({ identity: operator, addresses }, (shards) =>
    Promise.all(shards.names.map(async (name) => (await shards.ask(name, drop, 'changeDestination')).rows)),
  );

describe('an operator', () => {
  it('asks all shards, whichever of them says which there are', async () => {
    const { addresses, roles } = await serve([rows(2), rows(5)]);
    const unused = '127.0.0.1:1';
    expect(await askAll([unused, addresses[1] as string])).toEqual([2, 5]);
    expect(roles).toEqual(['operator', 'operator']);
  });

  it('is told which shard has an account', async () => {
    const { addresses } = await serve([rows(0), rows(0)]);
    const accounts = ['alice@example.com', 'bob@example.com', 'carol@example.com', 'dave@example.com'];
    const shards = await withEveryShard({ identity: operator, addresses }, async ({ shardOf }) =>
      accounts.map(shardOf),
    );
    expect(shards).toEqual(accounts.map((account) => `shard-${Math.floor(slotOfAddress(account) / 2048)}`));
    expect(new Set(shards).size).toBe(2);
  });

  it('is told what a shard refuses, and that none answers', async () => {
    const { addresses } = await serve([refused]);
    await expect(askAll(addresses)).rejects.toMatchObject({ code: 'refused', message: 'shard-0: no' });
    const nobody = { outcome: { ...outcome, status: 404, error: 'account-unknown' }, result: undefined };
    await expect(askAll((await serve([nobody])).addresses)).rejects.toThrow(
      'shard-0: No such account. Check the address of the account.',
    );
    await expect(askAll(['127.0.0.1:1'])).rejects.toMatchObject({ code: 'unavailable' });
  });
});
