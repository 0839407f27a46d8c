/** Where a service may send its clients, and where it may not (semantics 3, S74). */
import { join } from 'node:path';
import { MeshConnection, type VerifiedResponse } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { makeRequestId } from '@meshd/binding/request-id';
import type { ReceivedRequest } from '@meshd/binding/request-open';
import { systemRandom } from '@meshd/crypto/random';
import { Person } from '@meshd/shard/testing/person';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connected } from '../permissions/people.js';
import { answer, domain, makeIdentity, type RawAnswer, ScriptedService } from './scripted-service.js';

const person = new Person('alice', { address: `alice@${domain}` });
const signers = [connected(person.device())];

let here: ScriptedService;
/** Another host of the same service. */
let there: ScriptedService;
let link: MeshConnection;

beforeEach(async () => {
  here = await ScriptedService.start();
  there = await ScriptedService.start();
  there.identity = here.identity;
  link = new MeshConnection({ domain, url: here.url, ca: `${here.ca}${there.ca}`, pins: memoryPinStore() });
});
afterEach(async () => {
  await link.close();
  await here.stop();
  await there.stop();
});

/** Answers other than to Hello are these members from now on, under the service's signature. */
function says(service: ScriptedService, members: object, headers: Record<string, string> = {}, httpStatus = 200): void {
  service.respond = async (request): Promise<RawAnswer> => {
    if (request.base.transaction === 'Hello') return service.honestly(request);
    return { httpStatus, headers, body: await answer(service.identity, request, 'StatusResponse', members) };
  };
}

const sent = (service: ScriptedService): ReceivedRequest[] =>
  service.requests.filter(({ base }) => base.transaction !== 'Hello');

const ask = (id?: Uint8Array): Promise<VerifiedResponse<'Status'>> =>
  link.call('Status', { Account: person.address }, signers, id === undefined ? {} : { id });

describe('[S74] a service that sends a client elsewhere', () => {
  it.each([303, 307])('is followed, by the same request: %d', async (Status) => {
    says(here, { Status, StatusDescription: `${there.url}/direct` });
    const id = makeRequestId(Date.now(), systemRandom);
    expect((await ask(id)).status).toBe(201);
    const [first, second] = [sent(here), sent(there)];
    expect([first.length, second.length]).toEqual([1, 1]);
    expect(second[0]?.base).toMatchObject({ transaction: 'Status', service: domain });
    expect([...(second[0]?.base.id ?? [])]).toEqual([...id]);
    expect(second[0]?.payloadDigest).toEqual(first[0]?.payloadDigest);
  });

  it('is followed once: what is sent on again stays where it is, and the next request begins anew', async () => {
    says(here, { Status: 307, StatusDescription: there.url });
    says(there, { Status: 307, StatusDescription: here.url });
    expect(await ask()).toMatchObject({ status: 307, succeeded: false });
    expect([sent(here).length, sent(there).length]).toEqual([1, 1]);
    says(here, {});
    expect((await ask()).status).toBe(201);
    expect([sent(here).length, sent(there).length]).toEqual([2, 1]);
  });

  it('is not followed out of its domain, nor to anything but a plain https address', async () => {
    const { port } = new URL(there.url);
    for (const place of [
      'https://evil.example/.well-known/mmm',
      `https://${domain}.evil.example/`,
      `https://evil${domain}/`,
      `http://127.0.0.1:${port}/`,
      `https://user:secret@127.0.0.1:${port}/`,
      `https://127.0.0.1:${port}/?elsewhere`,
      `https://127.0.0.1:${port}/${'x'.repeat(255)}`,
      'elsewhere',
      '',
    ]) {
      says(here, { Status: 307, StatusDescription: place });
      expect(await ask()).toMatchObject({ status: 307, succeeded: false });
    }
    expect(there.requests).toEqual([]);
  });

  it('[S26] is not believed where another service answers', async () => {
    there.identity = await makeIdentity(join(there.folder, 'stranger'));
    says(here, { Status: 307, StatusDescription: there.url });
    await expect(ask()).rejects.toMatchObject({ code: 'host-refused' });
  });

  it('[S22] is not followed where its own answer is not proved', async () => {
    here.respond = async (request) => {
      if (request.base.transaction === 'Hello') return here.honestly(request);
      const stranger = await makeIdentity(join(here.folder, 'stranger'));
      const body = await answer(stranger, request, 'StatusResponse', { Status: 307, StatusDescription: there.url });
      return { httpStatus: 200, body };
    };
    await expect(ask()).rejects.toMatchObject({ code: 'host-refused' });
    expect(there.requests).toEqual([]);
  });

  it('is not followed where it is the account that has moved: that is for the user to say', async () => {
    says(here, { Status: 303, StatusExtended: 25, StatusDescription: there.url });
    expect(await ask()).toMatchObject({ status: 303, statusExtended: 25, description: there.url });
    expect(there.requests).toEqual([]);
  });

  it.each([301, 302, 303, 307, 308])('[R106] says so in its answer and never by HTTP: %d', async (httpStatus) => {
    says(here, {}, { location: there.url }, httpStatus);
    expect(await ask()).toMatchObject({ status: 201, httpStatus });
    expect(there.requests).toEqual([]);
  });
});
