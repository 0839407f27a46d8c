/** The account's key changes, and who was shut out reads no further (S62). Two devices and a service in memory. */
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { openEnvelope } from '@meshd/dare/envelope';
import { encodeTagged } from '@meshd/encoding/codec';
import { uploadDevicesMax } from '@meshd/limits/limits';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { inboundSpool } from '@meshd/schema/container-name';
import { verifyProfile } from '@meshd/schema/profile-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isEncryptedTo } from '../account-keys.js';
import { type Device, withDevice } from '../device.js';
import { deviceEntries } from '../device-entries.js';
import {
  accountAt,
  connectedAt,
  copyHome,
  type FakeService,
  fakeNowMs,
  signingService,
} from '../fake-service.fixture.js';
import { Someone } from '../people/people.fixture.js';
import { plainOf, readingKey } from '../reading-key.js';
import { grantAdministration } from './administrators.js';
import { changeDevices } from './change-devices.js';
import { deviceNamed, listDevices, renameDevice, revokeDevice } from './device-list.js';
import { downloadContainer } from './download.js';
import { listMessages } from './messages.js';
import { rotateAccountKey } from './rotate.js';
import { sendMessage } from './send-message.js';
import { synchronise } from './sync.js';
import { queueFiles, uploadFiles } from './upload.js';

const container = 'my_Notes';
const laterMs = fakeNowMs + 10_000;

let service: FakeService;
let [laptop, phone, tablet] = ['', '', ''];
let made: { service: FakeService; homes: string[] };

// Made once, and copied for each test: connecting devices costs hundreds of milliseconds.
beforeAll(async () => {
  service = await signingService();
  service.bringsMesh = true;
  laptop = await accountAt(service);
  phone = await connectedAt(service, laptop, { description: 'phone' });
  tablet = await connectedAt(service, laptop, { description: 'tablet' });
  await write(laptop, 'before', 'old news');
  made = { service, homes: [laptop, phone, tablet] };
});

beforeEach(async () => {
  service = made.service.copy();
  [laptop = '', phone = '', tablet = ''] = await Promise.all(made.homes.map(copyHome));
});

const on = <T>(home: string, work: (device: Device) => Promise<T>, nowMs = laterMs) => {
  service.headsAtMs = () => nowMs;
  return withDevice(home, service.environment(nowMs), work);
};
const file = (name: string, text: string) => [{ name, content: new TextEncoder().encode(text) }];
const write = (home: string, name: string, text: string) =>
  on(home, (device) => uploadFiles(device, container, file(name, text)));
const sync = (home: string) => on(home, (device) => synchronise(device));
const revoke = (home: string, name: string) =>
  on(home, async (device) => revokeDevice(device, await udfOf(device, name)));
const udfOf = async (device: Device, name: string) =>
  (await listDevices(device)).find(({ description }) => description === name)?.deviceUdf ?? '';

async function notes(home: string): Promise<Record<string, string>> {
  const { entries } = await on(home, (device) => downloadContainer(device, container));
  return Object.fromEntries(
    entries.flatMap(({ name, content }) => (name === undefined ? [] : [[name, new TextDecoder().decode(content)]])),
  );
}

/** The account as others know it now, with the keys of a device of it. */
const asSomeone = async ({ session: { state, keys, identity } }: Device): Promise<Someone> =>
  Object.assign(Object.create(Someone.prototype), { address: state.address, keys, identity });

/** Names of the keys that a frame is encrypted to. */
const readersOf = (frameIndex: number) =>
  openEnvelope((service.containers.get(container) ?? [])[frameIndex] as never).header.recipients?.map(({ kid }) => kid);

describe('[S62] a device is shut out', () => {
  it('and reads nothing that is written afterwards, though the service gives it all', async () => {
    await notes(tablet);
    const { device, deviceCount } = await revoke(laptop, 'tablet');
    expect([device.description, deviceCount]).toEqual(['tablet', 2]);
    await write(laptop, 'after', 'new news');
    // The thief's own program ignores what it is told, and fetches with the help of the service.
    const failures = await on(tablet, async (thief) => {
      const key = readingKey(thief.session);
      const frames = (service.containers.get(container) ?? []).map((octets) => openEnvelope(octets));
      return frames.slice(1).map((frame) => {
        try {
          return plainOf(frame, key) === undefined ? 'empty' : 'read';
        } catch (error) {
          return (error as Error).message;
        }
      });
    });
    expect(failures).toEqual(['read', 'the envelope is not encrypted to this key']);
    // Nor is the new key sealed for it in the catalog, which it can read.
    const udfOfThief = await on(tablet, async ({ session }) => session.keys.key('connectionEncryption').publicKey.udf);
    const sealed = await on(laptop, async (device) =>
      (await deviceEntries(device)).flatMap(({ entry }) => entry.Accounts?.[0]?.EnvelopedActivationKeys ?? []),
    );
    expect(sealed.map((octets) => isEncryptedTo(octets, udfOfThief))).toEqual([false, false]);
  });

  it('[S48] in one Upload with its cuts and the new keys of the others', async () => {
    service.uploadIds.length = 0;
    const before = service.containers.get('mmm_Device')?.length ?? 0;
    await revoke(laptop, 'tablet');
    expect(service.uploadIds).toHaveLength(1);
    const frames = (service.containers.get('mmm_Device') ?? []).slice(before).map((octets) => openEnvelope(octets));
    expect(frames.map(({ contentMetaData: meta }) => meta?.Event)).toEqual(['Delete', 'Update', 'Update']);
    const cuts = frames[0]?.contentMetaData?.KeyValues?.map(({ Key }) => Key);
    expect(cuts).toContain(`Cut:${container}`);
    expect(cuts).toContain('Cut:mmm_Device');
  });

  it('the others take the new key at their next synchronisation, and still read what is old', async () => {
    await revoke(laptop, 'tablet');
    await write(laptop, 'after', 'new news');
    expect(await notes(phone)).toEqual({ before: 'old news', after: 'new news' });
    await write(phone, 'reply', 'heard');
    expect(readersOf(3)).toEqual(readersOf(2));
    expect(readersOf(3)).not.toEqual(readersOf(1));
    expect(await notes(laptop)).toMatchObject({ reply: 'heard' });
  });

  it('what waited offline under the old key is encrypted anew before it is sent', async () => {
    await on(phone, (device) => synchronise(device));
    await on(phone, (device) => queueFiles(device, container, file('waiting', 'written on the train')));
    await revoke(laptop, 'tablet');
    await write(laptop, 'after', 'new news');
    await sync(phone);
    expect(readersOf(3)).toEqual(readersOf(2));
    expect(await notes(laptop)).toMatchObject({ waiting: 'written on the train' });
  });

  it('a device that saw the deletion and no new key writes nothing', async () => {
    const stale = await copyHome(phone);
    await revoke(laptop, 'tablet');
    await sync(phone);
    // As if an administrator of another make had deleted the entry and handed out nothing.
    await on(phone, async ({ session }) =>
      session.rekey(session.keys.changed({ epochs: session.keys.epochs.slice(1) })),
    );
    const frames = service.containers.get(container)?.length;
    await expect(write(phone, 'late', 'under the old key')).rejects.toMatchObject({ code: 'stale-key' });
    await expect(write(phone, 'late', 'under the old key')).rejects.toThrow(/mesh account rotate/);
    const message = { recipients: ['bob@example.com'], type: 'Note', mayBeClear: true, body: () => new Uint8Array(0) };
    await expect(on(phone, (device) => sendMessage(device, message))).rejects.toMatchObject({ code: 'stale-key' });
    expect(service.containers.get(container)).toHaveLength(frames ?? 0);
    // A copy of the home from before learns of both at once.
    await write(stale, 'fresh', 'under the new key');
    expect(readersOf(2)).not.toEqual(readersOf(1));
  });

  it('[S80] who writes under the old key all the same is read, however many keys follow, and is pointed out', async () => {
    const bob = new Someone('bob@example.org');
    const alice = () => on(laptop, (device) => asSomeone(device));
    const before = await alice();
    const says = (to: Someone, text: string, nowMs: number) =>
      service.file(inboundSpool, bob.say(to, 'Note', { Text: text }, nowMs));
    says(before, 'in time', fakeNowMs);
    await revoke(laptop, 'tablet');
    const afterMs = laterMs + 60_000;
    says(before, 'has not heard', afterMs);
    says(await alice(), 'has heard', afterMs);
    const isListed = async (home: string, nowMs: number) => {
      const { messages, refused } = await on(home, (device) => listMessages(device, 'inbound'), nowMs);
      expect(refused).toEqual([]);
      expect(messages.map(({ body, isUnderFormerKey }) => [body?.Text, isUnderFormerKey])).toEqual([
        ['in time', false],
        ['has not heard', true],
        ['has heard', false],
      ]);
    };
    await isListed(laptop, afterMs);
    for (const _ of ['this year', 'next year']) await on(laptop, (device) => rotateAccountKey(device), afterMs + 1000);
    await isListed(phone, afterMs + 1000);
  });

  it('a device does not shut itself out, and one that does not administer nobody', async () => {
    const own = on(laptop, async (device) => revokeDevice(device, device.session.identity.deviceUdf));
    await expect(own).rejects.toThrow(/does not revoke itself/);
    await expect(revoke(phone, 'tablet')).rejects.toThrow(/does not administer/);
  });
});

describe('[S62] the profile of the account', () => {
  it('names the new key and is bound anew; what was interrupted is settled by the next run', async () => {
    const boundBefore = service.bound.length;
    service.beforeCall = async (transaction) => {
      if (transaction === 'CreateAccount') throw new Error('the lights went out');
    };
    await expect(on(laptop, (device) => rotateAccountKey(device))).rejects.toThrow('lights');
    service.beforeCall = async () => undefined;
    await sync(laptop);
    expect(service.bound).toHaveLength(boundBefore + 1);
    const bound = service.bound.at(-1)?.profileAccount;
    const { profile } = await verifyProfile(bound as never, 'ProfileAccount');
    const key = await on(laptop, async ({ session }) => session.keys.key('accountEncryption').publicKey.udf);
    expect(profile.KeyEncryption?.UDF).toBe(key);
    // Nothing is left to be done.
    await sync(laptop);
    expect(service.bound).toHaveLength(boundBefore + 1);
  });

  it('a key whose entries never arrived is forgotten', async () => {
    const before = await on(laptop, async ({ session }) => session.keys.epochs.length);
    service.beforeUpload = () => Promise.reject(new Error('the lights went out'));
    await expect(on(laptop, (device) => rotateAccountKey(device))).rejects.toThrow('lights');
    service.beforeUpload = async () => undefined;
    const boundBefore = service.bound.length;
    await sync(laptop);
    expect(service.bound).toHaveLength(boundBefore);
    expect(await on(laptop, async ({ session }) => session.keys.epochs.length)).toBe(before);
    await write(laptop, 'goes', 'on');
    expect(readersOf(2)).toEqual(readersOf(1));
  });

  it('reaches more devices than one Upload takes, own entry first; those without a key to send to are named', async () => {
    const strangerCount = uploadDevicesMax;
    await on(laptop, async (device) => {
      const strangers = Array.from({ length: strangerCount }, () => {
        const DeviceUDF = nonceUdf(systemRandom);
        const contentMeta = { UniqueID: DeviceUDF, cty: 'application/mmm', Event: 'New', Created: new Date(laterMs) };
        return { contentMeta, payload: encodeTagged(CatalogedDevice, { DeviceUDF }, 'json') };
      });
      await changeDevices(device, async () => strangers);
    });
    // Between the others and the last one: the second lot has what is left.
    const watch = await connectedAt(service, laptop, { description: 'watch', nowMs: laterMs });
    service.uploadIds.length = 0;
    const { deviceCount, without, keyUdf } = await on(laptop, (device) => rotateAccountKey(device));
    expect([deviceCount, without.length, service.uploadIds.length]).toEqual([4, strangerCount, 2]);
    for (const home of [laptop, phone, watch]) {
      await sync(home);
      expect(await on(home, async ({ session }) => session.keys.key('accountEncryption').publicKey.udf)).toBe(keyUdf);
    }
  });

  it('a yearly change shuts nobody out, twice in a second either', async () => {
    const first = await on(laptop, (device) => rotateAccountKey(device));
    const second = await on(laptop, (device) => rotateAccountKey(device));
    expect([first.deviceCount, second.deviceCount]).toEqual([3, 3]);
    await write(laptop, 'after', 'new news');
    expect(readersOf(2)).toEqual([second.keyUdf]);
    expect(await notes(tablet)).toMatchObject({ before: 'old news', after: 'new news' });
  });
});

describe('[S25] several administrators', () => {
  const grant = (name: string) => on(laptop, async (device) => grantAdministration(device, await udfOf(device, name)));

  it('the profile of the Mesh says who administers', async () => {
    const administrators = async (home: string) =>
      (await on(home, listDevices)).filter(({ isAdministrator }) => isAdministrator).map(({ isThis }) => isThis);
    expect(await administrators(laptop)).toEqual([true]);
    expect(await administrators(phone)).toEqual([false]);
    await grant('phone');
    expect(await administrators(laptop)).toEqual([true, false]);
    expect(await administrators(phone)).toEqual([false, true]);
    expect(await administrators(tablet)).toEqual([false, false]);
  });

  it('another one shuts out the first, changes the key, and connects devices', async () => {
    await grant('phone');
    await sync(phone);
    const { deviceCount } = await on(phone, async (device) => {
      const first = (await listDevices(device)).find(({ isAdministrator, isThis }) => isAdministrator && !isThis);
      return revokeDevice(device, first?.deviceUdf ?? '');
    });
    expect(deviceCount).toBe(2);
    await write(phone, 'after', 'without the laptop');
    expect(await notes(tablet)).toMatchObject({ after: 'without the laptop' });
    const watch = await connectedAt(service, phone, { description: 'watch', nowMs: laterMs });
    expect(await notes(watch)).toEqual({ before: 'old news', after: 'without the laptop' });
  });

  it('two change the key at the same moment: the later one counts, and what was written under either is read', async () => {
    await grant('phone');
    await sync(phone);
    const boundBefore = service.bound.length;
    let isOvertaken = false;
    service.beforeUpload = async () => {
      if (isOvertaken) return;
      isOvertaken = true;
      await on(phone, (device) => rotateAccountKey(device));
      await write(phone, 'between', 'under the key of the phone');
    };
    const { keyUdf } = await on(laptop, (device) => rotateAccountKey(device));
    await write(laptop, 'after', 'under the key of the laptop');
    for (const home of [phone, tablet, laptop]) {
      expect(await notes(home)).toMatchObject({ between: 'under the key of the phone', after: expect.any(String) });
      expect(await on(home, async ({ session }) => session.keys.key('accountEncryption').publicKey.udf)).toBe(keyUdf);
    }
    expect(service.bound).toHaveLength(boundBefore + 2);
  });

  it('one can be an administrator from its connection on', async () => {
    const second = await connectedAt(service, laptop, { description: 'desk', administrator: true, nowMs: laterMs });
    const renamed = await on(second, async (device) => renameDevice(device, await udfOf(device, 'phone'), 'red phone'));
    expect(renamed.description).toBe('red phone');
    expect((await on(laptop, listDevices)).map(({ description }) => description)).toContain('red phone');
  });

  it('only who has the master seed makes administrators', async () => {
    await grant('phone');
    await sync(phone);
    const further = on(phone, async (device) => grantAdministration(device, await udfOf(device, 'tablet')));
    await expect(further).rejects.toThrow(/needs the master seed/);
    await expect(on(tablet, (device) => rotateAccountKey(device))).rejects.toThrow(/does not administer/);
  });

  it('[S48] one that was shut out lets nobody in again, though the service helps', async () => {
    await grant('phone');
    await sync(phone);
    const stolen = await copyHome(phone);
    const frames = () => [...(service.containers.get('mmm_Device') ?? [])];
    const seen = frames();
    await revoke(laptop, 'phone');
    const shutOut = frames();
    await sync(tablet);
    // The service shows the thief the old catalog, has it sign, and then claims that this came after the deletion.
    service.containers.set('mmm_Device', seen);
    await on(stolen, async (device) => renameDevice(device, await udfOf(device, 'tablet'), 'mine'));
    const forged = frames().slice(seen.length);
    service.containers.set('mmm_Device', [...shutOut, ...forged]);
    await expect(sync(tablet)).rejects.toMatchObject({ code: expect.stringMatching(/frame|fork/) });
  });

  it('devices are found by name, and none by a wrong one', async () => {
    const devices = await on(laptop, listDevices);
    expect(() => deviceNamed(devices, 'M')).toThrow(/means 3 devices/);
    expect(deviceNamed(devices, 'tablet').description).toBe('tablet');
    const [first] = devices;
    const named = devices.map((each) => ({ ...each, description: first?.deviceUdf ?? '' }));
    // Nor is one that calls itself as another is called taken for that one.
    expect(() => deviceNamed(named, first?.deviceUdf ?? '')).toThrow(/means 3 devices; name it by its fingerprint/);
    expect(() => deviceNamed(devices, 'XYZ')).toThrow(/there is no device XYZ/);
  });
});
