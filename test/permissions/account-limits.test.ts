/**
 * Accounts that may do less than others: on hold (403/6), blocked (403/7), and full (403/19). Nothing in the protocol makes them
 * so. Accounts are blocked by an operator's word to their shard; the others are so in the shard's database, and the shard
 * knows it from its next start on.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { freePorts } from '@meshd/dev/ports';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import { shardAddresses } from '@meshd/dev/service-settings';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { containersPerAccountMax } from '@meshd/limits/limits';
import type { Identity } from '@meshd/rpc/credentials';
import { withEveryShard } from '@meshd/rpc/operator';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { entry, mark, opening, Person, selfEntry, TestWriter } from '@meshd/shard/testing/person';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  allFeatures,
  connected,
  connectionRequestOf,
  creationOf,
  type Joined,
  join,
  linkTo,
  TicketCalls,
  ticketFor,
  unconnected,
  type Verdict,
  verdictOf,
} from './people.js';

const testMs = 120_000;
const container = 'mmm_Credential';
let folder: string;
let removePlan: () => Promise<void>;
let processes: ProviderProcesses;
let ca: string;
let link: MeshConnection;
/** On hold. */
let held: Joined;
/** As anybody's, until the operator blocks it. */
let blocked: Joined;
/** Room for two more frames. */
let fewFrames: Joined;
/** As anybody's. */
let many: Joined;
/** Room for no more octets than a small frame has. */
let fewOctets: Joined;

/** Changes accounts behind the shard's back, and has it started anew: it keeps accounts in memory. */
async function byOperator(statements: readonly (readonly [text: string, values: unknown[]])[]): Promise<void> {
  const [shard] = processes.plan.shards;
  const client = new pg.Client({ connectionString: shard?.postgresUrl });
  await client.connect();
  try {
    for (const [text, values] of statements) expect((await client.query(text, values)).rowCount).toBe(1);
  } finally {
    await client.end();
  }
  await processes.restart(shard?.name ?? '');
}

beforeAll(async () => {
  folder = await mkdtemp(joinPath(tmpdir(), 'meshd-limits-'));
  const { plan, remove } = await makeTestPlan({ domains: ['example.com'], shardCount: 1 });
  removePlan = remove;
  const [port = 0] = await freePorts(1);
  processes = new ProviderProcesses({ ...plan, port }, joinPath(folder, 'logs'));
  await processes.start();
  ca = await readFile(plan.certificates.caFile, 'utf8');
  link = linkTo({ domain: 'example.com', url: processes.url, ca }, { features: allFeatures });
  held = await join(link, 'held');
  blocked = await join(link, 'blocked');
  many = await join(link, 'many');
  fewFrames = await join(link, 'few-frames');
  fewOctets = await join(link, 'few-octets');
  const used = `(SELECT sum(c.bytes_used) FROM container AS c WHERE c.account_id = account.id)`;
  // Three spools with a frame each and two frames of the device catalog are there.
  await byOperator([
    ["UPDATE account SET status = 'pending' WHERE address = $1", [held.person.address]],
    ['UPDATE account SET quota_frames = 7 WHERE address = $1', [fewFrames.person.address]],
    [`UPDATE account SET quota_bytes = ${used} + 3000 WHERE address = $1`, [fewOctets.person.address]],
  ]);
}, testMs);
afterAll(async () => {
  await link?.close();
  await processes?.stop();
  await removePlan?.();
  await rm(folder, { recursive: true, force: true });
}, testMs);

const batchOf = ({ person, device }: Joined, bodies: readonly number[]) => {
  const drafts = bodies.map((bytes, at) => entry({ UniqueID: `key ${at}`, Event: 'New' }, new Uint8Array(bytes)));
  return new TestWriter(container, person.accountUdf, device.signature).seal([opening(), ...drafts]).envelopes;
};

async function uploaded({ person, device }: Joined, envelopes: readonly EnvelopeOctets[]) {
  const message = { Account: person.address, Updates: [{ Container: container, Envelopes: [...envelopes] }] };
  const { status, statusExtended, message: answer } = await link.call('Upload', message, [connected(device)]);
  return { verdict: [status, statusExtended], entries: answer.Entries };
}

async function names({ person, device }: Joined) {
  const { message } = await link.call('Status', { Account: person.address }, [connected(device)]);
  return message.ContainerStatus?.map(({ Container }) => Container);
}

/** What a device of an account is answered, whatever it asks for (semantics 6.4 to 6.6), and one that wants to be (7.2). */
async function expectEverywhere(joined: Joined, verdict: Verdict): Promise<void> {
  const ask = <T extends Transaction>(transaction: T, message: object) => {
    const complete = { Account: joined.person.address, ...message } as RequestOf<T>;
    return verdictOf(link, transaction, complete, [connected(joined.device)]);
  };
  expect(await ask('Status', {})).toEqual(verdict);
  expect(await ask('Status', { Wait: 1000, Known: [{ Container: container, Index: 0 }] })).toEqual(verdict);
  expect(await ask('Download', { Select: [{ Container: 'mmm_Device' }] })).toEqual(verdict);
  const Updates = [{ Container: container, Envelopes: [...batchOf(joined, [10])] }];
  expect(await ask('Upload', { Updates })).toEqual(verdict);
  expect(await askToBeConnected(joined)).toEqual(verdict);
}

function askToBeConnected({ person }: Joined): Promise<Verdict> {
  const phone = person.device('phone');
  const request = connectionRequestOf(person, phone);
  return verdictOf(link, 'Connect', { MessageConnectionRequestClient: request }, [unconnected(person, phone)]);
}

describe('[R109] [R264] an account on hold', () => {
  it('[R244] tells its devices so, whatever they ask for, and those that ask to be connected: 403/6', async () => {
    await expectEverywhere(held, [403, 6]);
  });

  it('[R080] tells nobody else: 401', async () => {
    const { person, device } = held;
    const stranger = new Person('stranger').device();
    const status = { Account: person.address };
    expect(await verdictOf(link, 'Status', status, [connected(stranger)])).toEqual([401]);
    expect(await verdictOf(link, 'Status', status, [unconnected(person, device)])).toEqual([401]);
    expect(await verdictOf(link, 'Status', status, [])).toEqual([401]);
  });

  it('keeps its name: 409/1', async () => {
    const thief = new Person('thief', { address: held.person.address });
    expect(await verdictOf(link, 'CreateAccount', creationOf(thief), [{ key: thief.meshOffline }])).toEqual([409, 1]);
  });

  it('is no business of other accounts', async () => {
    expect(await names(fewFrames)).toContain('mmm_Device');
  });
});

describe('[R109] [R264] an account that the operator has blocked', () => {
  const change = async (action: 'block' | 'unblock') => {
    const { internal, internalCaFile } = processes.plan.certificates;
    const [certificate, key, authority] = await Promise.all(
      [internal.operator.certFile, internal.operator.keyFile, internalCaFile].map((file) => readFile(file)),
    );
    const identity = { certificate, key, authority } as Identity;
    return withEveryShard({ identity, addresses: shardAddresses(processes.plan) }, async (shards) => {
      const value = { account: blocked.person.address, action };
      const shard = shards.shardOf(value.account) as string;
      return shards.ask(shard, { $case: 'changeAccount', value }, 'changeAccount');
    });
  };

  it('[R244] tells its devices so within one request, by signature and by ticket, whatever they ask for: 403/7', async () => {
    const { person, device } = blocked;
    const place = { domain: 'example.com', url: processes.url, ca };
    const ticket = await ticketFor(place, connected(device));
    const underTicket = new TicketCalls(place);
    const status = async () => (await underTicket.call('Status', { Account: person.address }, ticket)).verdict;
    try {
      expect(await status()).toEqual([201]);
      expect(await change('block')).toEqual({ changed: true });
      expect(await status()).toEqual([403, 7]);
      await expectEverywhere(blocked, [403, 7]);
      const stranger = new Person('stranger').device();
      expect(await verdictOf(link, 'Status', { Account: person.address }, [connected(stranger)])).toEqual([401]);
      expect(await change('unblock')).toEqual({ changed: true });
      expect(await status()).toEqual([201]);
      expect(await askToBeConnected(blocked)).toEqual([201]);
    } finally {
      underTicket.close();
    }
  });
});

describe('[R267] [R273] an account that is full', () => {
  it('[R135] of frames: 403/19 at the entry that no longer fits, and nothing is stored', async () => {
    const { verdict, entries } = await uploaded(fewFrames, batchOf(fewFrames, [10, 10]));
    expect(verdict).toEqual([403, 19]);
    expect(entries).toEqual([{ IndexRequest: 2, Result: 'Reject', StatusExtended: 19 }]);
    expect(await names(fewFrames)).not.toContain(container);
  });

  it('[R137] is told so by a probe, before any body is sent: Reject with 19 where it no longer fits', async () => {
    const redacted = batchOf(fewFrames, [10, 10]).map((octets) => ({ ...octets, payload: null }));
    const { verdict, entries } = await uploaded(fewFrames, redacted);
    expect(verdict).toEqual([300, undefined]);
    expect(entries?.at(-1)).toMatchObject({ IndexRequest: 2, Result: 'Reject', StatusExtended: 19 });
  });

  it('takes what fits, and then nothing, Self entries neither', async () => {
    const { person, device } = fewFrames;
    expect((await uploaded(fewFrames, batchOf(fewFrames, [10]))).verdict).toEqual([201, undefined]);
    const Self = [selfEntry(person.accountUdf, device.signature, mark('NAAA-FULL', 'Read', 'NAAA-NONE'))];
    const message = { Account: person.address, Self };
    expect(await verdictOf(link, 'Upload', message, [connected(device)])).toEqual([403, 19]);
    expect(await names(fewFrames)).toContain(container);
  });

  it('[R135] of octets: 403/19, and what is smaller is taken', async () => {
    const { verdict, entries } = await uploaded(fewOctets, batchOf(fewOctets, [10, 4000]));
    expect(verdict).toEqual([403, 19]);
    expect(entries).toEqual([{ IndexRequest: 2, Result: 'Reject', StatusExtended: 19 }]);
    expect((await uploaded(fewOctets, batchOf(fewOctets, [10]))).verdict).toEqual([201, undefined]);
  });

  it('[R135] of containers: 403/19 at the one too many, and none of them is made', async () => {
    const { person, device } = many;
    const open = (count: number) => {
      const Updates = Array.from({ length: count }, (_, at) => {
        const Container = `my_Own${at}`;
        const writer = new TestWriter(Container, person.accountUdf, device.signature);
        return { Container, Envelopes: [...writer.seal([opening()]).envelopes] };
      });
      return link.call('Upload', { Account: person.address, Updates }, [connected(device)]);
    };
    const room = containersPerAccountMax - ((await names(many))?.length ?? 0);
    const refused = await open(room + 1);
    expect([refused.status, refused.statusExtended]).toEqual([403, 19]);
    expect(refused.message.Entries).toEqual([{ IndexRequest: room, Result: 'Reject', StatusExtended: 19 }]);
    expect(await names(many)).toHaveLength(containersPerAccountMax - room);
    expect((await open(room)).status).toBe(201);
  });

  it('[R254] still reads', async () => {
    const { person, device } = fewFrames;
    const message = { Account: person.address, Select: [{ Container: container }] };
    expect(await verdictOf(link, 'Download', message, [connected(device)])).toEqual([201]);
  });
});
