/** What signs a batch and what does not (S41–S43), and containers that were opened without (S49). */
import { makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, Person, type TestDevice, TestWriter, testKey } from '../testing/person.js';
import type { TestShard } from '../testing/test-shard.js';
import { credential, openUploadKit, told } from '../testing/upload-kit.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let writer: TestWriter;

beforeEach(async () => {
  ({ shard, alice, device, writer } = await openUploadKit());
});

describe('manifests', () => {
  beforeEach(async () => {
    await shard.upload(device, [{ envelopes: writer.write([opening(), credential('a')]).envelopes }]);
  });

  test('[S42] a batch without final manifest is refused at its last entry', async () => {
    const { envelopes } = writer.seal([credential('b'), credential('c'), credential('d')]);
    expect(told(await shard.upload(device, [{ envelopes: envelopes.slice(0, 2) }]))).toBe('400/23 Reject@1');
  });

  test('[S41] trailing octets, unknown version or kind of a manifest are refused', async () => {
    const { envelopes } = writer.seal([credential('b')]);
    const change = async (edit: (manifest: Uint8Array) => Uint8Array) => {
      const opened = openEnvelope(envelopes[0] as (typeof envelopes)[number]);
      const signatures = opened.signatures.map((each) => ({ ...each, Manifest: edit(each.Manifest as Uint8Array) }));
      const { trailer } = makeEnvelope({ header: {}, payload: null, trailer: { ...opened.trailer, signatures } });
      return told(await shard.upload(device, [{ envelopes: [{ ...opened.octets, trailer }] }]));
    };
    expect(await change((octets) => Buffer.concat([octets, Buffer.of(0)]))).toBe('400/23 Reject@0');
    expect(await change((octets) => Buffer.concat([Buffer.of(2), octets.subarray(1)]))).toBe('400/23 Reject@0');
    expect(await change((octets) => Buffer.concat([octets.subarray(0, 1), Buffer.of(3), octets.subarray(2)]))).toBe(
      '400/23 Reject@0',
    );
    const flipped = (octets: Uint8Array) => octets.map((octet, at) => (at === octets.length - 60 ? octet ^ 1 : octet));
    expect(await change(flipped)).toBe('400/23 Reject@0');
  });

  test('[S42] From one too low is a conflict', async () => {
    const { signManifest, manifestKinds } = await import('@meshd/dare/manifest');
    const { root } = await import('@meshd/dare/log-tree');
    const { placeFrame } = await import('@meshd/dare/batch');
    const placed = placeFrame(credential('b'), writer.trees, (core, index) => {
      const { log } = writer.trees;
      const fields = {
        kind: manifestKinds.frame,
        from: index - 1,
        index,
        root: root(log),
        createdMs: 0,
        subject: alice.accountUdf,
        object: 'mmm_Credential',
      };
      const Manifest = signManifest(device.signature, fields, core);
      return [{ alg: 'S512-MAN1', kid: device.signature.publicKey.udf, Manifest }];
    });
    expect(told(await shard.upload(device, [{ envelopes: [placed.envelope] }]))).toBe('409/12 Conflict@0');
  });

  test('[S42] another root is a conflict: the writer has seen another history', async () => {
    const fork = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
    fork.write([opening(), credential('a')]);
    const { envelopes } = fork.seal([credential('b'), credential('c')]);
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('409/12 Conflict@1');
  });

  test('[S42] a batch for another container or another account is refused', async () => {
    const other = writer.seal([credential('b')], { container: 'mmm_Network' });
    expect(told(await shard.upload(device, [{ envelopes: other.envelopes }]))).toBe('400/23 Reject@0');
    const foreign = writer.seal([credential('b')], { accountUdf: testKey('bob').publicKey.udf });
    expect(told(await shard.upload(device, [{ envelopes: foreign.envelopes }]))).toBe('400/23 Reject@0');
  });

  test('[S42] [S43] a signer without a place in the account may not write', async () => {
    const { envelopes } = writer.seal([credential('b')], { signer: testKey('mallory') });
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('403/2 Reject@0');
  });

  test('[S43] an online key of the account may write', async () => {
    const { envelopes } = writer.seal([credential('b')], { signer: alice.accountOnline });
    expect(await shard.upload(device, [{ envelopes }])).toMatchObject({ status: 201 });
  });

  test('[S42] one manifest a batch: a second one inside it would overlap', async () => {
    const first = writer.write([credential('b')]).envelopes;
    const second = writer.write([credential('c')]).envelopes;
    expect(told(await shard.upload(device, [{ envelopes: [...first, ...second] }]))).toBe('400/23 Reject@1');
    expect(await shard.upload(device, [{ envelopes: first }, { envelopes: second }])).toMatchObject({ status: 201 });
  });

  test('[S03] an S512 signature over the empty payload of a Delete is no proof', async () => {
    const draft = entry({ UniqueID: 'a', Event: 'Delete', First: 1, Previous: 1 });
    const { placeFrame } = await import('@meshd/dare/batch');
    const { sha512 } = await import('@meshd/crypto/digest');
    const signature = device.signature.sign(sha512(new Uint8Array(0)));
    const placed = placeFrame(draft, writer.trees, () => [
      { alg: 'S512', kid: device.signature.publicKey.udf, signature },
    ]);
    expect(told(await shard.upload(device, [{ envelopes: [placed.envelope] }]))).toBe('400/23 Reject@0');
  });
});

describe('legacy containers', () => {
  const bare = (drafts: readonly ReturnType<typeof entry>[], at = 0) =>
    drafts.map((draft, place) =>
      makeEnvelope({
        header: {
          ...draft.header,
          ContentMetaData: Buffer.from(JSON.stringify(draft.contentMeta)),
          ContainerInfo: { ...draft.header?.ContainerInfo, Index: at + place },
        },
        payload: draft.payload,
      }),
    );

  test('[S49] a container opened without a manifest is stored as the draft says', async () => {
    const first = bare([opening(), credential('a')]);
    expect(await shard.upload(device, [{ envelopes: first }])).toMatchObject({ status: 201 });
    expect(shard.store.stateOf(alice.address)?.containers.get('mmm_Credential')?.legacy).toBe(true);
    const next = bare([entry({ UniqueID: 'a', Event: 'Update' })], 2);
    expect(await shard.upload(device, [{ envelopes: next }])).toMatchObject({ status: 201 });
    expect(await shard.upload(device, [{ envelopes: next }])).toMatchObject({ accepted: [{ indexContainer: 2 }] });
    const other = bare([entry({ UniqueID: 'a', Event: 'Update' })], 2);
    expect(told(await shard.upload(device, [{ envelopes: other }]))).toBe('409/12 Conflict@0');
  });

  test('[S49] a manifest on a later entry only is a mistake and does not make a legacy container', async () => {
    const [, second] = writer.seal([opening(), credential('a')]).envelopes;
    const [zero] = bare([opening()]);
    const envelopes = [zero, second] as NonNullable<typeof second>[];
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('400/23 Reject@1');
  });

  test('[S25] the device catalog cannot be legacy', async () => {
    const bob = new Person('bob');
    await shard.create(bob);
    const envelopes = bare([opening(), entry({ UniqueID: bob.device().udf, Event: 'New' }, bob.device().entry)]);
    const result = await shard.upload(bob.device(), [{ container: 'mmm_Device', envelopes }]);
    expect(told(result)).toBe('403/3 Reject@1');
  });
});
