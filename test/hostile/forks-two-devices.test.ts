import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { container, type Frames, refusalOf, type Scene, setScene, type TestHome } from './keeping-service.js';
import { refusals } from './refusals.js';

let scene: Scene;
let other: TestHome;
/** What each of the two devices is shown. */
let worlds: { readonly one: Map<string, Frames>; readonly two: Map<string, Frames> };

beforeEach(async () => {
  scene = await setScene();
  other = await scene.home.copy();
});
afterEach(async () => {
  await other.remove();
  await scene.end();
});

/** Lets both devices write, each in a world where the other did not. */
async function forked(names: readonly string[], otherNames: readonly string[]): Promise<void> {
  const { service } = scene;
  const common = new Map(service.containers);
  await scene.home.upload(...names);
  await scene.home.sync();
  const one = service.containers;
  service.containers = new Map(common);
  await other.upload(...otherNames);
  await other.sync();
  worlds = { one, two: service.containers };
}

describe('[S45] [S47] a service that forks two devices', () => {
  it('cannot join them again at equal size: it has signed two histories, which is proof, and nothing is written any more', async () => {
    await forked(['one'], ['two']);
    scene.service.containers = worlds.one;
    expect(await refusalOf(other.sync())).toEqual(refusals.forksTwoDevices);
    expect(await other.evidence()).toMatchObject([{ kind: 'fork', container, isProof: true }]);
    expect(await refusalOf(other.upload('more'))).toMatchObject({ code: expect.stringMatching(/fork|evidence/) });
    scene.service.containers = worlds.two;
    expect(await refusalOf(other.upload('more'))).toEqual({
      code: 'evidence',
      message: expect.stringMatching(/nothing is written: the service was caught/),
    });
    expect(scene.service.containers.get(container)).toHaveLength(5);
  });

  it('cannot join them again where the other history is longer: no proof of consistency leads there', async () => {
    await forked(['one'], ['two', 'three']);
    scene.service.containers = worlds.two;
    expect(await refusalOf(scene.home.sync())).toEqual({
      code: 'fork',
      message: expect.stringMatching(/cannot prove that its my_Notes continues the one that this device has verified/),
    });
    expect(await scene.home.frameCount()).toBe(5);
    expect(await scene.home.evidence()).toMatchObject([{ kind: 'fork', container }]);
  });

  it('cannot join them again where the other history is shorter', async () => {
    await forked(['one', 'three'], ['two']);
    scene.service.containers = worlds.two;
    expect((await refusalOf(scene.home.sync())).code).toMatch(/fork|rollback/);
    expect(await scene.home.frameCount()).toBe(6);
  });

  it('[S44] cannot pass off a container made anew under the same name', async () => {
    const { service } = scene;
    service.containers = new Map([...service.containers].filter(([name]) => name !== container));
    const maker = await scene.home.fresh();
    await maker.upload('a', 'b', 'c', 'd', 'e');
    expect(await refusalOf(scene.home.sync())).toMatchObject({ code: 'fork' });
    await maker.remove();
  });
});
