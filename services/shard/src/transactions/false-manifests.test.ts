/** Manifests that are signed as they should be, and say something else than they must (S41, S42). */
import { concat, label } from '@meshd/crypto/digest';
import type { SigningKey } from '@meshd/crypto/ed448';
import { placeFrame } from '@meshd/dare/batch';
import type { SignatureEntry } from '@meshd/dare/header';
import { root } from '@meshd/dare/log-tree';
import { type ManifestFields, manifestBody, manifestKinds } from '@meshd/dare/manifest';
import { statusRegistry } from '@meshd/schema/status';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, Person, type TestDevice, TestWriter } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { codeOfFaults, type EntryFault, extendedOf } from '../upload/fault.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let devices: TestWriter;
let writer: TestWriter;

const credential = (id: string) => entry({ UniqueID: id, Event: 'New' });

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
  device = alice.device();
  devices = await shard.join(alice, device);
  writer = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
  const { envelopes } = writer.write([opening(), credential('a')]);
  expect(await shard.upload(device, [{ envelopes }])).toMatchObject({ status: 201 });
});

interface Lie {
  readonly fields?: Partial<ManifestFields>;
  /** Changes the octets before they are signed. */
  readonly body?: (octets: Uint8Array) => Uint8Array;
  readonly entries?: (entry: SignatureEntry) => readonly SignatureEntry[];
  readonly key?: SigningKey;
}

/** Uploads one entry under such a manifest. */
async function told({ fields = {}, body = (octets) => octets, entries = (one) => [one], key = device.signature }: Lie) {
  const { log } = writer.trees;
  const right: ManifestFields = {
    kind: manifestKinds.frame,
    from: log.frameCount,
    index: log.frameCount,
    root: root(log),
    createdMs: shard.nowMs,
    subject: alice.accountUdf,
    object: 'mmm_Credential',
  };
  const { envelope } = placeFrame(credential('b'), writer.trees, (core) => {
    const octets = body(manifestBody({ ...right, ...fields }));
    const Manifest = concat(octets, key.sign(concat(label('mesh-manifest-1'), octets, core)));
    return entries({ alg: 'S512-MAN1', kid: key.publicKey.udf, Manifest });
  });
  const result = await shard.upload(device, [{ envelopes: [envelope] }]);
  if (!('faults' in result)) return 'accepted';
  const [first] = result.faults as [EntryFault];
  return `${statusRegistry[codeOfFaults(result.faults)].status}/${extendedOf(first.code)} ${first.result}`;
}

const stored = () => shard.store.framesOf(alice.address, 'mmm_Credential').length;

describe('a manifest', () => {
  test('that says what it must is taken', async () => {
    expect(await told({})).toBe('accepted');
  });

  const lies: [what: string, lie: Lie, expected: string][] = [
    ['of another version', { body: (octets) => concat(Uint8Array.of(2), octets.subarray(1)) }, '400/23 Reject'],
    ['of a message', { fields: { kind: manifestKinds.message } }, '400/23 Reject'],
    ['of an entry for one’s own spool', { fields: { kind: manifestKinds.self } }, '400/23 Reject'],
    [
      'of unknown kind',
      { body: (octets) => concat(octets.subarray(0, 1), Uint8Array.of(4), octets.subarray(2)) },
      '400/23 Reject',
    ],
    ['with octets after its fields', { body: (octets) => concat(octets, Uint8Array.of(0)) }, '400/23 Reject'],
    ['whose last field is cut', { body: (octets) => octets.subarray(0, -1) }, '400/23 Reject'],
    ['that names the frame before', { fields: { index: 1 } }, '409/12 Conflict'],
    ['that names the frame after', { fields: { index: 3 } }, '409/12 Conflict'],
    ['that begins one frame too early', { fields: { from: 1 } }, '409/12 Conflict'],
    ['that begins at the beginning', { fields: { from: 0 } }, '409/12 Conflict'],
    ['on top of other frames', { fields: { root: new Uint8Array(32) } }, '409/12 Conflict'],
    ['for another container', { fields: { object: 'mmm_Network' } }, '400/23 Reject'],
    ['for a container in other letters', { fields: { object: 'MMM_Credential' } }, '400/23 Reject'],
    ['for another account', { fields: { subject: new Person('bob').accountUdf } }, '400/23 Reject'],
    ['beside a second one', { entries: (one) => [one, one] }, '400/23 Reject'],
    [
      'beside a signature in one entry',
      { entries: (one) => [{ ...one, signature: new Uint8Array(114) }] },
      '400/23 Reject',
    ],
    [
      'without the name of its signer',
      { entries: ({ alg, Manifest }) => [{ alg, Manifest }] as SignatureEntry[] },
      '400/23 Reject',
    ],
    ['in an entry of another kind', { entries: (one) => [{ ...one, alg: 'S512' }] }, '400/23 Reject'],
  ];

  test.each(lies)('[S41] [S42] %s is refused', async (_what, lie, expected) => {
    expect(await told(lie)).toBe(expected);
    expect(stored()).toBe(2);
  });

  test('[S42] of an administrator is none for an ordinary store, nor of a device that may not write it', async () => {
    const limited = alice.device('second', [{ Name: 'mmm_Bookmark' }, { Name: 'mmm_Credential', Role: 'read' }]);
    const { envelopes } = devices.write([entry({ UniqueID: limited.udf, Event: 'New' }, limited.entry)]);
    expect(await shard.upload(device, [{ container: 'mmm_Device', envelopes }])).toMatchObject({ status: 201 });
    for (const key of [alice.admin, alice.meshOffline, limited.signature, device.authentication]) {
      expect(await told({ key })).toBe('403/2 Reject');
    }
    expect(stored()).toBe(2);
  });
});
