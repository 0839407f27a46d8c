import { helloCacheMs } from '@meshd/limits/limits';
import { beforeEach, describe, expect, it } from 'vitest';
import { withDevice } from './device.js';
import type { ClientEnvironment, ServiceConnection } from './environment.js';
import { accountAt, FakeService, temporaryHome } from './fake-service.fixture.js';
import { Home } from './home.js';
import { uploadFiles } from './operations/upload.js';
import { forgetConstraints, uploadConstraints } from './service-constraints.js';

const nowMs = 1_700_000_000_000;

describe('[R107] constraints of a service', () => {
  let home: Home;
  let asked: number;
  beforeEach(async () => {
    home = new Home(await temporaryHome());
    asked = 0;
  });
  const at = (atMs: number, domain = 'example.com') =>
    uploadConstraints(home, domain, atMs, async () => {
      asked += 1;
      return { entriesMax: asked };
    });

  it('are kept for a day', async () => {
    expect(await at(nowMs)).toMatchObject({ entriesMax: 1 });
    expect(await at(nowMs + helloCacheMs - 1)).toMatchObject({ entriesMax: 1 });
    expect(await at(nowMs + helloCacheMs)).toMatchObject({ entriesMax: 2 });
  });

  it('are asked for anew when the clock was set back, or when they were forgotten', async () => {
    await at(nowMs);
    expect(await at(nowMs - 1)).toMatchObject({ entriesMax: 2 });
    await forgetConstraints(home, 'example.com');
    expect(await at(nowMs)).toMatchObject({ entriesMax: 3 });
  });

  it('are those of one service', async () => {
    await at(nowMs);
    expect(await at(nowMs, 'b.example')).toMatchObject({ entriesMax: 2 });
    expect(await at(nowMs)).toMatchObject({ entriesMax: 1 });
  });
});

describe('[R107] uploading', () => {
  it('says Hello once, and again after a refusal that may come from other limits', async () => {
    const service = new FakeService();
    const folder = await accountAt(service);
    let hellos = 0;
    let refusal: number | undefined;
    const environment: ClientEnvironment = {
      ...service.environment(),
      connect: (): ServiceConnection => {
        const honest = service.connect();
        return {
          ...honest,
          hello: (...options) => {
            hellos += 1;
            return honest.hello(...options);
          },
          call: async (transaction, message, signers, options) => {
            const answer = await honest.call(transaction, message, signers, options);
            return refusal === undefined ? answer : { ...answer, status: refusal, succeeded: false };
          },
        };
      },
    };
    const upload = (name: string) =>
      withDevice(folder, environment, (device) =>
        uploadFiles(device, 'my_Notes', [{ name, content: new Uint8Array(1) }]),
      );
    await upload('a');
    await upload('b');
    expect(hellos).toBe(1);
    for (const [at, status] of [413, 401].entries()) {
      refusal = status;
      await expect(upload('c')).rejects.toThrow(`${status}`);
      refusal = undefined;
      await upload('c');
      expect(hellos).toBe(at + 2);
    }
    refusal = 403;
    await expect(upload('d')).rejects.toThrow('403');
    refusal = undefined;
    await upload('d');
    expect(hellos).toBe(3);
  });
});
