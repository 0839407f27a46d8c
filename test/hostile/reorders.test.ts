import { makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Frames, refusalOf, type Scene, setScene } from './keeping-service.js';
import { refusals } from './refusals.js';

let scene: Scene;
beforeEach(async () => {
  scene = await setScene();
});
afterEach(() => scene.end());

const swapped = (frames: Frames): Frames => [frames[0], frames[2], frames[1], ...frames.slice(3)] as Frames;

const placedAt = (frames: Frames): Frames =>
  frames.map((octets, Index) => {
    const { header, payload, trailer } = openEnvelope(octets);
    return makeEnvelope({ header: { ...header, ContainerInfo: { Index } }, payload, trailer });
  });

describe('[S43] a service that gives frames in another order', () => {
  it('is refused: each says where it belongs', async () => {
    scene.service.lies = { given: swapped };
    expect(await refusalOf(scene.fresh.sync())).toEqual(refusals.reorders);
    expect(await scene.fresh.frameCount()).toBeLessThan(2);
  });

  it('and says of each that it belongs there: the manifests do not', async () => {
    scene.service.lies = { shown: (frames) => placedAt(swapped(frames)) };
    expect(await refusalOf(scene.fresh.sync())).toEqual({
      code: 'frame',
      message: expect.stringMatching(/the manifest of frame 1 names frame 2: the frames are in another order/),
    });
    expect(await scene.fresh.frameCount()).toBe(0);
  });

  it('and gives one of them twice: it cannot stand in two places', async () => {
    scene.service.lies = { shown: (frames) => [...frames, frames[3]] as Frames };
    expect((await refusalOf(scene.home.sync())).code).toMatch(/frame|fork/);
    expect(await scene.home.frameCount()).toBe(4);
    expect(await refusalOf(scene.fresh.sync())).toEqual({
      code: 'frame',
      message: expect.stringMatching(/frame 3 stands where frame 4 belongs: frame 3 was given before/),
    });
  });
});
