/** The same service when it does not lie: what a device that comes back asks for, and what it leaves alone. */
import { decodeRequest } from '@meshd/binding/request-open';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { container, type Scene, setScene } from './keeping-service.js';

let scene: Scene;
beforeEach(async () => {
  scene = await setScene();
});
afterEach(() => scene.end());

/** What was asked for since the last call, Hello left out: the transaction and the containers of a Download. */
function asked(): string[] {
  return scene.service.scripted.requests.splice(0).flatMap((received) => {
    const { request } = decodeRequest(received);
    if (request.transaction === 'Hello') return [];
    if (request.transaction !== 'Download') return [request.transaction];
    const names = request.message.Select?.map(({ Container }) => Container) ?? [];
    return [`Download of ${names.join(', ')}`];
  });
}

describe('a device that comes back', () => {
  it('[R004] [R119] [R120] fetches what differs and nothing else, and what it writes another one sees', async () => {
    await scene.fresh.sync();
    asked();
    await scene.home.upload('d');
    expect(asked()).toEqual(['Status', 'Upload']);
    await scene.fresh.sync();
    expect(asked()).toEqual(['Status', `Download of ${container}`]);
    expect(await scene.fresh.frameCount()).toBe(5);
    await scene.fresh.upload('e');
    await scene.home.sync();
    expect(await scene.home.frameCount()).toBe(6);
  });

  it('[R024] [R118] asks once when nothing differs, and opens nothing', async () => {
    await scene.home.sync();
    asked();
    const synced = await scene.home.sync();
    expect(asked()).toEqual(['Status']);
    expect(synced.map(({ fetchedCount }) => fetchedCount)).toEqual(synced.map(() => 0));
  });
});
