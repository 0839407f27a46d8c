import { join } from 'node:path';
import type { HostIdentity } from '@meshd/binding/host-files';
import { issueHost, loadHostIdentity } from '@meshd/binding/host-files';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { domain, makeIdentity } from '../client/scripted-service.js';
import { refusalOf, type Scene, setScene } from './keeping-service.js';
import { refusals } from './refusals.js';

let scene: Scene;
let stranger: HostIdentity;
beforeEach(async () => {
  scene = await setScene();
  stranger = await makeIdentity(join(scene.service.scripted.folder, 'stranger'));
});
afterEach(() => scene.end());

describe('[S22] [S26] a service that signs with another host key', () => {
  it('answers: they are none of the pinned service’s', async () => {
    scene.service.lies = { answerSigner: stranger };
    expect(await refusalOf(scene.home.sync())).toEqual(refusals.signsWithOtherKey);
  });

  it('heads: they are refused with what else is in the answer', async () => {
    scene.service.lies = { headSigner: stranger };
    expect(await refusalOf(scene.fresh.sync())).toEqual({
      code: 'heads',
      message: expect.stringMatching(/signed heads are refused/),
    });
    expect(await scene.fresh.frameCount()).toBe(0);
  });

  it('heads, under its own key but in the name of the right host', async () => {
    const { profileHost, connectionHost } = scene.service.scripted.identity;
    scene.service.lies = { headSigner: { ...stranger, profileHost, connectionHost } };
    expect(await refusalOf(scene.fresh.sync())).toMatchObject({ code: 'heads' });
  });

  it('heads of a host whose connection had ended by then', async () => {
    const weekMs = 7 * 24 * 3600_000;
    const folder = scene.service.folder;
    await issueHost(folder, 'shard', { domains: [domain], nowMs: Date.now() - weekMs - 3600_000 });
    scene.service.lies = { headSigner: await loadHostIdentity(join(folder, 'shard')) };
    expect(await refusalOf(scene.fresh.sync())).toMatchObject({ code: 'heads' });
  });

  it('another host of the same service is as good as the first', async () => {
    const folder = scene.service.folder;
    await issueHost(folder, 'shard', { domains: [domain], nowMs: Date.now() });
    const shard = await loadHostIdentity(join(folder, 'shard'));
    scene.service.lies = { headSigner: shard, answerSigner: shard };
    await scene.fresh.sync();
    expect(await scene.fresh.frameCount()).toBe(4);
  });
});
