import { randomBytes } from 'node:crypto';
import { largePlainBytes } from '@meshd/limits/large';
import { describe, expect, it } from 'vitest';
import { FileSecrets, sliceLayout } from './sealed-file.js';

const random = (bytes: number) => randomBytes(bytes);
const secrets = new FileSecrets(Buffer.alloc(32, 7));
const sizes = [0, 1, 1023, 1024, largePlainBytes - 1, largePlainBytes, largePlainBytes + 1, 3 * largePlainBytes + 5];

describe('the layout of a sealed file', () => {
  for (const size of sizes) {
    it(`of ${size} octets: slices follow each other without gap, and hold the file`, () => {
      const layout = sliceLayout(size);
      let plain = 0;
      let sealed = 0;
      for (let slice = 0; slice < layout.sliceCount; slice += 1) {
        expect(layout.sealedOffsetOf(slice)).toBe(sealed);
        plain += layout.plainBytesOf(slice);
        sealed += layout.sealedBytesOf(slice);
      }
      expect([plain, sealed]).toEqual([size, layout.sealedBytes]);
    });
  }

  it('hides sizes within a step, and takes none that is no size', () => {
    expect(sliceLayout(1).sealedBytes).toBe(sliceLayout(1024).sealedBytes);
    expect(sliceLayout(1025).sealedBytes).toBe(sliceLayout(1024).sealedBytes + 1024);
    for (const size of [-1, 0.5, Number.NaN, 2 ** 60]) expect(() => sliceLayout(size)).toThrow('size');
  });

  it('of terabytes is arithmetic', () => {
    const layout = sliceLayout(2 ** 43 + 1);
    expect(layout.sliceCount).toBe(2 ** 24 + 1);
    expect(layout.sealedOffsetOf(2 ** 24) + layout.sealedBytesOf(2 ** 24)).toBe(layout.sealedBytes);
  });
});

describe('[S60] a sealed slice', () => {
  const size = 2 * largePlainBytes + 100;
  const layout = sliceLayout(size);
  const content = randomBytes(size);
  const plainOf = (slice: number) => {
    const at = slice * largePlainBytes;
    return content.subarray(at, at + layout.plainBytesOf(slice));
  };
  const sealed = [0, 1, 2].map((slice) => secrets.seal(layout, slice, plainOf(slice), random));

  it('opens at its place', () => {
    for (const slice of [0, 1, 2]) {
      const plain = secrets.open(layout, slice, sealed[slice] as Uint8Array);
      expect(Buffer.compare(plain, plainOf(slice))).toBe(0);
    }
  });

  it('opens nowhere else, and under no other key or count of slices', () => {
    const [first] = sealed as [Uint8Array];
    expect(() => secrets.open(layout, 1, first)).toThrow('decrypt');
    expect(() => secrets.open(sliceLayout(size + largePlainBytes), 0, first)).toThrow('decrypt');
    expect(() => new FileSecrets(Buffer.alloc(32, 8)).open(layout, 0, first)).toThrow('decrypt');
  });

  it('opens only whole and unchanged: salt, body, tag', () => {
    const last = sealed[2] as Uint8Array;
    for (const at of [0, 15, 16, 500, last.length - 17, last.length - 1]) {
      const changed = Buffer.from(last);
      changed[at] = (changed[at] as number) ^ 1;
      expect(() => secrets.open(layout, 2, changed), `octet ${at}`).toThrow('decrypt');
    }
    for (const cut of [last.subarray(0, -1), last.subarray(0, 20), new Uint8Array(0), Buffer.concat([last, last])]) {
      expect(() => secrets.open(layout, 2, cut)).toThrow('size');
    }
  });

  it('is sealed under another salt each time, and only with the octets that its place has', () => {
    const again = secrets.seal(layout, 0, plainOf(0), random);
    expect(Buffer.compare(again, sealed[0] as Uint8Array)).not.toBe(0);
    expect(Buffer.compare(secrets.open(layout, 0, again), plainOf(0))).toBe(0);
    expect(() => secrets.seal(layout, 0, plainOf(2), random)).toThrow('size');
  });

  it('is what others can compute: a slice with a given key and salt', () => {
    const one = sliceLayout(3);
    const made = secrets.seal(one, 0, Buffer.from('abc'), () => Buffer.alloc(16, 1));
    expect(Buffer.from(made.subarray(16, 32)).toString('hex')).toBe('159f3e3567eececfcaa0c1177da16e25');
    expect(Buffer.from(secrets.readerSeed.subarray(0, 8)).toString('hex')).toBe('05827d0418248fc3');
    expect(Buffer.from(secrets.profileSeed.subarray(0, 8)).toString('hex')).toBe('104e2901f6ed4792');
  });
});
