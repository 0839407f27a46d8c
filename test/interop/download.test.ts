/** Download: bounds, dates, parts, cuts, order; and that what comes is what went, octet for octet. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Account, item } from './kit/account.js';
import { type Opened, open, type Wire } from './kit/dare.js';
import { readManifest } from './kit/manifest.js';
import { b64, sha512, unb64, zeros } from './kit/octets.js';
import { codesOf, type Peer } from './kit/peer.js';
import { type Running, startProvider } from './kit/provider.js';
import type { ResponseMembers } from './kit/response.js';
import { apexOf, coreOf, leafOf, payloadDigestOf, rootOf } from './kit/trees.js';

const name = 'mmm_Credential';
let running: Running;
let peer: Peer;
let account: Account;
let betweenMs: number;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
  account = await Account.open(peer);
  await account.append(
    name,
    ['a', 'b', 'c'].map((key) => item(key, key.repeat(100))),
  );
  // Times of the protocol are whole seconds: what follows must be stored in another one.
  betweenMs = (Math.floor(Date.now() / 1000) + 1) * 1000;
  await vi.waitUntil(() => Date.now() >= betweenMs, { timeout: 2000 });
  await account.append(
    name,
    ['d', 'e', 'f'].map((key) => item(key, key.repeat(100))),
  );
  await account.append('mmm_Network', [item('n', 'network')]);
});
afterAll(() => running?.stop());

type Update = NonNullable<ResponseMembers['Updates']>[number];
const updatesOf = async (select: readonly object[], message: object = {}): Promise<readonly Update[]> => {
  const answer = await account.download(select, message);
  expect(answer.status).toBe(201);
  expect(answer.tag).toBe('DownloadResponse');
  return answer.message.Updates ?? [];
};
const framesOf = async (select: object, message: object = {}): Promise<Opened[]> => {
  const [update] = await updatesOf([{ Container: name, ...select }], message);
  return (update?.Envelopes ?? []).map((wire) => open(wire));
};
const indexes = async (select: object, message: object = {}): Promise<(number | undefined)[]> =>
  (await framesOf(select, message)).map(({ header }) => header.ContainerInfo?.Index);

describe('what comes', () => {
  it('[R022] [R125] is what was uploaded: payload octets, metadata, proofs; in order', async () => {
    const [update] = await updatesOf([{ Container: name }]);
    const mine = account.container(name);
    const frames = (update?.Envelopes ?? []).map((wire) => open(wire));
    expect(frames.map((frame, index) => b64(leafOf(index, frame)))).toEqual(mine.leaves.map(b64));
    expect(frames.map((frame) => b64(frame.payload ?? zeros(1)))).toEqual(
      mine.frames.map((wire) => b64(open(wire).payload ?? zeros(2))),
    );
    expect(update).toMatchObject({ Container: name, Index: 7, Digest: b64(mine.apex) });
    expect(b64(apexOf(frames.map(payloadDigestOf)))).toBe(update?.Digest);
  });

  it('[S43] tiles under the manifests, whose roots are those of the frames that came', async () => {
    const [update] = await updatesOf([{ Container: name }]);
    const frames = (update?.Envelopes ?? []).map((wire) => open(wire));
    const leaves = frames.map((frame, index) => leafOf(index, frame));
    let covered = 0;
    frames.forEach((frame, index) => {
      const entry = frame.trailer.signatures?.find(({ Manifest }) => Manifest !== undefined);
      if (entry?.Manifest === undefined) return;
      const manifest = readManifest(unb64(entry.Manifest), account.device.signature.raw, coreOf(frame));
      expect(manifest).toMatchObject({ from: covered, index, subject: account.subject, object: name });
      expect(b64(manifest?.root as Uint8Array)).toBe(b64(rootOf(leaves.slice(0, index))));
      covered = index + 1;
    });
    expect(covered).toBe(frames.length);
  });

  it('header and trailer members that nobody knows are kept', async () => {
    const container = account.container('app_Kept');
    const first = container.opening(account.device.signature);
    const change = ([header, payload, trailer]: Wire): Wire => [
      { ...(header as object), Unheard: { of: ['this', 1, true] } },
      payload,
      { ...(trailer as object), Neither: 'that' },
    ];
    const frames = [first, ...container.batch([item('a', '1')], account.device.signature, { change }, [first])];
    expect((await account.upload([account.update(container, frames)])).status).toBe(201);
    const [update] = await updatesOf([{ Container: 'app_Kept', IndexMin: 1 }]);
    const [header, , trailer] = update?.Envelopes?.[0] ?? [];
    expect(header).toMatchObject({ Unheard: { of: ['this', 1, true] } });
    expect(trailer).toMatchObject({ Neither: 'that' });
  });
});

describe('selection', () => {
  const bounds: [string, object, number[]][] = [
    ['from IndexMin on', { IndexMin: 4 }, [4, 5, 6]],
    ['up to IndexMax', { IndexMax: 1 }, [0, 1]],
    ['between both', { IndexMin: 2, IndexMax: 4 }, [2, 3, 4]],
    ['one frame', { IndexMin: 3, IndexMax: 3 }, [3]],
    ['a negative IndexMin is 0', { IndexMin: -5, IndexMax: 0 }, [0]],
    ['none between bounds that cross', { IndexMin: 5, IndexMax: 4 }, []],
    ['none beyond the end', { IndexMin: 7 }, []],
    ['none far beyond the end', { IndexMin: 2 ** 53 - 1 }, []],
    ['up to an end far away', { IndexMin: 6, IndexMax: 2 ** 53 - 1 }, [6]],
  ];
  for (const [what, select, expected] of bounds) {
    it(`[R209] [R210] ${what}`, async () => {
      expect(await indexes(select)).toEqual(expected);
    });
  }

  it('[R211] [R212] by the time of publication: NotBefore counts in, Before does not', async () => {
    const instant = new Date(betweenMs).toISOString();
    expect(await indexes({ Before: instant })).toEqual([0, 1, 2, 3]);
    expect(await indexes({ NotBefore: instant })).toEqual([4, 5, 6]);
    expect(await indexes({ NotBefore: instant, IndexMin: 5 })).toEqual([5, 6]);
    expect(await indexes({ NotBefore: new Date(Date.now() + 60_000).toISOString() })).toEqual([]);
    expect(await indexes({ NotBefore: '2020-01-01T00:00:00+01:00', Before: '2099-01-01t00:00:00.5z' })).toHaveLength(7);
  });

  it('[R102] a date that is none: 400', async () => {
    expect(codesOf(await account.download([{ Container: name, Before: 'yesterday' }]))).toMatchObject({ status: 400 });
  });

  it('[R257] several at once, in the order asked for', async () => {
    const updates = await updatesOf([
      { Container: 'mmm_Network' },
      { Container: name, IndexMin: 6 },
      { Container: 'mmm_Inbound' },
    ]);
    expect(updates.map(({ Container, Envelopes }) => [Container, Envelopes?.length])).toEqual([
      ['mmm_Network', 2],
      [name, 1],
      ['mmm_Inbound', 1],
    ]);
  });

  it('[R257] a container that is not there: 404 alone, left out among others', async () => {
    expect(codesOf(await account.download([{ Container: 'mmm_Task' }]))).toMatchObject({ status: 404, http: 404 });
    const updates = await updatesOf([{ Container: 'mmm_Calendar' }, { Container: 'mmm_Network' }]);
    expect(updates.map(({ Container }) => Container)).toEqual(['mmm_Network']);
  });

  it('[R308] a name that cannot be one: refused or not found, never more', async () => {
    for (const Container of ['../../etc/passwd', 'mmm_\u0000', 'mmm_Account', 'mmm_Incident']) {
      expect([400, 404]).toContain((await account.download([{ Container }])).status);
    }
  });

  it('[R208] without a container: 400', async () => {
    expect(codesOf(await account.download([{ IndexMin: 0 }]))).toMatchObject({ status: 400 });
  });

  it('[R095] numbers that are no integers: 400', async () => {
    for (const IndexMin of [1.5, '1', 2 ** 60]) {
      expect(codesOf(await account.download([{ Container: name, IndexMin }]))).toMatchObject({ status: 400 });
    }
  });
});

describe('parts', () => {
  it('[R218] [R219] [R220] [R256] only those set true, once one is named', async () => {
    const only = async (ConstraintsPost: object) =>
      (await framesOf({ IndexMin: 3, IndexMax: 3 }, { ConstraintsPost }))[0] as Opened;
    const mine = open(account.container(name).frames[3] as Wire);
    const header = await only({ Header: true });
    expect(header.payload).toBeNull();
    expect(header.header).toMatchObject({ dig: 'S512', ContainerInfo: { Index: 3 } });
    expect(header.header).not.toHaveProperty('signatures');
    expect(header.meta).toEqual(mine.meta);
    const payload = await only({ Payload: true });
    expect(b64(payload.payload as Uint8Array)).toBe(b64(mine.payload as Uint8Array));
    expect(payload.trailer).not.toHaveProperty('signatures');
    expect(payload.header.ContainerInfo?.Index).toBe(3);
    expect(payload.meta.UniqueID).toBe('c');
    const both = await only({ Header: true, Trailer: true });
    expect(both.payload).toBeNull();
    expect(both.trailer).toMatchObject({
      PayloadDigest: mine.trailer.PayloadDigest,
      signatures: mine.trailer.signatures,
    });
    expect(b64(leafOf(3, both))).toBe(b64(leafOf(3, mine)));
  });

  it('[R131] without payload the envelope is one element, the trailer’s members in the header', async () => {
    const ConstraintsPost = { Header: true, Trailer: true };
    const [update] = await updatesOf([{ Container: name, IndexMin: 1, IndexMax: 1 }], { ConstraintsPost });
    expect(update?.Envelopes?.[0]).toHaveLength(1);
    const [header] = update?.Envelopes?.[0] ?? [];
    expect(header).toHaveProperty('PayloadDigest');
  });

  it('[R218] false leaves a part out; nothing but false leaves all out but what is needed', async () => {
    const [frame] = await framesOf({ IndexMin: 1, IndexMax: 1 }, { ConstraintsPost: { Payload: false } });
    expect(frame?.payload).toBeNull();
    expect(frame?.header.ContainerInfo?.Index).toBe(1);
    expect(frame?.meta.UniqueID).toBe('a');
  });
});

describe('cuts', () => {
  it('[R215] MaxEntries counts over the whole answer', async () => {
    expect(await indexes({}, { ConstraintsPost: { MaxEntries: 2 } })).toEqual([0, 1]);
    const updates = await updatesOf([{ Container: name, IndexMin: 5 }, { Container: 'mmm_Network' }], {
      ConstraintsPost: { MaxEntries: 3 },
    });
    expect(updates.map(({ Envelopes }) => Envelopes?.length ?? 0)).toEqual([2, 1]);
    expect(updates.map(({ Index }) => Index)).toEqual([7, 2]);
  });

  it('[R217] BytesMax counts payload octets, but one entry always comes', async () => {
    expect(await indexes({ IndexMin: 1 }, { ConstraintsPost: { BytesMax: 200 } })).toEqual([1, 2]);
    expect(await indexes({ IndexMin: 1 }, { ConstraintsPost: { BytesMax: 299 } })).toEqual([1, 2]);
    expect(await indexes({ IndexMin: 1 }, { ConstraintsPost: { BytesMax: 1 } })).toEqual([1]);
  });

  it('[R259] [R260] unasked, an answer has 100 entries and 1 MiB at most; asked, more', async () => {
    const many = Array.from({ length: 150 }, (_, i) => item(`m${i}`, 'x'));
    await account.append('app_Many', many);
    const select = [{ Container: 'app_Many' }];
    const [unasked] = await updatesOf(select);
    expect([unasked?.Envelopes?.length, unasked?.Index]).toEqual([100, 151]);
    const [asked] = await updatesOf(select, { ConstraintsPost: { MaxEntries: 1000 } });
    expect(asked?.Envelopes).toHaveLength(151);
    const large = Array.from({ length: 3 }, (_, i) => item(`l${i}`, zeros(600_000)));
    await account.append('app_Large', large);
    expect((await updatesOf([{ Container: 'app_Large' }]))[0]?.Envelopes).toHaveLength(2);
    const whole = await updatesOf([{ Container: 'app_Large' }], { ConstraintsPost: { BytesMax: 8 * 1024 * 1024 } });
    expect(whole[0]?.Envelopes).toHaveLength(4);
  });

  it('[R213] a cut answer is continued by IndexMin, without gap or overlap; no page key is invented', async () => {
    const seen: (number | undefined)[] = [];
    for (let next = 0; next < 7; ) {
      const [update] = await updatesOf([{ Container: name, IndexMin: next }], { ConstraintsPost: { MaxEntries: 3 } });
      expect(update).not.toHaveProperty('PageKey');
      seen.push(...(update?.Envelopes ?? []).map((wire) => open(wire).header.ContainerInfo?.Index));
      next = seen.length;
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});

describe('what the extensions add', () => {
  it('[R131] a filter leaves bodies out and nothing else', async () => {
    const Container = 'app_Filtered';
    await account.append(Container, [item('a', 'first'), item('b', 'other')]);
    await account.append(Container, [item('a', 'second', { Event: 'Update', First: 1, Previous: 1 })]);
    const [whole] = await updatesOf([{ Container }]);
    const [filtered] = await updatesOf([{ Container, Filter: ['Superseded'] }]);
    const [all, left] = [whole, filtered].map((update) => (update?.Envelopes ?? []).map((wire) => open(wire)));
    expect(left?.map(({ payload }) => payload === null)).toEqual([false, true, false, false]);
    const { Envelopes: _, ...said } = whole ?? {};
    expect(filtered).toMatchObject(said);
    // The body alone is gone: digests that stand behind a body stand before it as well where there is none.
    const digestsOf = ({ PayloadDigest, TreeDigest }: Opened['trailer']) => ({ PayloadDigest, TreeDigest });
    const withoutBody = ({ header, trailer }: Opened, index: number) =>
      index === 1 ? { header: { ...header, ...digestsOf(trailer) }, trailer } : { header, trailer };
    expect(left?.map(({ header, trailer }) => ({ header, trailer }))).toEqual(all?.map(withoutBody));
    expect(left?.map(({ payload }) => payload).filter((payload) => payload !== null)).toEqual(
      all?.map(({ payload }) => payload).filter((_payload, index) => index !== 1),
    );
  });

  it.each([
    ['[R213] a page key that is none: 410', [{ PageKey: 'AAAA' }], {}, 410],
    ['[R131] a filter that is none: 400', [{ Container: name, Filter: ['Newest'] }], {}, 400],
    [
      '[R216] a slice of more than one frame: 400',
      [{ Container: name }],
      { ConstraintsPost: { BytesOffset: 10 } },
      400,
    ],
  ])('%s', async (_what, select, message, status) => {
    expect(codesOf(await account.download(select, message))).toMatchObject({ status, tag: 'DownloadResponse' });
  });

  it('[R216] a slice is of one payload, from an octet on', async () => {
    const select = [{ Container: name, IndexMin: 1, IndexMax: 1 }];
    const [whole] = await updatesOf(select);
    const [slice] = await updatesOf(select, { ConstraintsPost: { BytesOffset: 1, BytesMax: 3 } });
    const octets = (wire: Wire | undefined) => open(wire as Wire).payload as Uint8Array;
    expect(octets(slice?.Envelopes?.[0])).toEqual(octets(whole?.Envelopes?.[0]).subarray(1, 4));
  });
});

describe('frames that the service makes', () => {
  for (const spool of ['mmm_Inbound', 'mmm_Outbound', 'mmm_Archive']) {
    it(`[S49] frame 0 of ${spool}: empty, fresh UniqueID, Created, digests, no manifest`, async () => {
      const [update] = await updatesOf([{ Container: spool }]);
      const wire = update?.Envelopes?.[0] as Wire;
      const { header, payload, trailer, meta } = open(wire);
      expect(wire).toHaveLength(3);
      expect(header).toMatchObject({
        dig: 'S512',
        ContainerInfo: { DataEncoding: 'JSON', Index: 0, ContainerType: 'Merkle' },
      });
      expect(payload).toHaveLength(0);
      expect(meta).toEqual({ UniqueID: expect.any(String), cty: 'application/mmm-spool', Created: expect.any(String) });
      expect(meta.UniqueID).toMatch(/^N[A-Z2-7]{3}(-[A-Z2-7]{4}){6}$/);
      expect(meta.Created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      const empty = sha512(zeros(0));
      expect(trailer).toMatchObject({ PayloadDigest: b64(empty), TreeDigest: b64(apexOf([empty])) });
      expect(trailer.signatures).toBeUndefined();
    });
  }

  it('[S49] no two of them are alike', async () => {
    const other = await Account.open(peer, { bootstrap: false });
    const zerosOf = async (of: Account): Promise<string[]> => {
      const spools = ['mmm_Inbound', 'mmm_Outbound', 'mmm_Archive'];
      const { message } = await of.download(spools.map((Container) => ({ Container })));
      return (message.Updates ?? []).map(({ Envelopes }) => b64(leafOf(0, open(Envelopes?.[0] as Wire))));
    };
    expect(new Set([...(await zerosOf(account)), ...(await zerosOf(other))]).size).toBe(6);
  });
});
