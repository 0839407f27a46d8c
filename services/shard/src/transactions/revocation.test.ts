import { decodeEdge, root } from '@meshd/dare/log-tree';
import { decodeTree } from '@meshd/dare/merkle';
import { encodeBase64Url } from '@meshd/encoding/base64url';
import { statusRegistry } from '@meshd/schema/status';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, Person, type TestDevice, TestWriter } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { codeOfFaults, extendedOf } from '../upload/fault.js';
import type { UploadResult } from './upload.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let second: TestDevice;
let writer: TestWriter;
const none = new Uint8Array(0);
const container = 'mmm_Credential';

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
  device = alice.device();
  second = alice.device('second');
  await shard.join(alice, device);
  await toDevices(entry({ UniqueID: second.udf, Event: 'New' }, second.entry));
  writer = new TestWriter(container, alice.accountUdf, second.signature);
  await shard.upload(second, [{ envelopes: writer.write([opening(), credential('a')]).envelopes }]);
});

const credential = (id: string) => entry({ UniqueID: id, Event: 'New' });

async function toDevices(draft: ReturnType<typeof entry>): Promise<UploadResult> {
  const devices = new TestWriter('mmm_Device', alice.accountUdf, alice.admin);
  const stored = shard.store.stateOf(alice.address)?.containers.get('mmm_Device');
  devices.trees = { tree: decodeTree(stored?.dareTree ?? none), log: decodeEdge(stored?.logTree ?? none) };
  return shard.upload(device, [{ container: 'mmm_Device', envelopes: devices.write([draft]).envelopes }]);
}

const revoke = (...cuts: [key: string, value: string][]) =>
  toDevices(
    entry({
      ...{ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 },
      KeyValues: cuts.map(([Key, Value]) => ({ Key, Value })),
    }),
  );

const cutNow = (size = writer.trees.log.frameCount): [string, string] => {
  const edge = shard.store.stateOf(alice.address)?.containers.get(container)?.logTree ?? none;
  return [`Cut:${container}`, `${size}:${encodeBase64Url(root(decodeEdge(edge)))}`];
};

function told(result: UploadResult): string {
  if (!('faults' in result)) return 'accepted';
  const first = result.faults[0];
  return `${statusRegistry[codeOfFaults(result.faults)].status}/${extendedOf(first?.code ?? 'malformed')} ${first?.result}`;
}

describe('[S48] revocation cuts', () => {
  test('a frame of the revoked device at the cut is refused, whoever brings it', async () => {
    expect(told(await revoke(cutNow()))).toBe('accepted');
    const { envelopes } = writer.seal([credential('late')]);
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('409/24 Conflict');
    const elsewhere = new TestWriter('mmm_Bookmark', alice.accountUdf, second.signature);
    const opened = elsewhere.seal([opening()]).envelopes;
    expect(told(await shard.upload(device, [{ container: 'mmm_Bookmark', envelopes: opened }]))).toBe(
      '409/24 Conflict',
    );
  });

  test('a cut must be of the container’s history', async () => {
    const [key, value] = cutNow();
    expect(told(await revoke([key, value.replace('2:', '3:')]))).toBe('409/12 Conflict');
    expect(told(await revoke([key, `1:${value.slice(2)}`]))).toBe('409/12 Conflict');
    expect(told(await revoke(['Cut:app_Unknown', value]))).toBe('409/12 Conflict');
    for (const wrong of ['', '2', '2:', '02:AAAA', `-1:${value.slice(2)}`, `2:${value.slice(2, -4)}`]) {
      expect(told(await revoke([key, wrong]))).toBe('400/13 Reject');
    }
    expect(told(await revoke([key, value], [key, value]))).toBe('400/13 Reject');
    expect(shard.store.stateOf(alice.address)?.devices.get(second.udf)?.revokedAtMs).toBeNull();
    expect(told(await revoke(['Other', 'x'], [key, value]))).toBe('accepted');
    expect(shard.store.stateOf(alice.address)?.devices.get(second.udf)?.cuts).toMatchObject([{ container, size: 2 }]);
  });

  test('an earlier size of the container has a cut too', async () => {
    const early = cutNow();
    const others = new TestWriter(container, alice.accountUdf, device.signature);
    others.trees = writer.trees;
    await shard.upload(device, [{ envelopes: others.write([credential('b'), credential('c')]).envelopes }]);
    expect(told(await revoke(early))).toBe('accepted');
  });
});

describe('[S47] history that the service lost', () => {
  const incidents = () => shard.store.framesOf('@service', 'mmm_Incident').length;
  const own = () => shard.upload(device, [{ envelopes: ownWriter().seal([credential('mine')]).envelopes }]);
  const ownWriter = () => {
    const mine = new TestWriter(container, alice.accountUdf, device.signature);
    mine.trees = writer.trees;
    return mine;
  };

  test('batches of others are taken back verbatim in their order, and recorded', async () => {
    const lost = [[credential('b')], [credential('c'), credential('d')]].map(
      (drafts) => writer.write(drafts).envelopes,
    );
    const before = incidents();
    expect(
      told(
        await shard.upload(
          device,
          lost.map((envelopes) => ({ envelopes })),
        ),
      ),
    ).toBe('accepted');
    expect(incidents()).toBe(before + 1);
    expect(Buffer.from(shard.store.framesOf('@service', 'mmm_Incident').at(-1)?.payload ?? []).toString()).toContain(
      'history-restored',
    );
    const stored = shard.store.framesOf(alice.address, container).slice(2);
    expect(stored.map(({ payload }) => payload)).toEqual(lost.flat().map(({ payload }) => payload));
    expect(told(await own())).toBe('accepted');
    expect(incidents()).toBe(before + 1);
  });

  test('what a device wrote before it was revoked comes back up to its cut', async () => {
    const lost = writer.write([credential('b')]).envelopes;
    const beyond = writer.seal([credential('c')]).envelopes;
    // The cut names the longer history that the service no longer has: the device is revoked with what it has, then again
    // it is the row that tells how far the hand reached.
    await revoke();
    const state = shard.store.stateOf(alice.address);
    const row = state?.devices.get(second.udf);
    await shard.store.transactAccount(alice.address, (transactor) =>
      transactor.commit({
        devices: [{ ...(row as NonNullable<typeof row>), cuts: [{ container, size: 3, root: '' }] }],
      }),
    );
    expect(told(await shard.upload(device, [{ envelopes: lost }]))).toBe('accepted');
    expect(told(await shard.upload(device, [{ envelopes: beyond }]))).toBe('409/24 Conflict');
  });
});
