/** What an operator sees of an account, and what becomes of one that may hold less. In memory. */
import { beforeEach, describe, expect, it } from 'vitest';
import { opening } from '../testing/person.js';
import { credential, openUploadKit, told, type UploadKit } from '../testing/upload-kit.js';
import { changeQuota, reportAccount } from './account-report.js';

let kit: UploadKit;
const report = (address = kit.alice.address) => reportAccount(kit.shard.context, address);
const change = (asked: Parameters<typeof changeQuota>[2], address = kit.alice.address) =>
  changeQuota(kit.shard.context, address, asked);
const upload = async (...ids: string[]) => {
  const first = kit.writer.trees.log.frameCount === 0 ? [opening()] : [];
  const batch = kit.writer.seal([...first, ...ids.map(credential)]);
  const result = await kit.shard.upload(kit.device, [{ envelopes: batch.envelopes }]);
  if (!('faults' in result)) kit.writer.trees = { tree: batch.tree, log: batch.log };
  return told(result);
};
const incidents = () => kit.shard.store.framesOf('@service', 'mmm_Incident').length;

beforeEach(async () => {
  kit = await openUploadKit();
});

describe('an account, seen by the operator', () => {
  it('is told by numbers: containers by name, their sums, devices that are connected', async () => {
    await upload('a', 'b');
    const { containers, bytesUsed, frameCount, ...rest } = await report();
    expect(containers.map(({ name }) => name)).toEqual([
      ...['mmm_Archive', 'mmm_Credential', 'mmm_Device', 'mmm_Inbound', 'mmm_Outbound'],
    ]);
    expect(containers.reduce((sum, each) => sum + each.frameCount, 0)).toBe(frameCount);
    expect(containers.reduce((sum, each) => sum + each.bytesUsed, 0)).toBe(bytesUsed);
    expect(rest).toMatchObject({ status: 'connected', away: null, deviceCount: 1 });
    await expect(report('nobody@example.com')).rejects.toMatchObject({ code: 'account-unknown' });
  });

  it('that may hold less than it does keeps it, and takes nothing more until it may', async () => {
    await upload('a');
    const { frameCount, quota } = await report();
    const before = incidents();
    expect(await change({ framesMax: frameCount - 1 })).toEqual({
      quota: { bytesMax: quota.bytesMax, framesMax: frameCount - 1 },
      changed: true,
    });
    expect(await change({ framesMax: frameCount - 1 })).toMatchObject({ changed: false });
    expect([incidents() - before, (await report()).frameCount]).toEqual([1, frameCount]);
    expect(await upload('b')).not.toBe('accepted');
    await change({ framesMax: frameCount + 1 });
    expect(await upload('b')).toBe('accepted');
    expect(await upload('c')).not.toBe('accepted');
  });

  it('is given no quota that is none', async () => {
    for (const asked of [{ bytesMax: -1 }, { framesMax: 0.5 }, { bytesMax: 2 ** 60 }]) {
      await expect(change(asked)).rejects.toMatchObject({ code: 'malformed' });
    }
    await expect(change({ bytesMax: 1 }, 'nobody@example.com')).rejects.toMatchObject({ code: 'account-unknown' });
  });
});
