import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DownloadPart } from './generated/meshd/shard/v1/shard.js';
import { ShardService } from './shard-wire.js';

const { responseSerialize: serialize, responseDeserialize: read } = ShardService.download;

function frames(...sizes: number[]): DownloadPart {
  const envelopes = sizes.map((size) => ({ header: randomBytes(700), payload: randomBytes(size), trailer: undefined }));
  return { part: { $case: 'frames', value: { envelopes, proofs: [] } } };
}

describe('serializers', () => {
  it('write what the generated code writes, whatever was written before', () => {
    for (const part of [frames(5), frames(65_536, 1, 200_000), frames(), frames(5_000_000), frames(9)]) {
      expect(serialize(part)).toEqual(Buffer.from(DownloadPart.encode(part).finish()));
      expect(read(serialize(part))).toEqual(part);
    }
  });

  it('give every message octets of its own', () => {
    const first = serialize(frames(10));
    const copy = Buffer.from(first);
    serialize(frames(1000));
    expect(first).toEqual(copy);
  });

  it('survive a message that cannot be written', () => {
    const broken = { part: { $case: 'end', value: { frameCount: -1, cut: false } } } as const;
    expect(() => serialize(broken)).toThrow();
    const part = frames(100);
    expect(read(serialize(part))).toEqual(part);
  });
});
