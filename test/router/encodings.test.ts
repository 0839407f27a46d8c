/** JSON and JSON-B on the wire, both ways (encoding 4.3, semantics 2.4). */
import { randomBytes } from 'node:crypto';
import { type RequestSigner, signRequest } from '@meshd/binding/request-sign';
import { openResponse } from '@meshd/binding/response-open';
import { systemRandom } from '@meshd/crypto/random';
import type { DownloadPart, Envelope, TransactRequest } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { entry, opening, Person, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domain, fakeLink, type RunningRouter, startTestRouter, success } from './router-kit.js';

const person = new Person('alice');
const device = person.device();
const signer: RequestSigner = { key: device.authentication, connection: device.connection };
const payload = randomBytes(300_000);
const frames: Envelope[] = [
  { header: Buffer.from('{"dig":"S512","ContainerInfo":{"Index":0}}'), payload: Buffer.alloc(0), trailer: undefined },
  {
    header: Buffer.from('{"dig":"S512","ContainerInfo":{"Index":1}}'),
    payload,
    trailer: Buffer.from('{"PayloadDigest":"AAAA"}'),
  },
  { header: Buffer.from('{"dig":"S512","ContainerInfo":{"Index":2}}'), payload: randomBytes(200), trailer: undefined },
];
const asked: TransactRequest['transaction'][] = [];
let running: RunningRouter;

beforeAll(async () => {
  running = await startTestRouter({
    openLink: () => {
      const plain = fakeLink();
      return fakeLink({
        transact: (ask, deadlineMs) => {
          if (ask.transaction?.$case !== 'describeService') asked.push(ask.transaction);
          return plain.transact(ask, deadlineMs);
        },
        download: async function* (): AsyncGenerator<DownloadPart> {
          yield { part: { $case: 'outcome', value: success() } };
          const status = { container: 'mmm_Inbound', index: 3, digest: Buffer.alloc(64, 1) };
          yield { part: { $case: 'container', value: { selection: 0, status, consistency: [] } } };
          yield { part: { $case: 'frames', value: { envelopes: frames, proofs: [] } } };
          yield { part: { $case: 'end', value: { frameCount: 3, cut: false } } };
        },
      });
    },
  });
});
afterAll(() => running.stop());

async function bodyOf<T extends Transaction>(transaction: T, message: RequestOf<T>, form: 'json' | 'json-b') {
  const signers = transaction === 'Hello' ? [] : [signer];
  const base = { transaction, message, service: domain, nowMs: Date.now(), random: systemRandom };
  return signRequest({ ...base, signers, form });
}
const post = (body: Uint8Array | string, type = 'application/json-b') =>
  running.send({ headers: { 'content-type': type }, body });

describe('JSON-B', () => {
  it('[R066] [R089] [R092] answers in the encoding of the request', async () => {
    for (const [form, type] of [
      ['json', 'application/json'],
      ['json-b', 'application/json-b'],
    ] as const) {
      const { body } = await bodyOf('Status', { Account: person.address }, form);
      const answer = await post(body, type);
      expect([answer.status, answer.headers['content-type']]).toEqual([201, type]);
      expect(openResponse('Status', answer.octets, form).message.Status).toBe(201);
    }
  });

  it('gives refusals in it as well, and what could not be read in JSON', async () => {
    const { body } = await bodyOf('Status', { Account: person.address, Wait: -1 }, 'json-b');
    const refused = await post(body);
    expect([refused.status, refused.headers['content-type']]).toEqual([400, 'application/json-b']);
    expect(openResponse('Status', refused.octets, 'json-b').message.StatusDescription).toContain('Wait');
    const unread = await post('x');
    expect([unread.status, unread.headers['content-type']]).toEqual([400, 'application/json']);
    expect(JSON.parse(unread.body).MeshResponse.Status).toBe(400);
  });

  it('is not for Hello: 415', async () => {
    const { body } = await bodyOf('Hello', {}, 'json-b');
    const answer = await post(body);
    expect([answer.status, answer.headers['content-type']]).toEqual([415, 'application/json']);
    expect(openResponse('Hello', answer.octets, 'json').message.Status).toBe(415);
    expect((await post('{"Hello": {}}')).status).toBe(415);
  });

  it.each([
    ['APPLICATION/JSON-B', 201],
    ['application/json-b; charset=UTF-8', 201],
    ['application/json-b; charset=latin1', 415],
    ['application/json-b; q=1', 415],
    ['application/json-c', 415],
    ['application/octet-stream', 415],
    ['', 415],
  ])('is taken by its media type: %s gives %d', async (type, expected) => {
    const { body } = await bodyOf('Status', { Account: person.address }, 'json-b');
    expect((await post(body, type)).status).toBe(expected);
  });

  it('in a JSON body, or JSON-C in a JSON-B body, is malformed', async () => {
    const { body } = await bodyOf('Status', { Account: person.address }, 'json-b');
    expect((await post(body, 'application/json')).status).toBe(400);
    // C0 begins a code of JSON-C.
    const c = Buffer.concat([Buffer.from('['), Buffer.from([0xc0, 0x01]), Buffer.from(body.subarray(1))]);
    expect((await post(c)).status).toBe(400);
  });

  it('takes JSON text where items are expected: every JSON text is JSON-B', async () => {
    const { body } = await bodyOf('Status', { Account: person.address }, 'json');
    const answer = await post(body);
    expect([answer.status, answer.headers['content-type']]).toEqual([201, 'application/json-b']);
  });

  it('carries frames to the shard as it gets them in JSON', async () => {
    const writer = new TestWriter('mmm_Bookmark', person.accountUdf, device.signature);
    const { envelopes } = writer.write([opening(), entry({ UniqueID: 'a', Event: 'New' }, randomBytes(1000))]);
    const message = { Account: person.address, Updates: [{ Container: 'mmm_Bookmark', Envelopes: [...envelopes] }] };
    asked.length = 0;
    for (const form of ['json', 'json-b'] as const) {
      const { body } = await bodyOf('Upload', message, form);
      expect((await post(body, `application/${form}`)).status).toBe(201);
    }
    const [inJson, inJsonB] = asked.map((each) => (each?.$case === 'upload' ? each.value.updates : undefined));
    const parsed = (updates: typeof inJson) =>
      updates?.flatMap(({ envelopes: each }) =>
        each.map(({ header, payload: octets, trailer }) => [
          JSON.parse(Buffer.from(header).toString()),
          Buffer.from(octets ?? '').toString('hex'),
          trailer && JSON.parse(Buffer.from(trailer).toString()),
        ]),
      );
    expect(inJson?.length).toBe(1);
    expect(parsed(inJsonB)).toEqual(parsed(inJson));
  });

  it('brings the payloads of a Download as they are, without base64, in a stream of chunks', async () => {
    const message = { Account: person.address, Select: [{ Container: 'mmm_Inbound' }] };
    const { body, sent } = await bodyOf('Download', message, 'json-b');
    const answer = await post(body);
    expect(answer.headers['transfer-encoding']).toBe('chunked');
    expect(answer.octets.includes(payload)).toBe(true);
    expect(answer.octets.length).toBeLessThan(payload.length + 5000);
    const { message: read } = openResponse('Download', answer.octets, 'json-b');
    expect(Buffer.from(read.ID ?? '')).toEqual(Buffer.from(sent.id));
    const inJson = await running.connect(domain, { form: 'json' }).call('Download', message, [signer]);
    const inJsonB = await running.connect(domain, { form: 'json-b' }).call('Download', message, [signer]);
    expect(inJsonB.message.Updates).toEqual(inJson.message.Updates);
    const [update] = inJsonB.message.Updates ?? [];
    expect(update?.Envelopes?.map((each) => each.payload?.length)).toEqual([0, 300_000, 200]);
    expect(inJson.bodyBytes.received).toBeGreaterThan(1.7 * inJsonB.bodyBytes.received);
  });
});

describe('the client', () => {
  it('uses JSON-B where the service takes it, and JSON where it is told to', async () => {
    expect(await running.connect().form()).toBe('json-b');
    expect((await running.connect().call('Status', { Account: person.address }, [signer])).form).toBe('json-b');
    expect(await running.connect(domain, { form: 'json' }).form()).toBe('json');
  });
});
