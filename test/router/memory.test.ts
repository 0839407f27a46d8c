/** What hostile bodies leave behind in the memory of the processes: nothing that grows with their number. */
import { readFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { signRequest } from '@meshd/binding/request-sign';
import { systemRandom } from '@meshd/crypto/random';
import { freePorts } from '@meshd/dev/ports';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { httpBodyBytesMax } from '@meshd/limits/limits';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { entry, opening, Person, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const domain = 'mesh.example';
const mebibyte = 1024 * 1024;
let processes: ProviderProcesses;
let agent: Agent;
let undo: () => Promise<void>;

beforeAll(async () => {
  const { plan, folder, remove } = await makeTestPlan();
  const [port] = await freePorts(1);
  processes = new ProviderProcesses({ ...plan, port: port as number }, join(folder, 'logs'));
  await processes.start();
  agent = new Agent({ keepAlive: true, maxSockets: 4, ca: await readFile(plan.certificates.caFile) });
  undo = async () => {
    agent.destroy();
    await processes.stop();
    await remove();
  };
}, 120_000);
afterAll(() => undo?.());

function post(body: Uint8Array | string): Promise<number> {
  const headers = { host: domain, 'content-type': 'application/json' };
  return new Promise((resolve) => {
    const url = `${processes.url}/.well-known/mmm`;
    const request = httpsRequest(url, { method: 'POST', agent, headers, servername: domain }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    // A body that is refused while it is still coming may find its connection closed.
    request.on('error', () => resolve(0));
    request.end(body);
  });
}

let people = 0;
/** Everything about it is new to the service: account, keys, ID. */
async function fromStranger<T extends Transaction>(transaction: T, message: RequestOf<T>): Promise<Uint8Array> {
  people += 1;
  const person = new Person(`stranger${people}`, { address: `stranger${people}@${domain}` });
  const device = person.device();
  const signers = [{ key: device.authentication, connection: device.connection }];
  const base = { transaction, signers, service: domain, nowMs: Date.now(), random: systemRandom };
  return (await signRequest({ ...base, message: { ...message, Account: person.address } })).body;
}

function frames(count: number) {
  const person = new Person('alice', { address: `alice@${domain}` });
  const writer = new TestWriter('mmm_Credential', person.accountUdf, person.admin);
  const drafts = Array.from({ length: count }, (_, at) => entry({ UniqueID: `${at}`, Event: 'New' }));
  return [...writer.seal([opening(), ...drafts]).envelopes];
}

const filled = (before: string, part: string, after: string) =>
  before + part.repeat(Math.floor((httpBodyBytesMax - 1000) / part.length)) + after;
const enveloped = (payload: string) =>
  `[{"dig":"S512"},"${Buffer.from(payload.slice(0, 12 * mebibyte - 1000)).toString('base64url')}",{}]`;

/** Bodies as large as they may be, each of a shape that is dear to something. */
const large = [
  filled('{"Hello":{"x":', '{"a":', ''),
  filled('{"Hello":{"x":[', '[],', '[]]}}'),
  filled('{"Hello":{"x":"', '\\u0041', '"}}'),
  filled('[{"signatures":[', '{"kid":"x"},', '{}]},"",{}]'),
  filled('[{},"', 'QUJD', '",{}]'),
  filled('[{"', 'x', '":1},"",{}]'),
  enveloped(filled('{"Upload":{"Updates":[', '{"Container":"mmm_Credential","Envelopes":[[{},""]]},', '{}]}}')),
  enveloped(filled('{"Status":{"Account":"', 'x', '"}}')),
].map((text) => Buffer.from(text));

async function round(): Promise<number[]> {
  const batch = frames(200);
  const updates = { Updates: [{ Container: 'mmm_Credential', Envelopes: batch }] };
  const signed = await Promise.all([
    ...Array.from({ length: 40 }, () => fromStranger('Status', {})),
    ...Array.from({ length: 4 }, () => fromStranger('Upload', updates)),
  ]);
  const statuses: number[] = [];
  for (const body of [...large, ...signed]) statuses.push(await post(body));
  return statuses;
}

/** Resident octets of the processes that such bodies reach. */
async function residentBytes(): Promise<Record<string, number>> {
  const serving = processes.adminUrls.filter(({ name }) => name !== 'outbound');
  const figures = serving.map(async ({ name, url }) => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return [name, Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1])] as const;
  });
  return Object.fromEntries(await Promise.all(figures));
}

describe('memory', () => {
  it('does not grow with the number of hostile bodies', async () => {
    const statuses = new Set(await round());
    // What the first rounds need stays with the process; it must do for all that follow.
    await round();
    const before = await residentBytes();
    for (let at = 0; at < 3; at += 1) for (const status of await round()) statuses.add(status);
    const after = await residentBytes();
    expect([...statuses].filter((status) => ![0, 400, 401, 413, 429].includes(status))).toEqual([]);
    expect(Object.keys(before)).toHaveLength(3);
    for (const [name, bytes] of Object.entries(after)) {
      const grownMebibytes = (bytes - (before[name] ?? Number.NaN)) / mebibyte;
      // Kept bodies would be 384 MiB.
      expect(grownMebibytes, `${name} has ${Math.round(bytes / mebibyte)} MiB`).toBeLessThan(160);
      expect(bytes / mebibyte, name).toBeLessThan(640);
    }
    expect(processes.programs).toHaveLength(4);
  }, 180_000);
});
