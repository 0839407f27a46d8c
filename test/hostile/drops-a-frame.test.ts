import { makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { container, type Frames, refusalOf, type Scene, setScene } from './keeping-service.js';
import { refusals } from './refusals.js';

let scene: Scene;
beforeEach(async () => {
  scene = await setScene();
});
afterEach(() => scene.end());

const without = (at: number) => (frames: Frames) => frames.filter((_, index) => index !== at);

/** The frames after the gap say that they stand where they now stand. */
const renumbered = (frames: Frames): Frames =>
  frames.map((octets, Index) => {
    const { header, payload, trailer } = openEnvelope(octets);
    return makeEnvelope({ header: { ...header, ContainerInfo: { Index } }, payload, trailer });
  });

describe('[S43] [S45] a service that drops a frame', () => {
  it('in the middle is refused: the next frame says where it belongs', async () => {
    scene.service.lies = { given: without(2) };
    expect(await refusalOf(scene.fresh.sync())).toEqual(refusals.dropsFrame);
    expect(await scene.fresh.frameCount()).toBeLessThan(3);
  });

  it('in the middle and renumbers the rest, in heads of its own too: manifests name the places and roots', async () => {
    scene.service.lies = { shown: (frames) => renumbered(without(2)(frames)) };
    expect(await refusalOf(scene.fresh.sync())).toEqual({
      code: 'frame',
      message: expect.stringMatching(/the manifest of frame 2 names frame 3: frame 2 is missing/),
    });
    expect(await scene.fresh.frameCount()).toBe(0);
  });

  it('at the end, which its heads count, gives no answer that can be used', async () => {
    scene.service.lies = { given: without(3) };
    expect(await refusalOf(scene.fresh.sync())).toEqual({
      code: 'unavailable',
      message: expect.stringMatching(/gives no further frames of .*my_Notes/),
    });
  });

  it('at the end, from heads and all: a device that had it says so, keeps evidence and shows what it has', async () => {
    scene.service.lies = { shown: without(3) };
    await scene.fresh.sync();
    expect(await scene.fresh.frameCount()).toBe(3);
    // The device tries to put back what is missing; a service that lies does not take it.
    const refusal = await refusalOf(scene.home.sync());
    expect(refusal).toEqual({
      code: 'rollback',
      message: expect.stringMatching(/the service has 3 frames of my_Notes and this device has verified 4/),
    });
    expect(await scene.home.frameCount()).toBe(4);
    expect(await scene.home.evidence()).toMatchObject([{ kind: 'rollback', container }]);
  });

  it('at the end, by leaving the container out: it is missed', async () => {
    scene.service.lies = { shown: () => [] };
    expect(await refusalOf(scene.home.sync())).toEqual({
      code: 'rollback',
      message: expect.stringMatching(/no longer shows my_Notes/),
    });
  });
});
