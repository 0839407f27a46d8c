import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { container, refusalOf, type Scene, setScene, signedHeads } from './keeping-service.js';
import { refusals } from './refusals.js';

let scene: Scene;
beforeEach(async () => {
  scene = await setScene();
});
afterEach(() => scene.end());

const minuteMs = 60_000;

/** Heads as they stand now, or stood some time ago. */
function headsNow(agoMs = 0, frames?: number): EnvelopeOctets {
  const { service } = scene;
  const containers = [...service.containers].map(
    ([name, all]) => [name, name === container ? all.slice(0, frames) : all] as const,
  );
  const { accountUdf } = service;
  return signedHeads(service.scripted.identity, { accountUdf, timeMs: Date.now() - agoMs, containers });
}

describe('[S45] a service that replays an old head', () => {
  it('is refused by the device that has seen a newer one', async () => {
    const old = headsNow();
    await scene.home.upload('d');
    scene.service.lies = { shown: (frames) => frames.slice(0, 4), heads: () => old };
    expect(await refusalOf(scene.home.sync())).toEqual(refusals.replaysOldHead);
    expect(await scene.home.frameCount()).toBe(5);
    expect(await scene.home.evidence()).toMatchObject([{ kind: 'rollback', container }]);
  });

  it('that is six minutes old, by anybody: within five it counts', async () => {
    scene.service.lies = { heads: () => headsNow(6 * minuteMs) };
    expect(await refusalOf(scene.fresh.sync())).toEqual({
      code: 'heads',
      message: expect.stringMatching(/6 min old/),
    });
    const another = await scene.home.fresh();
    scene.service.lies = { heads: () => headsNow(4 * minuteMs) };
    await another.sync();
    expect(await another.frameCount()).toBe(4);
    await another.remove();
  });

  it('from the future: by then it would hide what came since', async () => {
    scene.service.lies = { heads: () => headsNow(-6 * minuteMs) };
    expect(await refusalOf(scene.fresh.sync())).toEqual({
      code: 'heads',
      message: expect.stringMatching(/6 min ahead/),
    });
  });

  it('with less at a later time is caught by its own two signatures: proof for anybody', async () => {
    await scene.home.sync();
    // Times of heads count in whole seconds.
    scene.service.lies = { heads: () => headsNow(-2000, 3), shown: (frames) => frames.slice(0, 3) };
    expect(await refusalOf(scene.home.sync())).toMatchObject({ code: 'rollback' });
    expect(await scene.home.evidence()).toMatchObject([{ kind: 'rollback', container, isProof: true }]);
  });

  it('[S23] or none at all, though it signs heads: that is a step back', async () => {
    scene.service.lies = { heads: () => undefined };
    expect(await refusalOf(scene.fresh.sync())).toEqual({
      code: 'downgrade',
      message: expect.stringMatching(/signs heads, and left them out/),
    });
  });

  it('[S46] that its frames do not continue: the proof of consistency fails', async () => {
    await scene.home.sync();
    const other = await scene.home.copy();
    await other.upload('d', 'e');
    for (const change of [
      () => [],
      (honest: readonly Uint8Array[]) => [...honest, new Uint8Array(32)],
      (honest: readonly Uint8Array[]) => honest.map((node) => node.map((octet) => octet ^ 1)),
    ]) {
      const device = await scene.home.copy();
      scene.service.lies = { consistency: change };
      expect(await refusalOf(device.sync())).toEqual({
        code: 'fork',
        message: expect.stringMatching(/cannot prove that its my_Notes continues/),
      });
      expect(await device.frameCount()).toBe(4);
      await device.remove();
    }
    await other.remove();
  });
});
