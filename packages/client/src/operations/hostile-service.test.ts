import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { generateSeed, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { sealBatch } from '@meshd/dare/batch';
import { type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import type { ContentMeta } from '@meshd/dare/header';
import { beforeEach, describe, expect, it } from 'vitest';
import { uniqueIdFor } from '../blind.js';
import { withDevice } from '../device.js';
import { fileBody } from '../entry-body.js';
import type { ServiceConnection } from '../environment.js';
import { ClientError } from '../errors.js';
import { accountAt, copyHome, FakeService } from '../fake-service.fixture.js';
import { appendFrame, noTrees } from '../frame.js';
import { buildBatch, encryptBody } from '../writer.js';
import { downloadContainer } from './download.js';
import { syncAccount } from './sync.js';
import { uploadFiles } from './upload.js';

const container = 'my_Notes';
const content = new TextEncoder().encode('text');
type Frames = readonly EnvelopeOctets[];

let service: FakeService;
/** Has synchronised everything. */
let home: string;
/** The same device without any replica. */
let empty: string;

function upload(folder: string, name: string, target = container) {
  return withDevice(folder, service.environment(), (device) => uploadFiles(device, target, [{ name, content }]));
}

function sync(folder: string) {
  return withDevice(folder, service.environment(), (device) => syncAccount(device));
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof ClientError ? error.code : `no refusal: ${error}`;
}

/** From now on the service shows `container` as `change` makes it. */
function show(change: (frames: Frames) => Frames): void {
  service.shown = (name, frames) => (name === container ? change(frames) : frames);
}

function withMeta(octets: EnvelopeOctets, change: (meta: ContentMeta) => ContentMeta): EnvelopeOctets {
  const { header, contentMetaData = {}, trailer, payload } = openEnvelope(octets);
  const meta = Buffer.from(JSON.stringify(change(contentMetaData)));
  return makeEnvelope({ header: { ...header, ContentMetaData: meta }, payload, trailer });
}

const replaced = (frames: Frames, at: number, by: EnvelopeOctets) => frames.map((frame, i) => (i === at ? by : frame));

beforeEach(async () => {
  service = new FakeService();
  home = await accountAt(service);
  empty = await copyHome(home);
  for (const name of ['a', 'b', 'c']) await upload(home, name);
  await rm(join(empty, 'containers'), { recursive: true });
});

describe('[S43] an empty replica is not given', () => {
  const tamperings: Record<string, (frames: Frames) => Frames> = {
    'another payload': (frames) => replaced(frames, 1, { ...(frames[1] as EnvelopeOctets), payload: content }),
    'an entry under another key': (frames) =>
      replaced(
        frames,
        1,
        withMeta(frames[1] as EnvelopeOctets, (meta) => ({ ...meta, UniqueID: 'another' })),
      ),
    'a deletion made of an entry': (frames) =>
      replaced(
        frames,
        2,
        withMeta(frames[2] as EnvelopeOctets, (meta) => ({ ...meta, Event: 'Delete' })),
      ),
    'entries in another order': (frames) => [frames[0], frames[2], frames[1], frames[3]] as Frames,
    'a history with an entry left out': (frames) => [frames[0], frames[1], frames[3]] as Frames,
    'an entry twice': (frames) => [...frames, frames[3]] as Frames,
  };
  for (const [what, change] of Object.entries(tamperings)) {
    it(what, async () => {
      show(change);
      expect(await codeOf(sync(empty))).toBe('frame');
    });
  }

  it('entries by someone who may not write', async () => {
    const stranger = signingKeyFromSeed(generateSeed());
    const frames = service.containers.get(container) ?? [];
    const trees = frames.reduce((before, octets) => appendFrame(before, octets).trees, noTrees);
    const accountUdf = await withDevice(home, service.environment(), async (_device, state) => state.accountUdf);
    const draft = { contentMeta: { UniqueID: 'x', Event: 'New' }, payload: content };
    const forged = sealBatch([draft], { ...trees, signer: stranger, accountUdf, container, createdMs: 0 });
    show((shown) => [...shown, ...forged.envelopes]);
    expect(await codeOf(sync(empty))).toBe('frame');
  });

  it('[S42] a batch that was made for another container', async () => {
    await upload(home, 'a', 'my_Other');
    show(() => service.containers.get('my_Other') ?? []);
    expect(await codeOf(sync(empty))).toBe('frame');
  });

  it('[S43] a tail that no manifest covers, as data', async () => {
    const [first, second, ...rest] = service.containers.get(container) ?? [];
    const bare = makeEnvelope({
      header: openEnvelope(second as EnvelopeOctets).header,
      payload: second?.payload ?? null,
    });
    service.containers.set(container, [first as EnvelopeOctets, bare]);
    expect(rest).toHaveLength(2);
    const synced = await sync(empty);
    expect(synced.find((each) => each.container === container)).toMatchObject({ frameCount: 1, uncoveredCount: 1 });
  });
});

describe('[S43] a device that may write', () => {
  it('cannot pass an entry off as another one', async () => {
    await withDevice(home, service.environment(), async (device) => {
      await syncAccount(device, [container]);
      const { reader } = await device.replica(container);
      const body = encryptBody(device.session, fileBody('a', new TextEncoder().encode('forged'), 0));
      const uniqueId = uniqueIdFor(device.session.keys.keyBlind, container, 'b');
      const { envelopes } = buildBatch(device.session, reader, [{ uniqueId, name: 'b', body }]);
      service.containers.set(container, [...(service.containers.get(container) ?? []), ...envelopes]);
    });
    for (const folder of [home, empty]) {
      const download = withDevice(folder, service.environment(), (device) => downloadContainer(device, container));
      await expect(download).rejects.toThrow(/filed under the key of something else/);
    }
  });
});

describe('[S44] a service that states another digest than that of the frames it gives', () => {
  it.each(['Status', 'Download'] as const)('in the answer to %s is left', async (lie) => {
    const other = (message: object): object =>
      Object.fromEntries(
        Object.entries(message).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.map((each) => ({ ...each, Digest: new Uint8Array(64) })) : value,
        ]),
      );
    const environment = {
      ...service.environment(),
      connect: (): ServiceConnection => {
        const honest = service.connect();
        return {
          ...honest,
          call: async (transaction, message, signers) => {
            // A service need not leave out what the device says it knows.
            const answer = await honest.call(transaction, { ...message, Known: undefined }, signers);
            return transaction === lie
              ? { ...answer, message: other(answer.message) as typeof answer.message }
              : answer;
          },
        };
      },
    };
    // A full replica sees it in Status; an empty one only when it has the frames.
    const folder = lie === 'Status' ? home : empty;
    const code = await codeOf(withDevice(folder, environment, (device) => syncAccount(device)));
    expect(code).toBe('fork');
  });
});

describe('a service that wants to fill our memory', () => {
  it('is left when it goes on without a manifest', async () => {
    service.pageFrames = 400;
    show((frames) => {
      const [first, second] = frames;
      const { header } = openEnvelope(second as EnvelopeOctets);
      const endless = Array.from({ length: 2000 }, (_, at) => {
        const Index = at + 1;
        return makeEnvelope({ header: { ...header, ContainerInfo: { Index } }, payload: content });
      });
      return [first as EnvelopeOctets, ...endless];
    });
    expect(await codeOf(sync(empty))).toBe('frame');
    expect(service.calls.filter((call) => call === 'Download').length).toBeLessThan(20);
  });

  it('is left when it reports more containers than there can be', async () => {
    for (let at = 0; at < 300; at += 1) service.containers.set(`my_${at}`, service.containers.get(container) ?? []);
    expect(await codeOf(sync(empty))).toBe('unavailable');
  });
});

describe('[S47] a replica that has verified more stops', () => {
  it('when the service has fewer frames', async () => {
    show((frames) => frames.slice(0, -1));
    expect(await codeOf(sync(home))).toBe('rollback');
  });

  it('when the service hides the container', async () => {
    // Where it knows `Known`, leaving a container out says that nothing changed; then only signed heads tell.
    service.features.delete('wait');
    show(() => []);
    expect(await codeOf(sync(home))).toBe('rollback');
  });

  it('when the service shows another history of the same length', async () => {
    const fork = new FakeService();
    for (const [name, frames] of service.containers)
      fork.containers.set(name, frames.slice(0, name === container ? 3 : 9));
    const other = await copyHome(empty);
    await withDevice(other, fork.environment(), (device) => uploadFiles(device, container, [{ name: 'd', content }]));
    service.containers.set(container, fork.containers.get(container) ?? []);
    expect(await codeOf(sync(home))).toBe('fork');
  });

  it('when the other history is longer', async () => {
    const fork = new FakeService();
    for (const [name, frames] of service.containers)
      fork.containers.set(name, frames.slice(0, name === container ? 3 : 9));
    const other = await copyHome(empty);
    const files = [
      { name: 'd', content },
      { name: 'e', content },
    ];
    await withDevice(other, fork.environment(), (device) => uploadFiles(device, container, files));
    service.containers.set(container, fork.containers.get(container) ?? []);
    expect(await codeOf(sync(home))).toBe('frame');
  });

  it('[S44] when the container was deleted and made again', async () => {
    const again = new FakeService();
    for (const [name, frames] of service.containers) if (name !== container) again.containers.set(name, frames);
    const other = await copyHome(empty);
    const files = ['a', 'b', 'c', 'd'].map((name) => ({ name, content }));
    await withDevice(other, again.environment(), (device) => uploadFiles(device, container, files));
    service.containers.set(container, again.containers.get(container) ?? []);
    expect(await codeOf(sync(home))).toBe('frame');
    // The replica that was emptied still knows the container it is to be filled with.
    await rm(join(home, 'containers', `${container}.dare`));
    expect(await codeOf(sync(home))).toBe('fork');
  });
});

describe('[S49] a container without manifests', () => {
  beforeEach(() => {
    const legacy = (service.containers.get(container) ?? []).map((octets) => {
      const { header, payload, payloadDigest } = openEnvelope(octets);
      return makeEnvelope({ header, payload, trailer: { PayloadDigest: payloadDigest } });
    });
    service.containers.set(container, legacy);
  });

  it('is not opened', async () => {
    expect(await codeOf(sync(empty))).toBe('legacy');
  });

  it('is never the device catalog: the option is for one store, and that catalog judges all of them', async () => {
    const bare = (service.containers.get('mmm_Device') ?? []).map((octets) => {
      const { header, payload, payloadDigest } = openEnvelope(octets);
      return makeEnvelope({ header, payload, trailer: { PayloadDigest: payloadDigest } });
    });
    service.containers.set('mmm_Device', bare);
    const download = withDevice(empty, service.environment(), (device) => {
      device.allowLegacy();
      return downloadContainer(device, container);
    });
    expect(await codeOf(download)).toBe('legacy');
  });

  it('is opened read-only after an explicit option', async () => {
    const environment = service.environment();
    const result = await withDevice(empty, environment, (device) => {
      device.allowLegacy();
      return downloadContainer(device, container);
    });
    expect(result.isLegacy).toBe(true);
    expect(result.entries).toHaveLength(3);
    const write = withDevice(empty, environment, (device) => {
      device.allowLegacy();
      return uploadFiles(device, container, [{ name: 'd', content }]);
    });
    expect(await codeOf(write)).toBe('legacy');
  });
});

describe('[S43] who may write', () => {
  it('is taken from a device catalog that the Mesh keys signed', async () => {
    const frames = service.containers.get('mmm_Device') ?? [];
    const stranger = signingKeyFromSeed(generateSeed());
    const accountUdf = await withDevice(home, service.environment(), async (_device, state) => state.accountUdf);
    const drafts = frames.map((octets) => {
      const { header, payload, contentMetaData = {} } = openEnvelope(octets);
      return { header, payload: payload ?? new Uint8Array(0), contentMeta: contentMetaData };
    });
    const context = { ...noTrees, signer: stranger, accountUdf, container: 'mmm_Device', createdMs: 0 };
    service.containers.set('mmm_Device', [...sealBatch(drafts, context).envelopes]);
    expect(await codeOf(sync(empty))).toBe('frame');
  });
});
