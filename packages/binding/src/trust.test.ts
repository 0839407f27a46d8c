import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha512 } from '@meshd/crypto/digest';
import { importPublicKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { readKeyFile } from '@meshd/crypto/key-file';
import { type EnvelopeOctets, makeEnvelope, openEnvelope, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { encodeTagged } from '@meshd/encoding/codec';
import type { Response } from '@meshd/schema/common';
import { ConnectionHost } from '@meshd/schema/connections';
import { ProfileService } from '@meshd/schema/profiles';
import { type ResponseOf, responseTableOf, type Transaction } from '@meshd/schema/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { credDigest, responseAlgorithm, responseInput } from './credential.js';
import type { BindingError } from './errors.js';
import { type HostIdentity, hostFileNames, initService, issueHost, loadHostIdentity } from './host-files.js';
import type { HttpAnswer, Poster } from './http-client.js';
import { MeshConnection } from './mesh-connection.js';
import { memoryPinStore, type PinStore } from './pins.js';
import { reqAuthOf } from './request-authenticate.js';
import { receiveRequest } from './request-open.js';
import { signResponse } from './response-sign.js';
import { domain, keyMember, makeDevice, makeHost, newKey, nowMs, stored } from './test-fixtures.js';

let identity: HostIdentity;
let directory: string;
let remove: () => Promise<void>;
const device = makeDevice();
const signer = { key: device.authentication, connection: device.connection };
const day = 24 * 3600 * 1000;

beforeAll(async () => {
  ({ identity, directory, remove } = await makeHost());
});
afterAll(() => remove());

interface FakeOptions {
  readonly signer?: HostIdentity;
  readonly hello?: Partial<ResponseOf<'Hello'>>;
  readonly features?: readonly string[];
  readonly answer?: Partial<Response>;
  readonly http?: Partial<HttpAnswer>;
}

/** A service behind no network. */
function fakeService(options: FakeOptions = {}): Poster {
  const host = options.signer ?? identity;
  return {
    post: async (body) => {
      const { payloadDigest, entries, base } = receiveRequest(body, 'json');
      const transaction = base.transaction as Transaction;
      const common = { Status: 201, ID: base.id };
      const message =
        transaction === 'Hello'
          ? {
              ...common,
              Version: { Features: [...(options.features ?? ['auth-1', 'host-1'])] },
              EnvelopedProfileService: host.profileService,
              EnvelopedProfileHost: host.profileHost,
              EnvelopedConnectionHost: host.connectionHost,
              ...options.hello,
            }
          : { ...common, ...options.answer };
      const payload = encodeTagged<Response>(responseTableOf(transaction), message, 'json');
      const answered = { service: base.service, payloadDigest, reqAuth: reqAuthOf(entries) };
      const signed = await signResponse(host, answered, payload);
      return { httpStatus: 200, mediaType: 'application/json', retryAfterMs: undefined, body: signed, ...options.http };
    },
    close: () => undefined,
  };
}

const connectionTo = (poster: Poster, pins: PinStore = memoryPinStore(), atMs = nowMs) =>
  new MeshConnection({ domain, pins, poster, clock: () => atMs });
const codeOf = (action: Promise<unknown>) =>
  action.then(
    () => 'accepted',
    (error: BindingError) => error.code ?? String(error),
  );

/** A ConnectionHost signed by a key of our choice, with members of our choice. */
async function connectionWith(members: object, directoryOfService = directory): Promise<EnvelopeOctets> {
  const file = readKeyFile(await readFile(join(directoryOfService, hostFileNames.serviceKey)));
  const body = {
    SubjectUDF: identity.udf,
    AuthorityUDF: identity.serviceUdf,
    ServiceID: [domain],
    KeyAuthentication: keyMember(identity.signingKey),
    NotBefore: new Date(nowMs - 1000),
    NotAfter: new Date(nowMs + day),
    ...members,
  };
  return stored(ConnectionHost, body, signingKeyFromSeed(file.seed));
}

/** The same answer, signed by the host without saying which host it is. */
async function withoutCredentials(answer: Uint8Array, request: Uint8Array, host: HostIdentity): Promise<Uint8Array> {
  const { header, payload } = openEnvelope(readEnvelope(answer));
  const received = receiveRequest(request, 'json');
  const input = responseInput({
    service: received.base.service,
    requestPayloadDigest: received.payloadDigest,
    reqAuth: reqAuthOf(received.entries),
    responsePayloadDigest: sha512(payload ?? new Uint8Array(0)),
    credDigest: credDigest({}),
  });
  const { udf } = host.signingKey.publicKey;
  const signatures = [{ alg: responseAlgorithm, kid: udf, signature: host.signingKey.sign(input) }];
  return writeEnvelope(makeEnvelope({ header, payload, trailer: { signatures } }));
}

describe('[S23] Hello', () => {
  it('pins the service at first use and knows it again', async () => {
    const pins = memoryPinStore();
    const first = await connectionTo(fakeService(), pins).hello();
    expect(first.firstUse).toBe(true);
    expect(importPublicKey(first.pin.serviceKey).udf).toBe(identity.serviceUdf);
    const second = await connectionTo(fakeService(), pins).hello();
    expect(second.firstUse).toBe(false);
    expect(second.pin.pinnedMs).toBe(first.pin.pinnedMs);
  });

  it('is said again after a day: a service learns new things', async () => {
    let atMs = nowMs;
    const asked: string[] = [];
    const service = fakeService();
    const poster: Poster = {
      ...service,
      post: (body, ...rest) => {
        asked.push(receiveRequest(body, 'json').base.transaction ?? '');
        return service.post(body, ...rest);
      },
    };
    const link = new MeshConnection({ domain, pins: memoryPinStore(), poster, clock: () => atMs });
    const ask = () => link.call('Status', { Account: 'alice@example.com' }, [signer]);
    await ask();
    await ask();
    atMs += day;
    await ask();
    expect(asked).toEqual(['Hello', 'Status', 'Status', 'Hello', 'Status']);
  });

  it('stops at a service without auth-1, and at one that had a feature and has it no more', async () => {
    expect(await codeOf(connectionTo(fakeService({ features: ['host-1'] })).hello())).toBe('feature-missing');
    const pins = memoryPinStore();
    await connectionTo(fakeService({ features: ['auth-1', 'host-1', 'entry'] }), pins).hello();
    const later = connectionTo(fakeService({ features: ['auth-1', 'host-1'] }), pins);
    await expect(later.hello()).rejects.toThrow(/does not offer entry and did before/);
  });
});

describe('[S26] host, service, pins', () => {
  const withConnection = async (members: object) => {
    const connectionHost = await connectionWith(members);
    return fakeService({ signer: { ...identity, connectionHost } });
  };

  it.each([
    ['as it should be', {}, 'accepted'],
    ['expired', { NotAfter: new Date(nowMs - 1) }, 'host-refused'],
    ['not yet in force', { NotBefore: new Date(nowMs + 60_000) }, 'host-refused'],
    ['for longer than 7 days', { NotAfter: new Date(nowMs + 8 * day) }, 'host-refused'],
    ['without term', { NotAfter: undefined }, 'host-refused'],
    ['for another domain', { ServiceID: ['other.example'] }, 'host-refused'],
    ['of another host', { SubjectUDF: newKey().publicKey.udf }, 'host-refused'],
    ['of another service', { AuthorityUDF: newKey().publicKey.udf }, 'host-refused'],
    ['with another key', { KeyAuthentication: keyMember(newKey()) }, 'host-refused'],
  ])('judges a ConnectionHost %s', async (_name, members, expected) => {
    expect(await codeOf(connectionTo(await withConnection(members)).hello())).toBe(expected);
  });

  it('refuses a ConnectionHost signed by somebody else', async () => {
    const strange = await makeHost();
    try {
      const connectionHost = await connectionWith({}, strange.directory);
      expect(await codeOf(connectionTo(fakeService({ signer: { ...identity, connectionHost } })).hello())).toBe(
        'host-refused',
      );
    } finally {
      await strange.remove();
    }
  });

  it('refuses another service, unless the pinned one signed it', async () => {
    const strange = await makeHost();
    try {
      const pins = memoryPinStore();
      await connectionTo(fakeService(), pins).hello();
      expect(await codeOf(connectionTo(fakeService({ signer: strange.identity }), pins).hello())).toBe('pin-mismatch');
      const seedOf = async (folder: string) =>
        signingKeyFromSeed(readKeyFile(await readFile(join(folder, hostFileNames.serviceKey))).seed);
      const successor = await seedOf(strange.directory);
      const body = { Updated: new Date(nowMs), KeyOfflineSignature: keyMember(successor) };
      const profileService = stored(ProfileService, body, successor, await seedOf(directory));
      const hello = await connectionTo(fakeService({ signer: { ...strange.identity, profileService } }), pins).hello();
      expect(importPublicKey(hello.pin.serviceKey).udf).toBe(strange.identity.serviceUdf);
      // From now on the successor is the service.
      expect(await codeOf(connectionTo(fakeService(), pins).hello())).toBe('pin-mismatch');
    } finally {
      await strange.remove();
    }
  });

  it('refuses an older profile of the same service', async () => {
    const pins = memoryPinStore();
    await connectionTo(fakeService(), pins).hello();
    const key = signingKeyFromSeed(readKeyFile(await readFile(join(directory, hostFileNames.serviceKey))).seed);
    const body = { Updated: new Date(nowMs - day), KeyOfflineSignature: keyMember(key) };
    const profileService = stored(ProfileService, body, key);
    expect(await codeOf(connectionTo(fakeService({ signer: { ...identity, profileService } }), pins).hello())).toBe(
      'pin-mismatch',
    );
  });

  it('pins the host of a service that binds none, and refuses another', async () => {
    const hello = { EnvelopedConnectionHost: undefined };
    const pins = memoryPinStore();
    const first = await connectionTo(fakeService({ hello, features: ['auth-1'] }), pins).hello();
    expect(Buffer.from(first.pin.hostKey ?? '')).toEqual(Buffer.from(identity.signingKey.publicKey.raw));
    const connection = connectionTo(fakeService({ hello, features: ['auth-1'] }), pins);
    expect((await connection.call('Status', {}, [signer])).status).toBe(201);
    const strange = await makeHost();
    try {
      const other = fakeService({ signer: strange.identity, hello, features: ['auth-1'] });
      expect(await codeOf(connectionTo(other, pins).hello())).toBe('pin-mismatch');
      expect(await codeOf(connectionTo(other, pins).call('Status', {}, [signer]))).toBe('response-refused');
    } finally {
      await strange.remove();
    }
  });

  it('believes nothing of a service that it has just refused, not even the host without credentials', async () => {
    const pins = memoryPinStore();
    await connectionTo(fakeService(), pins).hello();
    const strange = await makeHost();
    try {
      const impostor = fakeService({ signer: strange.identity });
      const connection = connectionTo(
        {
          ...impostor,
          post: async (body, timeoutMs) => {
            const answer = await impostor.post(body, timeoutMs);
            if (receiveRequest(body, 'json').base.transaction === 'Hello') return answer;
            return { ...answer, body: await withoutCredentials(answer.body, body, strange.identity) };
          },
        },
        pins,
      );
      // The first call says Hello, for lack of a known host; what that brings must not serve the second one.
      for (const code of ['pin-mismatch', 'pin-mismatch']) {
        expect(await codeOf(connection.call('Status', {}, [signer]))).toBe(code);
      }
    } finally {
      await strange.remove();
    }
  });

  it('refuses host-1 without a ConnectionHost', async () => {
    const poster = fakeService({ hello: { EnvelopedConnectionHost: undefined } });
    expect(await codeOf(connectionTo(poster).hello())).toBe('host-refused');
  });

  it('[R194] takes answers of known hosts without a Hello, and of renewed ones', async () => {
    const pins = memoryPinStore();
    await connectionTo(fakeService(), pins).hello();
    const connectionHost = await connectionWith({ NotAfter: new Date(nowMs + 2 * day) });
    const connection = connectionTo(fakeService({ signer: { ...identity, connectionHost } }), pins);
    expect((await connection.call('Status', {}, [signer])).host.udf).toBe(identity.udf);
    const late = connectionTo(fakeService(), pins, nowMs + 8 * day);
    expect(await codeOf(late.call('Status', {}, [signer]))).toBe('host-refused');
  });
});

describe('answers', () => {
  it('[R106] count by their payload, whatever the HTTP code says', async () => {
    const success = connectionTo(fakeService({ http: { httpStatus: 500 } }));
    expect(await success.call('Status', {}, [signer])).toMatchObject({ succeeded: true, status: 201, httpStatus: 500 });
    const failure = connectionTo(fakeService({ answer: { Status: 404 }, http: { httpStatus: 200 } }));
    expect(await failure.call('Status', {}, [signer])).toMatchObject({
      succeeded: false,
      status: 404,
      httpStatus: 200,
    });
  });

  it('[S22] without proof are not believed: an unsigned 307 changes nothing but a pause', async () => {
    const pins = memoryPinStore();
    await connectionTo(fakeService(), pins).hello();
    const moved = Buffer.from('{"StatusResponse":{"Status":307,"StatusDescription":"https://evil.example/"}}');
    const http = { httpStatus: 307, body: moved, retryAfterMs: 3_600_000 };
    const answer = connectionTo(fakeService({ http }), pins).call('Status', {}, [signer]);
    await expect(answer).rejects.toMatchObject({ code: 'unsigned-error', pauseMs: 60_000, httpStatus: 307 });
    const html = { mediaType: 'text/html', body: Buffer.from('<html>') };
    expect(await codeOf(connectionTo(fakeService({ http: html }), pins).call('Status', {}, []))).toBe('unsigned-error');
  });

  it('[R068] are asked for anew each time', async () => {
    let count = 0;
    const service = fakeService();
    const poster: Poster = {
      ...service,
      post: (body, timeoutMs) => {
        count += 1;
        return service.post(body, timeoutMs);
      },
    };
    const connection = connectionTo(poster);
    await connection.call('Status', {}, [signer]);
    await connection.call('Status', {}, [signer]);
    expect(count).toBe(3);
  });
});

describe('[S26] host files', () => {
  it('are made once and kept; connections are issued anew', async () => {
    const again = await initService(directory, { nowMs: nowMs + day });
    expect(again).toEqual({ udf: identity.serviceUdf, made: false });
    await issueHost(directory, 'router', { domains: [domain, 'Second.Example'], nowMs: nowMs + day });
    const later = await loadHostIdentity(join(directory, 'router'));
    expect(later.udf).toBe(identity.udf);
    expect(later.signingKey.publicKey.equals(identity.signingKey.publicKey)).toBe(true);
    expect(later.domains).toEqual([domain, 'second.example']);
    expect(later.notAfterMs - later.notBeforeMs).toBe(7 * day);
    await issueHost(directory, 'shard', { domains: [domain], nowMs });
    expect((await loadHostIdentity(join(directory, 'shard'))).udf).not.toBe(identity.udf);
  });

  it('are refused when they do not belong together', async () => {
    const strange = await makeHost();
    try {
      const name = hostFileNames.hostKey;
      await writeFile(join(strange.directory, 'router', name), await readFile(join(directory, 'router', name)));
      expect(await codeOf(loadHostIdentity(join(strange.directory, 'router')))).toBe('host-files');
      expect(await codeOf(loadHostIdentity(join(strange.directory, 'nowhere')))).toBe('host-files');
    } finally {
      await strange.remove();
    }
  });

  it('name the service by a profile that verifies', async () => {
    const octets = await readFile(join(directory, 'router', hostFileNames.profileService));
    const opened = openEnvelope(readEnvelope(octets));
    expect(opened.contentMetaData?.cty).toBe('application/mmm');
  });
});
