import { randomBytes } from 'node:crypto';
import type { RequestSigner } from '@meshd/binding/request-sign';
import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import type { DownloadPart, DownloadRequest, Envelope } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { ConnectionAccount } from '@meshd/schema/connections';
import type { ResponseOf } from '@meshd/schema/protocol';
import { describe, expect, it } from 'vitest';
import { fakeLink, refused, startTestRouter, success } from './router-kit.js';

const account = 'alice@example.com';
const newKey = () => signingKeyFromSeed(generateSeed());
const keyMember = (key: SigningKey) => ({
  UDF: key.publicKey.udf,
  PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: key.publicKey.raw } } as const,
});
const authentication = newKey();
const connection = signEnvelope({
  payload: encodeTagged(ConnectionAccount, { KeyAuthentication: keyMember(authentication) }, 'json'),
  keys: [newKey()],
});
const signer: RequestSigner = { key: authentication, connection };

const frame = (bytes: number): Envelope => ({
  header: Buffer.from('{"dig":"S512","ContainerInfo":{"Index":1}}'),
  payload: randomBytes(bytes),
  trailer: Buffer.from('{"PayloadDigest":"AAAA"}'),
});
const outcome = (value = success()): DownloadPart => ({ part: { $case: 'outcome', value } });
const container = (name: string, selection = 0): DownloadPart => ({
  part: {
    $case: 'container',
    value: { selection, status: { container: name, index: 7, digest: Buffer.alloc(64, 1) }, consistency: [] },
  },
});
const frames = (...envelopes: Envelope[]): DownloadPart => ({
  part: { $case: 'frames', value: { envelopes, proofs: [] } },
});
const end: DownloadPart = { part: { $case: 'end', value: { frameCount: 0, cut: false } } };

async function downloaded(
  parts: (request: DownloadRequest) => AsyncIterable<DownloadPart>,
  message: object = { Select: [{ Container: 'mmm_Device' }] },
): Promise<{ status: number; message: ResponseOf<'Download'> }> {
  const running = await startTestRouter({ openLink: () => fakeLink({ download: parts }) });
  try {
    return await running.connect().call('Download', { Account: account, ...message }, [signer]);
  } finally {
    await running.stop();
  }
}

async function* inOrder(...parts: DownloadPart[]): AsyncGenerator<DownloadPart> {
  yield* parts;
}

describe('Download', () => {
  it('[R253] [R254] gives frames as they are stored, container by container', async () => {
    const [a, b] = [frame(0), frame(100_000)];
    const redacted: Envelope = { header: a.header, payload: undefined, trailer: a.trailer };
    const bare: Envelope = { header: a.header, payload: b.payload, trailer: undefined };
    const all = [
      outcome(),
      container('mmm_Device'),
      frames(a, b),
      frames(bare),
      container('x_y', 1),
      container('x_z', 2),
    ];
    const { status, message } = await downloaded(() => inOrder(...all, frames(redacted), end));
    expect(status).toBe(201);
    expect(message.Updates?.map(({ Container, Index }) => [Container, Index])).toEqual([
      ['mmm_Device', 7],
      ['x_y', 7],
      ['x_z', 7],
    ]);
    const [device, empty, last] = message.Updates ?? [];
    expect(empty?.Envelopes).toBeUndefined();
    expect(device?.Envelopes?.map(({ payload }) => payload?.length)).toEqual([0, 100_000, 100_000]);
    expect(Buffer.from(device?.Envelopes?.[1]?.payload ?? '').equals(b.payload ?? Buffer.alloc(0))).toBe(true);
    expect(Buffer.from(device?.Envelopes?.[1]?.trailer ?? '').toString()).toBe(b.trailer?.toString());
    expect(device?.Envelopes?.[2]?.trailer).toBeNull();
    expect(last?.Envelopes?.[0]?.payload).toBeNull();
  });

  it('answers nothing with nothing', async () => {
    const { status, message } = await downloaded(() => inOrder(outcome(), end), {});
    expect([status, message.Updates]).toEqual([201, undefined]);
  });

  it('passes on a refusal that comes before the first frame', async () => {
    const { status } = await downloaded(() => inOrder(outcome(refused('container-unknown'))));
    expect(status).toBe(404);
  });

  it('breaks the connection when the shard breaks off: half an answer is none', async () => {
    const broken = async function* () {
      yield* [outcome(), container('mmm_Device'), frames(frame(300_000))];
      throw new Error('gone');
    };
    await expect(downloaded(broken)).rejects.toMatchObject({ code: 'transport' });
    const short = () => inOrder(outcome(), container('mmm_Device'), frames(frame(300_000)));
    await expect(downloaded(short)).rejects.toMatchObject({ code: 'transport' });
  });

  it('asks for little when the client names no bound, and never for more than the bounds', async () => {
    const asked: DownloadRequest[] = [];
    const record = (request: DownloadRequest) => {
      asked.push(request);
      return inOrder(outcome(), end);
    };
    const select = { Select: [{ Container: 'mmm_Device', IndexMin: -5, IndexMax: 3 }] };
    await downloaded(record, select);
    await downloaded(record, { ...select, ConstraintsPost: { MaxEntries: 5000 } });
    await downloaded(record, { ...select, ConstraintsPost: { BytesMax: 10, Header: true, Payload: false } });
    expect(asked.map(({ entriesMax, payloadBytesMax }) => [entriesMax, payloadBytesMax])).toEqual([
      [100, 1024 * 1024],
      [1000, 8 * 1024 * 1024],
      [1000, 10],
    ]);
    expect(asked[0]?.selections[0]).toMatchObject({ container: 'mmm_Device', indexMin: 0, indexMax: 3 });
    expect(asked.map(({ header, payload, trailer }) => [header, payload, trailer])).toEqual([
      [true, true, true],
      [true, true, true],
      [true, false, false],
    ]);
  });

  it('takes frames from the shard no faster than the client reads', async () => {
    let sent = 0;
    const endless = async function* () {
      yield* [outcome(), container('mmm_Device')];
      for (; sent < 400; sent += 1) yield frames(frame(256 * 1024));
      yield end;
    };
    const running = await startTestRouter({ openLink: () => fakeLink({ download: endless }) });
    try {
      const link = running.connect();
      await link.hello();
      // The client refuses an answer of 100 MB and hangs up; the shard must not have been drained by then.
      await expect(
        link.call('Download', { Account: account, Select: [{ Container: 'a_b' }] }, [signer]),
      ).rejects.toMatchObject({ code: 'response-too-large' });
      await expect.poll(() => running.metric('meshd_router_requests_in_flight')).toContain(' 0');
      expect(sent).toBeLessThan(200);
    } finally {
      await running.stop();
    }
  });
});
