/** Bodies that the service has removed (S64): what is gone is gone, and everything else still proves itself. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha512 } from '@meshd/crypto/digest';
import { type EnvelopeOctets, openEnvelope, redactEnvelope } from '@meshd/dare/envelope';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Device, withDevice } from '../device.js';
import { accountAt, copyHome, type FakeService, signingService } from '../fake-service.fixture.js';
import { plainOf, readingKey } from '../reading-key.js';
import { downloadContainer } from './download.js';
import { checkProof, proveFrame } from './prove.js';
import { synchronise } from './sync.js';
import { uploadFiles } from './upload.js';

const container = 'my_Notes';
let service: FakeService;
let home: string;

const on = <T>(folder: string, work: (device: Device) => Promise<T>) => withDevice(folder, service.environment(), work);
const write = (name: string, text: string) =>
  on(home, (device) => uploadFiles(device, container, [{ name, content: Buffer.from(text) }]));

/** As S64 has it: payload and Salt go; the digests of both, and all else, stay. */
function erased(octets: EnvelopeOctets): EnvelopeOctets {
  const { header, ...rest } = redactEnvelope(octets);
  const { Salt: salt, ...members } = JSON.parse(Buffer.from(header).toString('utf8'));
  const malt = Buffer.from(sha512(Buffer.from(salt, 'base64url'))).toString('base64url');
  return { ...rest, header: Buffer.from(JSON.stringify({ ...members, Malt: malt })) };
}

/** The service removes the body of frame 1, which frame 2 has superseded. */
function erase(): void {
  const frames = service.containers.get(container) ?? [];
  service.containers.set(
    container,
    frames.map((octets, frameIndex) => (frameIndex === 1 ? erased(octets) : octets)),
  );
}

/** A device that has nothing yet. */
async function emptyHome(): Promise<string> {
  const folder = await copyHome(home);
  for (const name of ['containers', 'opened', 'heads.dare'])
    await rm(join(folder, name), { recursive: true, force: true });
  return folder;
}

beforeEach(async () => {
  service = await signingService();
  home = await accountAt(service);
  await write('diary', 'what nobody shall ever read');
  await write('diary', 'nice weather');
});

describe('[S64] a body that was removed', () => {
  it('leaves all that is proved as it was, for devices that come later too', async () => {
    const before = await on(home, (device) => downloadContainer(device, container));
    erase();
    const later = await emptyHome();
    const after = await on(later, (device) => downloadContainer(device, container));
    expect([after.root, after.digest]).toEqual([before.root, before.digest]);
    const found = after.entries.map(({ name, content, current }) => [
      name,
      content && Buffer.from(content).toString(),
      current,
    ]);
    expect(found).toEqual([
      [undefined, undefined, false],
      ['diary', 'nice weather', true],
    ]);
    await on(home, (device) => synchronise(device));
  });

  it('proves its place, and that of the others', async () => {
    erase();
    const later = await emptyHome();
    for (const frameIndex of [1, 2]) {
      const { file } = await on(later, (device) => proveFrame(device, container, frameIndex));
      expect(await checkProof(file)).toMatchObject({ container, frameIndex, frameCount: 3 });
    }
  });

  it('cannot be read any more, not by the account either', async () => {
    erase();
    const frame = openEnvelope((service.containers.get(container) ?? [])[1] as EnvelopeOctets);
    expect([frame.payload, frame.header.Salt]).toEqual([null, undefined]);
    expect(await on(home, async ({ session }) => plainOf(frame, readingKey(session)))).toBeUndefined();
  });

  it('is not another body: one that is put in its place is refused, and so is a change to what stays', async () => {
    const frames = [...(service.containers.get(container) ?? [])];
    const other = frames[2] as EnvelopeOctets;
    const wrong = { ...erased(frames[1] as EnvelopeOctets), payload: other.payload };
    const text = Buffer.from(erased(frames[1] as EnvelopeOctets).header).toString('utf8');
    const changed = {
      ...erased(frames[1] as EnvelopeOctets),
      header: Buffer.from(text.replace(/"Malt":"./, '"Malt":"_')),
    };
    for (const forged of [wrong, changed]) {
      service.containers.set(container, [frames[0] as EnvelopeOctets, forged, other]);
      const later = await emptyHome();
      await expect(on(later, (device) => downloadContainer(device, container))).rejects.toMatchObject({
        code: 'frame',
      });
    }
  });
});
