import { sha512 } from '@meshd/crypto/digest';
import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  afterFrame,
  appendEnvelope,
  appendFrame,
  type ContainerType,
  containerTypes,
  emptyFile,
  type FileFrame,
  type FileState,
  nextTreePosition,
  readContainer,
} from './container-file.js';
import {
  encodeFrame,
  frameAt,
  frameBefore,
  framesBackward,
  framesForward,
  memorySource,
  type OctetSource,
} from './container-frame.js';
import { encryptEnvelope } from './encrypt.js';
import { openEnvelope, redactEnvelope, withContainerInfo } from './envelope.js';
import { DareError } from './errors.js';
import { previousFrame } from './merkle.js';
import { signEnvelope } from './sign.js';
import { hex, toHex, utf8, vectorsOf } from './vectors.fixture.js';
import { verifyEnvelopeSync } from './verify.js';

const key = signingKeyFromSeed(Buffer.alloc(57, 31));

function build(
  type: ContainerType,
  frames: readonly FileFrame[],
): { octets: Uint8Array; state: FileState; ends: number[] } {
  let state = emptyFile(type);
  const parts: Uint8Array[] = [];
  const ends: number[] = [];
  for (const frame of frames) {
    const appended = appendFrame(state, frame);
    parts.push(appended.octets);
    state = appended.state;
    ends.push(state.size);
  }
  return { octets: Buffer.concat(parts), state, ends };
}

const frame = (text: string): FileFrame => ({ payload: utf8(text) });
const zero: FileFrame = { payload: new Uint8Array(0), contentMeta: {} };
const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return error instanceof DareError ? error.code : String(error);
  }
  return 'none';
};

describe('published bytes', () => {
  for (const { name, input, expected } of vectorsOf('container.json', 'containerBytes')) {
    const none = new Uint8Array(0);
    const frames = [
      encodeFrame({ header: utf8(input.frame0HeaderUtf8), payload: none, trailer: none }),
      encodeFrame({ header: utf8(input.frame1HeaderUtf8), payload: hex(input.payloadHex) }),
    ];
    const octets = Buffer.concat(frames);

    test(`[R116] ${name}: written`, () => {
      expect(toHex(octets)).toBe(expected.hex);
      expect(toHex(frames[0] as Uint8Array).startsWith(expected.frame0Start)).toBe(true);
      expect(toHex(frames[0] as Uint8Array).endsWith(expected.frame0End)).toBe(true);
      expect(toHex(frames[1] as Uint8Array).startsWith(expected.frame1Start)).toBe(true);
      expect(toHex(frames[1] as Uint8Array).endsWith(expected.frame1End)).toBe(true);
    });

    test(`[R116] ${name}: read forwards and backwards`, () => {
      const source = memorySource(hex(expected.hex));
      const forward = [...framesForward(source)];
      expect(forward.map(({ offset }) => offset)).toEqual(expected.frameOffsets);
      expect([...framesBackward(source)].reverse()).toEqual(forward);
      const read = readContainer(source);
      expect(read.state).toMatchObject({ type: 'List', frameCount: 2, size: octets.length });
      expect(toHex(read.entries[1]?.envelope.payload as Uint8Array)).toBe(input.payloadHex);
      expect(read.entries[0]?.envelope.contentMetaData).toEqual({});
    });
  }

  for (const { name, expected } of vectorsOf('container.json', 'treePositions')) {
    test(`[R116] ${name}`, () => {
      const trailer = new Uint8Array(222).fill(0x20);
      const payloads = [new Uint8Array(0), ...Array.from({ length: 3 }, () => new Uint8Array(300))];
      let state = emptyFile('Merkle');
      const starts: Record<number, number> = {};
      const positions: Record<number, number> = {};
      for (const [index, payload] of payloads.entries()) {
        const position = nextTreePosition(state);
        if (position !== undefined) positions[index] = position;
        starts[index] = state.size;
        const more = index === 0 ? '    "ContainerType": "Merkle"}}' : `    "TreePosition": ${position}}}`;
        const encoding = index === 0 ? '    "DataEncoding": "JSON",\n' : '';
        const header = `{\n  "ContentMetaData": "e30",\n  "ContainerInfo": {\n${encoding}    "Index": ${index},\n${more}`;
        const octets = encodeFrame({ header: utf8(header), payload, trailer });
        state = afterFrame(state, octets.length, sha512(payload));
      }
      expect(starts).toMatchObject(expected.frameStart);
      expect(positions).toEqual(expected.treePosition);
    });
  }
});

describe('the five kinds', () => {
  const members: Record<ContainerType, string[]> = {
    List: [],
    Digest: ['PayloadDigest'],
    Chain: ['PayloadDigest', 'ChainDigest'],
    Tree: [],
    Merkle: ['PayloadDigest', 'TreeDigest'],
  };

  for (const type of containerTypes) {
    test(`[R116] ${type}: trailers, positions and digests are those of the kind`, () => {
      const texts = ['', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'];
      const { octets, state } = build(type, [zero, ...texts.slice(1).map(frame)]);
      const read = readContainer(memorySource(octets));
      expect(read.tornBytes).toBe(0);
      expect(read.state).toEqual(state);
      for (const entry of read.entries) {
        const { trailer, header } = entry.envelope;
        expect(Object.keys(trailer)).toEqual(members[type]);
        expect(entry.digestRule).toBe(type === 'Chain' || type === 'Merkle' ? 'rule' : 'absent');
        expect(entry.treePositionHolds).toBe(true);
        const expected =
          (type === 'Tree' || type === 'Merkle') && entry.frameIndex > 0
            ? read.entries[previousFrame(entry.frameIndex)]?.offset
            : undefined;
        expect(header.ContainerInfo?.TreePosition).toBe(expected);
        expect(Buffer.from(entry.envelope.payload ?? []).toString('utf8')).toBe(texts[entry.frameIndex]);
      }
    });
  }

  test('appending on a state that was read is appending on the one that was kept', () => {
    const first = build('Merkle', [zero, frame('a'), frame('b')]);
    const again = readContainer(memorySource(first.octets)).state;
    expect(toHex(appendFrame(again, frame('c')).octets)).toBe(toHex(appendFrame(first.state, frame('c')).octets));
  });

  test('reference digests are told from the rule, others from both', () => {
    const zeros = new Uint8Array(64);
    const payload = utf8('x');
    const digest = sha512(payload);
    const chained = { PayloadDigest: digest, ChainDigest: sha512(zeros, digest) };
    const start = build('Chain', [zero]);
    const header = utf8('{"ContainerInfo":{"Index":1}}');
    const withTrailer = (trailer: Record<string, Uint8Array>) => {
      const entries = Object.entries(trailer).map(
        ([name, octets]) => `"${name}":"${Buffer.from(octets).toString('base64url')}"`,
      );
      const octets = encodeFrame({ header, payload, trailer: utf8(`{${entries.join()}}`) });
      return readContainer(memorySource(Buffer.concat([start.octets, octets]))).entries[1]?.digestRule;
    };
    expect(withTrailer(chained)).toBe('reference');
    expect(withTrailer({ ...chained, ChainDigest: zeros })).toBe('other');
    expect(withTrailer({ PayloadDigest: digest })).toBe('absent');
  });
});

describe('torn and damaged files', () => {
  // Payloads that look like frames themselves, so that a cut may fall where an inner frame ends.
  const inner = build('List', [zero, frame('inner')]).octets;
  const { octets, ends } = build('Merkle', [zero, frame('first'), { payload: inner }, frame('x'.repeat(300))]);

  test('[R116] a file cut at any octet gives the whole frames before the cut', () => {
    for (let end = ends[0] as number; end <= octets.length; end += 1) {
      const read = readContainer(memorySource(octets.subarray(0, end)));
      const whole = ends.filter((frameEnd) => frameEnd <= end);
      expect(read.state.frameCount).toBe(whole.length);
      expect(read.tornBytes).toBe(end - (whole.at(-1) as number));
    }
    expect(codeOf(() => readContainer(memorySource(octets.subarray(0, 20))))).toBe('container');
    expect(codeOf(() => readContainer(memorySource(new Uint8Array(0))))).toBe('container');
  });

  test('[R116] appending after a cut overwrites the torn tail', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: ends[0] as number, max: octets.length }),
        fc.uint8Array({ maxLength: 400 }),
        (cut, payload) => {
          const { state } = readContainer(memorySource(octets.subarray(0, cut)));
          const next = appendFrame(state, { payload });
          const healed = Buffer.concat([octets.subarray(0, state.size), next.octets]);
          const read = readContainer(memorySource(healed));
          expect(read.tornBytes).toBe(0);
          expect(toHex(read.entries.at(-1)?.envelope.payload as Uint8Array)).toBe(toHex(payload));
        },
      ),
      { numRuns: 100 },
    );
  });

  test('[R116] zeros that a crash left behind the last frame are a torn tail', () => {
    const tail = Buffer.concat([octets, Buffer.alloc(100)]);
    expect(readContainer(memorySource(tail)).tornBytes).toBe(100);
    const half = Buffer.concat([octets.subarray(0, octets.length - 100), Buffer.alloc(100)]);
    expect(readContainer(memorySource(half)).state.frameCount).toBe(3);
  });

  test('[R116] damage with sound frames behind it is no torn tail', () => {
    const damaged = Uint8Array.from(octets);
    const lastOfFrame1 = (ends[1] as number) - 1;
    damaged[lastOfFrame1] = 0;
    expect(codeOf(() => readContainer(memorySource(damaged)))).toBe('container');
    const tagGone = Uint8Array.from(octets);
    tagGone[ends[0] as number] = 0;
    expect(codeOf(() => readContainer(memorySource(tagGone)))).toBe('container');
  });

  test('[R072] a payload changed under its digest is refused', () => {
    const at = Buffer.from(octets).indexOf('first');
    const changed = Uint8Array.from(octets);
    changed[at] = 0x46;
    expect(codeOf(() => readContainer(memorySource(changed)))).toBe('payload-digest');
  });

  test('frames out of order and an unknown kind are refused', () => {
    const [first, second] = [ends[0] as number, ends[1] as number];
    const twice = Buffer.concat([octets.subarray(0, second), octets.subarray(first, second)]);
    expect(codeOf(() => readContainer(memorySource(twice)))).toBe('container');
    const odd = encodeFrame({ header: utf8('{"ContainerInfo":{"Index":0,"ContainerType":"Heap"}}') });
    expect(codeOf(() => readContainer(memorySource(odd)))).toBe('container');
  });

  test('lengths beyond the bound or the file are refused before anything is allocated', () => {
    const huge = Buffer.concat([hex('f7'), Buffer.alloc(8, 0x7f), Buffer.alloc(40)]);
    expect(frameAt(memorySource(huge), 0)).toBeUndefined();
    expect(codeOf(() => frameBefore(memorySource(hex('00f4')), 2))).toBe('container');
    const source: OctetSource = {
      size: 2 ** 40,
      read: (offset, length) => {
        expect(length).toBeLessThan(100);
        return offset === 0 ? hex('f7000000ff00000000').subarray(0, length) : new Uint8Array(length);
      },
    };
    expect(frameAt(source, 0)).toBeUndefined();
    const four = { header: utf8('{}'), payload: new Uint8Array(16 * 1024 * 1024) };
    expect(codeOf(() => encodeFrame(four))).toBe('limit');
  });

  test('a frame of four records, of none, or with a record running out is refused', () => {
    const wrap = (data: string) => {
      const size = (data.length / 2).toString(16).padStart(2, '0');
      return memorySource(hex(`f4${size}${data}${size}f4`));
    };
    for (const data of ['f000f000f000f000', '', 'f005aa', 'f1', '00']) {
      expect(codeOf(() => frameAt(wrap(data), 0))).toBe('container');
    }
    expect(frameAt(wrap('f0027b7d'), 0)?.payload).toBeUndefined();
  });

  test('any octets are read, cut off or refused, never more', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 300 }), (noise, at) => {
        const mixed = Buffer.concat([octets.subarray(0, at), noise]);
        try {
          readContainer(memorySource(mixed));
        } catch (error) {
          expect(['DareError', 'EncodingError']).toContain((error as Error).name);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('round trips', () => {
  test('[R116] any frames of any kind, all length classes', () => {
    const sizes = fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(0, 255, 256, 65_535, 65_536, 70_000));
    fc.assert(
      fc.property(fc.constantFrom(...containerTypes), fc.array(sizes, { maxLength: 12 }), (type, lengths) => {
        const payloads = lengths.map((length, at) => Buffer.alloc(length, at));
        const { octets } = build(type, [zero, ...payloads.map((payload) => ({ payload }))]);
        const source = memorySource(octets);
        const { entries } = readContainer(source);
        expect(entries.slice(1).map(({ envelope }) => envelope.payload?.length)).toEqual(lengths);
        expect([...framesBackward(source)].map(({ offset }) => offset).reverse()).toEqual(
          entries.map(({ offset }) => offset),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('[R116] signed, encrypted and redacted envelopes keep what they are', () => {
    const signed = withContainerInfo(signEnvelope({ payload: utf8('{"A":{}}'), keys: [key] }), {
      Index: 77,
      TreePosition: 12,
      Unknown: 'kept',
    });
    const sealed = encryptEnvelope({ plain: utf8('{}'), recipients: [key.publicKey], random: systemRandom, pad: true });
    const start = build('Merkle', [zero]);
    let { state } = start;
    const parts = [start.octets];
    for (const octets of [signed, sealed, redactEnvelope(signed)]) {
      const next = appendEnvelope(state, octets);
      parts.push(next.octets);
      state = next.state;
    }
    const read = readContainer(memorySource(Buffer.concat(parts)));
    const [, first, second, third] = read.entries.map(({ envelope }) => envelope);
    const found = (kid: string) => (kid === key.publicKey.udf ? key.publicKey : undefined);
    expect(verifyEnvelopeSync(first as never, found).signers).toEqual([key.publicKey]);
    expect(Buffer.from(first?.octets.header ?? []).toString('utf8')).toContain('"Unknown":"kept"');
    expect(first?.header.ContainerInfo?.Index).toBe(1);
    expect(toHex(second?.payload as Uint8Array)).toBe(toHex(openEnvelope(sealed).payload as Uint8Array));
    expect(third?.payload).toBeNull();
    expect(third?.signatures.length).toBe(1);
    expect(read.entries.every(({ digestRule, treePositionHolds }) => digestRule === 'rule' && treePositionHolds)).toBe(
      true,
    );
  });
});
