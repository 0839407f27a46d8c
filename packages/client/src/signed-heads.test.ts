import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BindingError } from '@meshd/binding/errors';
import { makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { encodeTagged } from '@meshd/encoding/codec';
import { ContainerHeads } from '@meshd/schema/service';
import { beforeEach, describe, expect, it } from 'vitest';
import { withDevice } from './device.js';
import { ClientError } from './errors.js';
import { loadEvidence } from './evidence.js';
import { fakeHost, signedByHost } from './fake-host.fixture.js';
import { accountAt, copyHome, type FakeService, fakeNowMs, signingService } from './fake-service.fixture.js';
import { Home } from './home.js';
import { acknowledge, auditHome } from './operations/audit.js';
import { checkProof, proveFrame } from './operations/prove.js';
import { syncAccount } from './operations/sync.js';
import { uploadFiles } from './operations/upload.js';
import { checkpointText } from './signed-heads.js';

const container = 'my_Notes';
const content = new TextEncoder().encode('text');
const minuteMs = 60_000;

let service: FakeService;
/** Has synchronised everything. */
let home: string;
/** The same device, as it was one entry ago. */
let behind: string;
/** What the clocks of the devices say. */
let nowMs: number;

const environment = () => service.environment(nowMs);
const sync = (folder: string) => withDevice(folder, environment(), (device) => syncAccount(device));
const upload = (folder: string, name: string) =>
  withDevice(folder, environment(), (device) => uploadFiles(device, container, [{ name, content }]));
const evidence = (folder: string) => loadEvidence(new Home(folder));

async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof ClientError ? error : { code: 'none', message: String(error) };
}

/** Time passes on both sides, so that heads are asked for and signed anew. */
function later(byMs = 10 * minuteMs): void {
  nowMs += byMs;
  service.headsAtMs = () => nowMs;
}

beforeEach(async () => {
  service = await signingService();
  nowMs = fakeNowMs;
  home = await accountAt(service);
  // The host's connection is in force from the beginning of the fake's time.
  later(20 * minuteMs);
  await upload(home, 'a');
  await upload(home, 'b');
  behind = await copyHome(home);
  await upload(home, 'c');
});

describe('[S45] signed heads', () => {
  it('are refused when they are 6 min old, and when they are ahead of time', async () => {
    service.headsAtMs = () => nowMs - 6 * minuteMs;
    expect(await refusal(sync(behind))).toMatchObject({ code: 'heads', message: expect.stringContaining('6 min old') });
    service.headsAtMs = () => nowMs + 6 * minuteMs;
    expect(await refusal(sync(behind))).toMatchObject({ code: 'heads' });
  });

  it('[S26] are refused when the host’s connection was not in force at the time that they state', async () => {
    later(8 * 24 * 60 * minuteMs);
    const { code, message } = await refusal(sync(behind));
    expect([code, message]).toEqual(['heads', expect.stringContaining('not in force')]);
  });

  it('are refused when a host of another service signed them', async () => {
    const { profileService } = service.host ?? (await fakeHost(fakeNowMs));
    service.host = { ...(await fakeHost(fakeNowMs)), profileService };
    later();
    expect(await refusal(sync(behind))).toMatchObject({ code: 'heads' });
  });

  it('are refused when they are of another account, or of another domain', async () => {
    later();
    service.headsChanged = (heads) => ({ ...heads, Account: 'MAAA' });
    expect((await refusal(sync(behind))).message).toContain('another account');
    service.headsChanged = (heads) => ({ ...heads, Service: 'example.org' });
    expect((await refusal(sync(behind))).message).toContain('another service');
  });

  it('[S02] are no other object that the host has signed, nor one that says the same under another tag', async () => {
    later();
    const { host } = service;
    if (host === undefined) throw new Error('this service signs');
    const profile = await withDevice(
      home,
      environment(),
      async ({ session }) => session.identity.profileAccount.payload,
    );
    const stated: Buffer[] = [];
    service.headsChanged = (heads) => {
      stated.push(Buffer.from(encodeTagged(ContainerHeads, heads, 'json')));
      return heads;
    };
    await sync(await copyHome(behind));
    const heads = stated.at(-1)?.toString() ?? '';
    // what the heads say, and nothing else than its tag, is right: under its own tag it is taken
    service.brings = { EnvelopedHeads: signedByHost(host, Buffer.from(heads)) };
    await sync(await copyHome(behind));
    const renamed = heads.replace('{"ContainerHeads"', '{"DeliveryReceipt"');
    for (const payload of [profile ?? content, Buffer.from(renamed)]) {
      service.brings = { EnvelopedHeads: signedByHost(host, payload) };
      expect(await refusal(sync(behind))).toMatchObject({ code: 'heads' });
    }
  });

  it('are missed when a service that signs them leaves them out', async () => {
    later();
    service.givesHeads = false;
    expect(await refusal(sync(behind))).toMatchObject({ code: 'downgrade' });
  });

  it('are not asked for again while they are fresh and nothing has changed', async () => {
    await sync(home);
    service.givesHeads = false;
    await expect(sync(home)).resolves.toBeDefined();
  });

  it('are kept no longer than they can be verified, and what was verified here stands without them', async () => {
    await writeFile(join(home, 'heads.dare'), 'damaged');
    later();
    await sync(home);
    await writeFile(join(home, 'heads.dare'), 'damaged');
    later();
    service.shown = (name, frames) => (name === container ? frames.slice(0, -1) : frames);
    expect(await refusal(sync(home))).toMatchObject({ code: 'rollback' });
    expect((await evidence(home))[0]).toMatchObject({ kind: 'rollback', isProof: false });
  });

  it('are printed as checkpoints for witnesses that know no DARE', () => {
    const head = { log: new Uint8Array(32).fill(1), size: 7, root: new Uint8Array(32).fill(2) };
    expect(checkpointText('example.com', head)).toBe(
      `example.com/mesh/${'01'.repeat(32)}\n7\n${Buffer.alloc(32, 2).toString('base64')}\n`,
    );
  });
});

describe('[S45] [S47] a service that is caught', () => {
  it('at a rollback by one frame: both statements are kept as proof, and writing stops', async () => {
    later();
    service.shown = (name, frames) => (name === container ? frames.slice(0, -1) : frames);
    expect(await refusal(sync(home))).toMatchObject({ code: 'rollback' });
    const [record] = await evidence(home);
    expect(record).toMatchObject({ kind: 'rollback', container, isProof: true, verified: { size: 4 } });
    expect(record?.headsBefore).toBeDefined();
    expect(record?.headsNow).toBeDefined();
    service.shown = (_name, frames) => frames;
    expect(await refusal(upload(home, 'd'))).toMatchObject({ code: 'evidence' });
  });

  it('at the same thing again, is recorded once', async () => {
    later();
    service.shown = (name, frames) => (name === container ? frames.slice(0, -1) : frames);
    await refusal(sync(home));
    await refusal(sync(home));
    expect(await evidence(home)).toHaveLength(1);
  });

  it('at a fork of equal size', async () => {
    later();
    service.headsChanged = (heads) => changedRoot(heads);
    expect(await refusal(sync(home))).toMatchObject({ code: 'fork' });
    expect((await evidence(home))[0]).toMatchObject({ kind: 'fork', container, isProof: true });
  });

  it('at an old head, answered again', async () => {
    await sync(home);
    const heads = new Map([...service.containers].map(([name, frames]) => [name, frames.length]));
    later(minuteMs);
    await upload(home, 'd');
    nowMs += 10 * minuteMs;
    const newestMs = nowMs;
    await upload(home, 'e');
    service.headsAtMs = () => newestMs - 2 * minuteMs;
    nowMs += 2 * minuteMs;
    service.shown = (name, frames) => frames.slice(0, heads.get(name) ?? frames.length);
    service.features.delete('wait');
    const { code, message } = await refusal(sync(home));
    expect([code, message]).toEqual(['rollback', expect.stringContaining('old heads')]);
  });

  it('at hiding a container', async () => {
    later();
    service.headsChanged = (heads) => ({
      ...heads,
      Heads: (heads.Heads ?? []).filter(({ Container }) => Container !== container),
    });
    expect(await refusal(sync(home))).toMatchObject({ code: 'rollback', message: expect.stringContaining(container) });
  });

  it('is written to again once the user has said so, and the record stays', async () => {
    later();
    service.headsChanged = changedRoot;
    await refusal(sync(home));
    service.headsChanged = (heads) => heads;
    expect(await withDevice(home, environment(), acknowledge)).toBe(1);
    await upload(home, 'd');
    expect(await evidence(home)).toHaveLength(1);
  });
});

describe('[S46] consistency', () => {
  it('is proved from the size that was verified', async () => {
    service.downloads.length = 0;
    await sync(behind);
    const select = service.downloads.flatMap(({ Select }) => Select ?? []);
    expect(select.find(({ Container }) => Container === container)).toMatchObject({ IndexMin: 3, ProveFrom: 3 });
  });

  it('is missed when the proof is left out, has one node too many, or is of something else', async () => {
    const changes: ((path: Uint8Array[]) => Uint8Array[])[] = [
      () => [],
      (path) => [...path, new Uint8Array(32)],
      (path) => path.map((node, at) => (at === 0 ? new Uint8Array(32) : node)),
    ];
    for (const change of changes) {
      service.consistencyChanged = change;
      const { code, message } = await refusal(sync(behind));
      expect([code, message]).toEqual(['fork', expect.stringContaining('prove')]);
    }
  });

  it('is not missed in slices, which bring none: there the root at the signed size decides', async () => {
    service.beforeCall = async (transaction, message) => {
      const { BytesOffset: offset } = (message as { ConstraintsPost?: { BytesOffset?: number } }).ConstraintsPost ?? {};
      if (transaction === 'Download' && offset === undefined) throw new BindingError('transport', 'the line broke');
    };
    await sync(behind);
    expect(await evidence(behind)).toEqual([]);
  });

  it('fails when the frames given are not those under the signed root', async () => {
    const other = (await fakeHost(fakeNowMs)).profileHost;
    expect(other).toBeDefined();
    const frames = service.containers.get(container) ?? [];
    const last = frames.at(-1);
    const opened = openEnvelope(last as never);
    const changed = makeEnvelope({ header: opened.header, payload: content, trailer: opened.trailer });
    service.shown = (name, shown) => (name === container ? [...shown.slice(0, -1), changed] : shown);
    expect((await refusal(sync(behind))).code).toMatch(/frame|fork/);
  });
});

describe('[S47] a service that was restored from a backup', () => {
  it('gets back what it lost, verbatim, and the incident is recorded', async () => {
    later();
    const whole = service.containers.get(container) ?? [];
    service.containers.set(container, whole.slice(0, 2));
    await sync(home);
    expect(service.containers.get(container)).toHaveLength(4);
    expect((await evidence(home))[0]).toMatchObject({ kind: 'healed', container });
    await upload(home, 'd');
    await sync(behind);
  });

  it('gets back a container that it lost as a whole', async () => {
    later();
    service.containers.delete(container);
    await sync(home);
    expect(service.containers.get(container)).toHaveLength(4);
  });

  it('gets nothing when what it has left is another history', async () => {
    later();
    const { containers } = service;
    const whole = containers.get(container) ?? [];
    containers.set(container, [whole[0], whole[2]] as never);
    service.headsChanged = (heads) => heads;
    expect((await refusal(sync(home))).code).toMatch(/rollback|frame/);
    expect(containers.get(container)).toHaveLength(2);
  });
});

describe('an audit', () => {
  it('recomputes every replica from disk', async () => {
    const { replicas, evidence: records } = await withDevice(home, environment(), auditHome);
    expect(records).toEqual([]);
    const state = replicas.find((each) => each.container === container);
    expect(state).toMatchObject({ frameCount: 4, recomputedCount: 4, isIntact: true, signedHead: 'same' });
    await rm(join(home, 'containers', `${container}.dare`));
    const after = await withDevice(home, environment(), auditHome);
    expect(after.replicas.find((each) => each.container === container)?.isIntact).toBe(false);
  });
});

describe('a proof file', () => {
  it('holds for any frame, and for nothing else', async () => {
    for (const frameIndex of [0, 1, 3]) {
      const { file } = await withDevice(home, environment(), (device) => proveFrame(device, container, frameIndex));
      expect(await checkProof(file)).toMatchObject({ container, frameIndex, frameCount: 4, domain: 'example.com' });
      const { ContainerProof: parts } = JSON.parse(Buffer.from(file).toString());
      const other = { ...parts, Index: (frameIndex + 1) % 4 };
      for (const broken of [
        other,
        { ...parts, Container: 'my_Other' },
        { ...parts, Inclusion: [...parts.Inclusion, parts.Inclusion[0]] },
        { ...parts, Version: 2 },
        { ...parts, Heads: undefined },
      ]) {
        const octets = Buffer.from(JSON.stringify({ ContainerProof: broken }));
        expect((await refusal(checkProof(octets))).code).toBe('proof');
      }
    }
  });

  it('is not that of another service: its heads must be signed by a host of the service that it names', async () => {
    const { file } = await withDevice(home, environment(), (device) => proveFrame(device, container, 1));
    const { ContainerProof: parts } = JSON.parse(Buffer.from(file).toString());
    const { writeEnvelope } = await import('@meshd/dare/envelope');
    const stranger = Buffer.from(writeEnvelope((await fakeHost(fakeNowMs)).profileService)).toString('base64url');
    const octets = Buffer.from(JSON.stringify({ ContainerProof: { ...parts, ProfileService: stranger } }));
    expect((await refusal(checkProof(octets))).code).toBe('proof');
  });
});

function changedRoot(heads: ContainerHeads): ContainerHeads {
  const other = (head: NonNullable<ContainerHeads['Heads']>[number]) =>
    head.Container === container ? { ...head, Root: new Uint8Array(32).fill(9) } : head;
  return { ...heads, Heads: (heads.Heads ?? []).map(other) };
}
