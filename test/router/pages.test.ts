/** What a Download may ask for beyond ranges: pages, filters, slices, proofs (semantics 6.5, S46). */
import { randomBytes } from 'node:crypto';
import type { CallOptions, MeshConnectionOptions } from '@meshd/binding/mesh-connection';
import type { RequestSigner } from '@meshd/binding/request-sign';
import { parseJson } from '@meshd/encoding/json-reader';
import type { DownloadPart, DownloadRequest, Envelope, FrameProof } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ConstraintsSelect } from '@meshd/schema/common';
import type { Feature } from '@meshd/schema/features';
import { Person } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { domain, fakeLink, type RunningRouter, startTestRouter, success } from './router-kit.js';

const hour = 3600_000;
const person = new Person('alice');
const device = person.device();
const signer: RequestSigner = { key: device.authentication, connection: device.connection };
const all: Feature[] = ['entry', 'page', 'filter', 'heads-1'];
const heads: Envelope = { header: Buffer.from('{}'), payload: Buffer.from('heads'), trailer: undefined };
const inclusion = [randomBytes(32), randomBytes(32)];
const leafDigest = randomBytes(32);

let running: RunningRouter;
let nowMs = Date.UTC(2026, 5, 1, 12);
let frameCount = 7;
const asked: DownloadRequest[] = [];

/** Gives frame after frame until `entriesMax`, then says where it stopped. */
async function* container(request: DownloadRequest): AsyncGenerator<DownloadPart> {
  asked.push(request);
  yield { part: { $case: 'outcome', value: success() } };
  let left = request.entriesMax;
  for (const [
    position,
    { container: name, indexMin = 0, frameCount: before, proveFrom, prove },
  ] of request.selections.entries()) {
    const status = { container: name, index: frameCount, digest: Buffer.alloc(64, 1) };
    const consistency = proveFrom === undefined ? [] : inclusion;
    yield { part: { $case: 'container', value: { selection: position, status, consistency } } };
    const end = before ?? frameCount;
    const last = Math.min(end, indexMin + left);
    const envelopes: Envelope[] = [];
    const proofs: FrameProof[] = [];
    for (let index = indexMin; index < last; index += 1) {
      const header = Buffer.from(index === 0 ? '{}' : JSON.stringify({ dig: 'S512', ContainerInfo: { Index: index } }));
      const trailer = Buffer.from('{"PayloadDigest":"AAAA"}');
      envelopes.push({ header, payload: index === 3 ? undefined : Buffer.from(`${name} ${index}`), trailer });
      if (prove) proofs.push({ inclusion, leafDigest: index === 2 ? leafDigest : Buffer.alloc(0) });
    }
    left -= envelopes.length;
    yield { part: { $case: 'frames', value: { envelopes, proofs } } };
    yield { part: { $case: 'containerEnd', value: { indexNext: last < end ? last : undefined } } };
  }
  const signed = request.heads ? heads : undefined;
  const principal = request.describePrincipal ? { accountUdf: 'MACC', deviceUdf: 'MDEV' } : undefined;
  yield { part: { $case: 'end', value: { frameCount: 0, cut: left === 0, heads: signed, principal } } };
}

beforeAll(async () => {
  running = await startTestRouter({ clock: () => nowMs, openLink: () => fakeLink({ download: container }) });
});
beforeEach(() => {
  asked.length = 0;
});
afterAll(() => running.stop());

async function download(
  select: ConstraintsSelect | ConstraintsSelect[],
  constraints: object = { MaxEntries: 3 },
  options: Partial<MeshConnectionOptions> & { by?: RequestSigner; account?: string; call?: CallOptions } = {},
) {
  const { by = signer, account = person.address, call = {}, ...connecting } = options;
  const link = running.connect(domain, { features: all, ...connecting });
  const Select = Array.isArray(select) ? select : [select];
  const message = { Account: account, Select, ConstraintsPost: constraints };
  const answer = await link.call('Download', message, [by], call);
  const [update] = answer.message.Updates ?? [];
  return { ...answer, update, pageKey: update?.PageKey };
}
const textsOf = ({ update }: Awaited<ReturnType<typeof download>>) =>
  update?.Envelopes?.map(({ payload }) => (payload === null ? null : Buffer.from(payload).toString()));

describe('page keys', () => {
  it.each(['json', 'json-b'] as const)('continue the earlier query, frame for frame (%s)', async (form) => {
    const first = await download(
      { Container: 'a_b', Filter: ['Superseded'], IndexMax: 9 },
      { MaxEntries: 3, Header: true, Payload: true },
      { form },
    );
    expect(textsOf(first)).toEqual(['a_b 0', 'a_b 1', 'a_b 2']);
    frameCount = 9;
    // Nothing but the bounds is looked at beside the key; the container may be left out.
    const second = await download(
      { PageKey: first.pageKey, Filter: ['Read'], IndexMin: 99 },
      { MaxEntries: 2 },
      { form },
    );
    expect(textsOf(second)).toEqual([null, 'a_b 4']);
    const third = await download({ PageKey: second.pageKey }, { MaxEntries: 100 }, { form });
    // Frames that were appended meanwhile are not in the query.
    expect(textsOf(third)).toEqual(['a_b 5', 'a_b 6']);
    expect([third.pageKey, third.update?.Index]).toEqual([undefined, 9]);
    expect(
      asked.slice(1).map(({ selections, ...parts }) => [selections[0], parts.header, parts.payload, parts.trailer]),
    ).toEqual([
      [
        expect.objectContaining({ container: 'a_b', indexMin: 3, indexMax: 9, frameCount: 7, filters: ['Superseded'] }),
        true,
        true,
        false,
      ],
      [
        expect.objectContaining({ container: 'a_b', indexMin: 5, indexMax: 9, frameCount: 7, filters: ['Superseded'] }),
        true,
        true,
        false,
      ],
    ]);
    frameCount = 7;
  });

  it('are given to whoever named the word, in the request or when it got its ticket', async () => {
    expect((await download({ Container: 'a_b' }, undefined, { features: ['entry'] })).pageKey).toBeUndefined();
    const link = running.connect(domain, { features: ['page'] });
    const message = { Account: person.address, Select: [{ Container: 'a_b' }], ConstraintsPost: { MaxEntries: 1 } };
    expect((await link.call('Download', message, [signer])).message.Updates?.[0]?.PageKey).toBeDefined();
    const silent = { ...message, Features: undefined };
    const under = await link.call('Download', silent, [signer]);
    expect([under.authenticatedBy, typeof under.message.Updates?.[0]?.PageKey]).toEqual(['ticket', 'string']);
    const other = { ...message, Features: ['entry'] };
    expect((await link.call('Download', other, [signer])).message.Updates?.[0]?.PageKey).toBeUndefined();
  });

  it('of another account or device, unreadable, or over, are gone: 410', async () => {
    const { pageKey = '' } = await download({ Container: 'a_b' });
    const other = new Person('bob');
    const theirs = other.device();
    const bob = { by: { key: theirs.authentication, connection: theirs.connection }, account: other.address };
    expect((await download({ PageKey: pageKey }, undefined, bob)).status).toBe(410);
    const second = person.device('second');
    const sibling = { by: { key: second.authentication, connection: second.connection } };
    expect((await download({ PageKey: pageKey }, undefined, sibling)).status).toBe(410);
    for (const bad of ['', 'AAAA', '*', `${pageKey}A`, pageKey.slice(0, -4)]) {
      expect((await download({ PageKey: bad })).status).toBe(410);
    }
    expect((await download({ PageKey: pageKey })).status).toBe(201);
    nowMs += hour;
    expect((await download({ PageKey: pageKey })).status).toBe(410);
    nowMs -= hour;
  });

  it('of queries for different parts do not go into one request', async () => {
    const headers = await download({ Container: 'a_b' }, { MaxEntries: 1, Header: true });
    const whole = await download({ Container: 'a_b' }, { MaxEntries: 1 });
    const both = [{ PageKey: headers.pageKey }, { PageKey: whole.pageKey }];
    expect((await download(both)).status).toBe(400);
    expect((await download([{ PageKey: whole.pageKey }, { Container: 'c_d' }])).status).toBe(201);
  });
});

describe('filters and slices', () => {
  it('are passed on; words that nobody knows are refused', async () => {
    const Filter = ['Superseded', 'Deleted', 'Read', 'Older', 'Read'];
    const NotBefore = new Date(Date.UTC(2026, 0, 1));
    expect((await download({ Container: 'a_b', Filter, NotBefore })).status).toBe(201);
    expect(asked[0]?.selections[0]).toMatchObject({ filters: Filter.slice(0, 4), notBeforeMs: NotBefore.getTime() });
    expect((await download({ Container: 'a_b', Filter: ['superseded'] })).status).toBe(400);
  });

  it('[R254] asks for a part of one payload', async () => {
    const one = { Container: 'a_b', IndexMin: 2, IndexMax: 2 };
    expect((await download(one, { BytesOffset: 1000, BytesMax: 500 })).status).toBe(201);
    expect(asked[0]).toMatchObject({ payloadOffset: 1000, payloadBytesMax: 500 });
    expect((await download([one, one], { BytesOffset: 1000, BytesMax: 500 })).status).toBe(400);
  });
});

describe('[S46] proofs', () => {
  const headerOf = (header: Uint8Array | undefined) =>
    parseJson(header ?? new Uint8Array(0)) as Record<string, unknown>;
  const text = (octets: Uint8Array) => Buffer.from(octets).toString('base64url');

  it.each(['json', 'json-b'] as const)(
    'come with each frame and with the container, and heads at the end (%s)',
    async (form) => {
      const { update, message } = await download(
        { Container: 'a_b', Prove: true, ProveFrom: 2 },
        { MaxEntries: 5 },
        { form },
      );
      expect(asked[0]).toMatchObject({ heads: true, selections: [{ prove: true, proveFrom: 2 }] });
      expect(update?.Consistency?.map(text)).toEqual(inclusion.map(text));
      expect(Buffer.from(message.EnvelopedHeads?.payload ?? '').toString()).toBe('heads');
      const found = update?.Envelopes?.map(({ header }) => headerOf(header)) ?? [];
      expect(found.map(({ Inclusion }) => Inclusion)).toEqual(Array(5).fill(inclusion.map(text)));
      expect(found[2]?.LeafDigest).toBe(text(leafDigest));
      expect(Object.keys(found[0] ?? {})).toEqual(['Inclusion']);
      expect(found[1]).toMatchObject({ dig: 'S512', ContainerInfo: { Index: 1 } });
      // The redacted one has its trailer's members too.
      expect(found[3]).toMatchObject({ PayloadDigest: 'AAAA' });
    },
  );

  it('and heads are for those who named the word', async () => {
    const { update, message } = await download(
      { Container: 'a_b', Prove: true, ProveFrom: 2 },
      {},
      { features: ['page'] },
    );
    expect(asked[0]).toMatchObject({ heads: false, selections: [{ prove: false }] });
    expect(asked[0]?.selections[0]?.proveFrom).toBeUndefined();
    expect([update?.Consistency, message.EnvelopedHeads]).toEqual([undefined, undefined]);
  });
});
