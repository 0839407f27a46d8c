/** What a person sees who types commands after the service was caught: the evidence, and how to write in spite of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mesh, meshJson } from '../client/mesh-program.js';
import { container, type Frames, refusalOf, type Scene, setScene, type TestHome } from './keeping-service.js';
import { refusals } from './refusals.js';

let scene: Scene;
let home: TestHome;
/** The containers of the one history, and of the other. */
let worlds: { readonly mine: Map<string, Frames>; readonly theirs: Map<string, Frames> };

beforeAll(async () => {
  scene = await setScene();
  const { service } = scene;
  home = await scene.home.copy();
  const common = new Map(service.containers);
  await home.upload('mine');
  const mine = service.containers;
  service.containers = common;
  await scene.home.upload('theirs');
  worlds = { mine, theirs: service.containers };
  service.containers = mine;
  await home.sync();
  service.containers = worlds.theirs;
  expect(await refusalOf(home.sync())).toEqual(refusals.forksTwoDevices);
});
afterAll(async () => {
  await home?.remove();
  await scene?.end();
});

const audit = (...args: string[]) => mesh(['container', 'audit', '--home', home.folder, ...args]);
const upload = () => mesh(['container', 'upload', container, '-', '--home', home.folder], 'more');

describe('[S45] [S47] mesh container audit, after a fork', () => {
  it('prints the evidence and fails', async () => {
    const { code, stdout } = await audit();
    expect(code).toBe(1);
    expect(stdout).toMatch(/^\d{4}-[^ ]+Z fork \(proof\): .*my_Notes/m);
    expect(stdout).not.toContain('no evidence');
  });

  it('has both statements of the service in its document, with which anybody can be convinced', async () => {
    const { code, stdout } = await audit('--json');
    expect(code).toBe(1);
    const { evidence, replicas } = JSON.parse(stdout);
    const heads = { headsBefore: expect.any(String), headsNow: expect.any(String) };
    expect(evidence).toMatchObject([{ kind: 'fork', container, isProof: true, message: expect.any(String), ...heads }]);
    expect(evidence[0].headsNow).not.toBe(evidence[0].headsBefore);
    expect(replicas).toContainEqual(expect.objectContaining({ container, frameCount: 5, isIntact: true }));
  });

  it('nothing is written until the evidence is acknowledged, which the refusal leads to', async () => {
    const { service } = scene;
    for (const world of [worlds.theirs, worlds.mine]) {
      service.containers = world;
      const refused = await upload();
      expect([refused.code, refused.stdout]).toEqual([1, '']);
      expect(refused.stderr).toMatch(/^mesh: nothing is written: [^\n]*fork of my_Notes[^\n]*mesh container audit/);
      expect(service.containers.get(container)).toHaveLength(5);
    }
  });

  it('--acknowledge lets writing go on, and keeps the evidence', async () => {
    expect(await meshJson(home.folder, 'container', 'audit', '--acknowledge')).toMatchObject({
      acknowledged: 1,
      evidence: [{ kind: 'fork', acknowledgedMs: expect.any(Number) }],
    });
    const { code, stdout } = await audit();
    expect(code).toBe(0);
    expect(stdout).toMatch(/ fork \(proof, acknowledged\): /);
    const { service } = scene;
    service.containers = worlds.mine;
    expect((await upload()).code).toBe(0);
    expect(service.containers.get(container)).toHaveLength(6);
    // The other history is still not this device's: it is found again, and not written onto.
    service.containers = worlds.theirs;
    const refused = await upload();
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/^mesh: [^\n]*my_Notes[^\n]*\n$/)]);
    expect(service.containers.get(container)).toHaveLength(5);
  });
});
