import { sha512 } from '@meshd/crypto/digest';
import { systemRandom } from '@meshd/crypto/random';
import { type EnvelopeOctets, makeEnvelope, openEnvelope, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import type { ObjectTable } from '@meshd/encoding/codec';
import { ConnectionApplication, ConnectionService } from '@meshd/schema/connections';
import type { MeshError } from '@meshd/schema/status';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeRequestId } from './request-id.js';
import { decodeRequest, receiveRequest } from './request-open.js';
import {
  authenticate,
  build,
  type Device,
  domain,
  edited,
  enveloped,
  keyMember,
  type Mesh,
  makeDevice,
  makeHost,
  makeMesh,
  newKey,
  nowMs,
  stored,
} from './test-fixtures.js';

let device: Device;
let mesh: Mesh;
beforeAll(() => {
  device = makeDevice();
  mesh = makeMesh();
});

const account = 'alice@example.com';
const fault = async (action: Promise<unknown>): Promise<string> =>
  action.then(
    () => 'accepted',
    (error: MeshError) => `${error.status}/${error.extended ?? 0}`,
  );
const profileSigner = () => ({ key: device.authentication, connection: device.connection });
const idText = () => Buffer.from(makeRequestId(nowMs, systemRandom)).toString('base64url');

/** Takes an envelope apart and puts it together with other entries. */
function withEntries(body: Uint8Array, change: (entries: readonly object[]) => readonly object[]): Uint8Array {
  const opened = openEnvelope(readEnvelope(body));
  const trailer = { ...opened.trailer, signatures: [...change(opened.signatures)] };
  return writeEnvelope(makeEnvelope({ header: opened.header, payload: opened.payload, trailer }));
}

describe('forms of authentication', () => {
  it('[R079] takes a Hello without signature, bare or enveloped', async () => {
    expect(await authenticate(Buffer.from('{"Hello": {}}'))).toEqual({ form: 'null' });
    const { body } = await build('Hello', {}, []);
    expect(await authenticate(body)).toEqual({ form: 'null' });
  });

  it('[R085] takes a device by its profile', async () => {
    const { body } = await build('Hello', {}, [{ key: device.authentication, profile: device.profile }]);
    const found = await authenticate(body);
    expect(found).toMatchObject({ form: 'device', deviceUdf: device.offline.publicKey.udf });
  });

  it('[R073] takes a connected device by its connection', async () => {
    const { body } = await build('Status', { Account: account }, [profileSigner()]);
    const found = await authenticate(body);
    expect(found.form).toBe('profile');
    if (found.form !== 'profile') return;
    expect(found.key.equals(device.authentication.publicKey)).toBe(true);
    expect(Buffer.from(found.connectionDigest)).toEqual(
      Buffer.from(sha512(device.connection.payload ?? new Uint8Array(0))),
    );
  });

  it('[R083] takes CreateAccount by either kind of key of the enclosed Mesh and by no other', async () => {
    const message = { ServiceID: account, SignedProfileMesh: mesh.profile };
    for (const key of [mesh.offline, mesh.online]) {
      const { body } = await build('CreateAccount', message, [{ key }]);
      expect(await authenticate(body)).toMatchObject({ form: 'mesh', meshUdf: mesh.offline.publicKey.udf });
    }
    const { body } = await build('CreateAccount', message, [{ key: newKey() }]);
    expect(await fault(authenticate(body))).toBe('401/10');
    const none = await build('CreateAccount', { ServiceID: account }, [{ key: mesh.online }]);
    expect(await fault(authenticate(none.body))).toBe('400/0');
  });

  it('[R083] takes CreateAccount by a connected device for what it is: no Mesh', async () => {
    const message = { ServiceID: account, SignedProfileMesh: mesh.profile };
    const { body } = await build('CreateAccount', message, [profileSigner()]);
    expect((await authenticate(body)).form).toBe('profile');
    const { body: other } = await build('CreateAccount', message, [{ ...profileSigner(), key: newKey() }]);
    expect(await fault(authenticate(other))).toBe('401/10');
  });

  it('[R083] verifies the entry of the first device beside that of the Mesh', async () => {
    const message = { ServiceID: account, SignedProfileMesh: mesh.profile };
    const second = { key: device.authentication, profile: device.profile };
    const { body } = await build('CreateAccount', message, [{ key: mesh.online }, second]);
    expect((await authenticate(body)).form).toBe('mesh');
    const false_ = { key: newKey(), profile: device.profile };
    const { body: other } = await build('CreateAccount', message, [{ key: mesh.online }, false_]);
    expect(await fault(authenticate(other))).toBe('401/10');
  });

  it('[R075] [R080] refuses every other transaction without signature', async () => {
    for (const transaction of ['CreateAccount', 'DeleteAccount', 'Status', 'Download', 'Upload'] as const) {
      const { body } = await build(transaction, {}, []);
      expect(await fault(authenticate(body))).toBe('401/0');
    }
  });

  it('[S28] refuses every other transaction without envelope', async () => {
    const bare = Buffer.from(`{"Status":{"Account":"${account}"}}`);
    expect(await fault(authenticate(bare))).toBe('401/0');
  });

  it('[S28] takes them as nobody’s where a test allows it, and an unsigned envelope not even there', async () => {
    const bare = Buffer.from(`{"Status":{"Account":"${account}"}}`);
    expect(await authenticate(bare, { allowBare: true })).toEqual({ form: 'null' });
    expect(await fault(authenticate(bare, { allowBare: true, host: 'c.example' }))).not.toBe('accepted');
    const { body } = await build('Status', { Account: account }, []);
    expect(await fault(authenticate(body, { allowBare: true }))).toBe('401/0');
  });
});

describe('[S21] [S26] credentials of other kinds', () => {
  const keys = () => ({
    KeySignature: keyMember(device.signature),
    KeyAuthentication: keyMember(device.authentication),
  });

  it('authenticate nobody', async () => {
    for (const table of [ConnectionApplication, ConnectionService]) {
      const connection = stored(table as ObjectTable<object>, keys(), newKey());
      const { body } = await build('Status', { Account: account }, [{ key: device.authentication, connection }]);
      expect(await fault(authenticate(body))).toBe('401/10');
    }
  });

  it('of a host count with its profile only', async () => {
    const { identity, remove } = await makeHost();
    try {
      const { signingKey: key, profileHost: profile, connectionHost: connection } = identity;
      const { body } = await build('Hello', {}, [{ key, profile, connection }]);
      expect((await authenticate(body)).form).toBe('host');
      const alone = await build('Hello', {}, [{ key, connection }]);
      expect(await fault(authenticate(alone.body))).toBe('401/10');
    } finally {
      await remove();
    }
  });
});

describe('[S01] one key, one kind of statement', () => {
  it('refuses a Status signed by KeySignature of the connection', async () => {
    const signer = { key: device.signature, connection: device.connection };
    const { body } = await build('Status', { Account: account }, [signer]);
    expect(await fault(authenticate(body))).toBe('401/10');
  });

  it('refuses a Status signed by the offline key of the device', async () => {
    const { body } = await build('Hello', {}, [{ key: device.offline, profile: device.profile }]);
    expect(await fault(authenticate(body))).toBe('401/10');
  });
});

describe('[S02] [S21] what is signed', () => {
  it('refuses a signature of a stored object, under its own name and under that of a request', async () => {
    const { body } = await build('Status', { Account: account }, [profileSigner()]);
    const digest = openEnvelope(readEnvelope(body)).payloadDigest ?? new Uint8Array(0);
    const signature = device.authentication.sign(digest);
    for (const alg of ['S512', 'S512-REQ1']) {
      const forged = withEntries(body, ([entry]) => [{ ...entry, alg, signature }]);
      expect(await fault(authenticate(forged))).toBe('401/10');
    }
    const renamed = withEntries(body, ([entry]) => [{ ...entry, alg: 'S512' }]);
    expect(await fault(authenticate(renamed))).toBe('401/10');
  });

  it('refuses a swapped Connection', async () => {
    const { body } = await build('Status', { Account: account }, [profileSigner()]);
    const other = makeDevice();
    const superseded = withEntries(body, ([entry]) => [{ ...entry, Connection: other.connection }]);
    expect(await fault(authenticate(superseded))).toBe('401/10');
    const added = withEntries(body, ([entry]) => [{ ...entry, Account: other.connection }]);
    expect(await fault(authenticate(added))).toBe('401/10');
  });

  it('[R072] refuses a changed payload, with the stated digest and without', async () => {
    const { body } = await build('Status', { Account: account }, [profileSigner()]);
    const opened = openEnvelope(readEnvelope(body));
    const payload = Buffer.from(
      Buffer.from(opened.payload ?? '')
        .toString()
        .replace('alice', 'mallo'),
    );
    const put = (trailer: object) => writeEnvelope(makeEnvelope({ header: opened.header, payload, trailer }));
    expect(await fault(authenticate(put(opened.trailer)))).toBe('400/11');
    expect(await fault(authenticate(put({ signatures: opened.signatures })))).toBe('401/10');
  });

  it('refuses five entries without verifying any', async () => {
    const { body } = await build('Status', { Account: account }, [profileSigner()]);
    const five = withEntries(body, ([entry]) => Array(5).fill(entry));
    expect(() => decodeRequest(receiveRequest(five, 'json'))).toThrow(/more than 4 signatures/);
  });

  it('refuses more verifications than one request may cause, counted over all its profiles', async () => {
    const signedTimes = (envelope: EnvelopeOctets, count: number) => {
      const { header, payload, signatures } = openEnvelope(envelope);
      return makeEnvelope({ header, payload, trailer: { signatures: Array(count).fill(signatures[0]) } });
    };
    const ask = async (meshCount: number, deviceCount: number) => {
      const message = { ServiceID: account, SignedProfileMesh: signedTimes(mesh.profile, meshCount) };
      const second = { key: device.authentication, profile: signedTimes(device.profile, deviceCount) };
      const { body } = await build('CreateAccount', message, [{ key: mesh.online }, second]);
      return fault(authenticate(body));
    };
    // With one for each of the two entries: 8 and 9.
    expect(await ask(3, 3)).toBe('accepted');
    expect(await ask(4, 3)).toBe('400/0');
  });

  it('counts the signatures of the account assertion too, which the shard verifies', async () => {
    const ask = async (meshCount: number, accountCount: number) => {
      const { header, payload, signatures } = openEnvelope(mesh.profile);
      const times = (count: number) =>
        makeEnvelope({ header, payload, trailer: { signatures: Array(count).fill(signatures[0]) } });
      const profiles = { SignedProfileMesh: times(meshCount), SignedAssertionAccount: times(accountCount) };
      const { body } = await build('CreateAccount', { ServiceID: account, ...profiles }, [{ key: mesh.online }]);
      return fault(authenticate(body));
    };
    expect(await ask(4, 3)).toBe('accepted');
    expect(await ask(4, 4)).toBe('400/0');
  });

  it('refuses an entry that names another key than its credentials, though the signature holds', async () => {
    const { body } = await build('Status', { Account: account }, [profileSigner()]);
    const { udf } = newKey().publicKey;
    const renamed = withEntries(body, ([entry]) => [{ ...entry, kid: udf }]);
    expect(await fault(authenticate(renamed))).toBe('401/10');
    const nonsense = withEntries(body, ([entry]) => [{ ...entry, kid: 'no name at all' }]);
    expect(await fault(authenticate(nonsense))).toBe('401/10');
  });

  it('refuses a credential over 8 KiB, a second one of a kind, an entry without kid', async () => {
    const { body } = await build('Status', { Account: account }, [profileSigner()]);
    const large = makeEnvelope({ header: {}, payload: new Uint8Array(8200) });
    expect(await fault(authenticate(withEntries(body, ([entry]) => [{ ...entry, Connection: large }])))).toBe('400/0');
    const twice = edited(body, '"Connection":', '"Connection":[{},""],"Connection":');
    expect(await fault(authenticate(twice).catch((error) => Promise.reject(error)))).toBe('400/0');
    const nameless = withEntries(body, ([entry]) => [{ ...entry, kid: undefined }]);
    expect(await fault(authenticate(nameless))).toBe('401/10');
  });

  it('answers a ticket that it cannot open with 401/8, so that the client signs', async () => {
    const { body } = await build('Status', { Account: account }, [profileSigner()]);
    const ticketed = withEntries(body, ([entry]) => [
      { ...entry, alg: 'HS512-REQ1', Connection: undefined, Ticket: Buffer.from([1]) },
    ]);
    expect(await fault(authenticate(ticketed))).toBe('401/8');
  });
});

describe('[S20] required members', () => {
  it('refuses a request for another service, and one that says another host than HTTP', async () => {
    const foreign = await build('Status', { Account: account }, [profileSigner()], { service: 'c.example' });
    expect(await fault(authenticate(foreign.body))).toBe('401/10');
    const { body } = await build('Status', { Account: account }, [profileSigner()]);
    expect(await fault(authenticate(body, { host: 'b.example' }))).toBe('421/0');
    expect(await fault(authenticate(body, { host: 'd.example' }))).toBe('421/0');
    expect(await fault(authenticate(Buffer.from('{"Hello":{}}'), { host: 'd.example' }))).toBe('421/0');
  });

  it('refuses a request without Service or ID, or with an ID of another length', async () => {
    const texts = [
      `{"Hello":{"ID":"${idText()}"}}`,
      `{"Hello":{"Service":"${domain}"}}`,
      `{"Hello":{"Service":"${domain}","ID":"AAAA"}}`,
    ];
    for (const text of texts) expect(await fault(authenticate(enveloped(text)))).toBe('400/0');
  });

  it('refuses repeated members at any depth', () => {
    const texts = [
      '{"Status":{"Account":"a@b.c","Account":"d@b.c"}}',
      '{"Upload":{"Updates":[{"Container":"a_b","Container":"a_c"}]}}',
      '{"Status":{"X":{"y":1,"y":2}}}',
    ];
    for (const text of texts)
      expect(() => decodeRequest(receiveRequest(enveloped(text), 'json'))).toThrow(/repeated|twice/i);
  });

  it('reads a member called __proto__ as any unknown one', () => {
    const { request } = decodeRequest(
      receiveRequest(enveloped('{"Status":{"__proto__":{"Account":"x@y.z"}}}'), 'json'),
    );
    expect('Account' in request.message ? request.message.Account : undefined).toBeUndefined();
    expect(Object.hasOwn(Object.prototype, 'Account')).toBe(false);
  });

  it('refuses unknown tags, two tags, and what is no message', () => {
    const codeOf = (text: string) => {
      try {
        decodeRequest(receiveRequest(enveloped(text), 'json'));
      } catch (error) {
        return (error as MeshError).code;
      }
      return 'accepted';
    };
    expect(codeOf('{"Frobnicate":{}}')).toBe('unknown-transaction');
    expect(codeOf('{"Hello":{},"Status":{}}')).toBe('malformed');
    for (const text of ['{}', '[]', '7', '', '{"Hello":{}} x', '{"Hello":', 'Ā'])
      expect(codeOf(text)).toBe('malformed');
    for (const body of ['', ' ', 'x', '[', '[{}]', '[{},"",{},{}]', '[1,"",{}]']) {
      expect(() => receiveRequest(Buffer.from(body), 'json')).toThrow();
    }
  });

  it('[R312] takes class names for transactions', () => {
    const { request } = decodeRequest(receiveRequest(Buffer.from('{"HelloRequest":{}}'), 'json'));
    expect(request.transaction).toBe('Hello');
  });

  it('keeps what an answer needs from a message that breaks off', () => {
    const id = idText();
    const { base } = receiveRequest(enveloped(`{"Upload":{"Service":"${domain}","ID":"${id}","Updates":[{`), 'json');
    expect(base.transaction).toBe('Upload');
    expect(base.service).toBe(domain);
    expect(Buffer.from(base.id ?? '').toString('base64url')).toBe(id);
  });

  it('refuses a message over the bound of its transaction', () => {
    const text = `{"Status":{"Service":"${domain}","x":"${'y'.repeat(256 * 1024)}"}}`;
    expect(() => decodeRequest(receiveRequest(enveloped(text), 'json'))).toThrow(/Over the limit/);
  });
});

describe('[S27] time', () => {
  it.each([
    [300_000, 'accepted'],
    [-300_000, 'accepted'],
    [300_001, '401/21'],
    [-300_001, '401/21'],
  ])('judges a request %i ms away', async (offsetMs, expected) => {
    const { body } = await build('Status', { Account: account }, [profileSigner()], { atMs: nowMs + offsetMs });
    expect(await fault(authenticate(body))).toBe(expected);
  });

  it('is not fooled by a time beyond all numbers', async () => {
    const id = new Uint8Array(24).fill(255);
    const { body } = await build('Status', { Account: account }, [profileSigner()], { id });
    expect(await fault(authenticate(body))).toBe('401/21');
  });
});
