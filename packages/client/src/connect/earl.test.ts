import { generateSeed, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { encryptionKeyUdf } from '@meshd/crypto/udf';
import { openEnvelope, readEnvelope } from '@meshd/dare/envelope';
import { describe, expect, it } from 'vitest';
import { makeBaseSeeds, makeProfileDevice } from './asking.js';
import { earlText, makeEarl, openDescription, parseEarl, sealDescription } from './earl.js';

const hailing = 'factory@maker.example';
const earl = makeEarl('maker.example', systemRandom);
const seeds = makeBaseSeeds(systemRandom);
const profileDevice = makeProfileDevice(seeds, 'desk lamp', 1_767_225_600_000);
const sealed = sealDescription({ profileDevice, hailing }, earl, systemRandom);

describe('[R153] [R154] the code on a device', () => {
  it('is a locator with a key of 128 bits, and gives what it was made of', () => {
    expect(earlText(earl)).toMatch(/^udf:\/\/maker\.example\/E[A-Z2-7]{3}(-[A-Z2-7]{4}){6}$/);
    expect(parseEarl(earlText(earl))).toEqual(earl);
    // As a reader of QR codes or a person may bring it.
    expect(parseEarl(` ${earlText(earl).toLowerCase()} `)).toEqual(earl);
  });

  it('is refused where it is another thing, or too short to keep anything', () => {
    const short = `udf://maker.example/${earl.key.slice(0, 24)}`;
    const others = ['', earl.key, 'https://maker.example/x', `udf:${earl.key}`, 'udf://maker.example/MAAA-AAAA', short];
    for (const other of others) expect(() => parseEarl(other), other).toThrow(/not the code of a device/);
    expect(() => parseEarl(`udf://not a domain/${earl.key}`)).toThrow(/not the code of a device/);
  });
});

describe('[S56] [S60] the description under it', () => {
  it('says which device it is and where it hails, to who has the code', async () => {
    const described = await openDescription(sealed, earl);
    expect(described).toMatchObject({ hailing, description: 'desk lamp' });
    expect(described.deviceUdf).toBe(signingKeyFromSeed(seeds.offline).publicKey.udf);
    expect(described.profileDevice.payload).toEqual(profileDevice.payload);
    expect(openEnvelope(readEnvelope(sealed)).header).toMatchObject({ enc: 'A256GCM' });
    expect(Buffer.from(sealed).includes('lamp')).toBe(false);
  });

  it('never has the same octets twice: salt and so key are fresh each time', () => {
    const again = sealDescription({ profileDevice, hailing }, earl, systemRandom);
    expect(openEnvelope(readEnvelope(again)).payload).not.toEqual(openEnvelope(readEnvelope(sealed)).payload);
  });

  it('is refused with one bit flipped, anywhere', async () => {
    const { payload } = openEnvelope(readEnvelope(sealed)) as { payload: Uint8Array };
    const text = Buffer.from(sealed).toString();
    const before = Buffer.from(payload).toString('base64url');
    expect(text).toContain(before);
    const places = [0, 1, Math.floor(payload.length / 2), payload.length - 17, payload.length - 16, payload.length - 1];
    for (const at of places) {
      for (const bit of [1, 0x80]) {
        const flipped = Buffer.from(payload);
        flipped[at] = (flipped[at] as number) ^ bit;
        const changed = Buffer.from(text.replace(before, flipped.toString('base64url')));
        await expect(openDescription(changed, earl), `octet ${at}`).rejects.toMatchObject({ code: 'connect' });
      }
    }
  });

  it('is refused under another code, without its tag, and where it is no envelope', async () => {
    const other = { key: encryptionKeyUdf(systemRandom(16)) };
    for (const octets of [sealed, Buffer.from('[]'), Buffer.from('<html>'), Buffer.alloc(0)]) {
      await expect(openDescription(octets, other)).rejects.toThrow(/not made with it/);
    }
  });

  it('is refused where the profile in it is another device’s, or signed by another', async () => {
    const strange = makeProfileDevice({ ...seeds, offline: generateSeed(systemRandom) }, 'lamp', 0);
    const trailer = strange.trailer;
    const forged = sealDescription({ profileDevice: { ...profileDevice, trailer }, hailing }, earl, systemRandom);
    await expect(openDescription(forged, earl)).rejects.toMatchObject({ code: 'connect' });
  });
});
