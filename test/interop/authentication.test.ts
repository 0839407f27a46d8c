/** Who is who: forms, signatures, credentials (S01, S20–S24), and what is told to whom that is not (S84). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, createAccount, deviceEntry, item, newAddress } from './kit/account.js';
import { dateTime, open, signObject, tagged } from './kit/dare.js';
import { newKey, publicKey } from './kit/keys.js';
import { b64, concat, zeros } from './kit/octets.js';
import { type Answer, codesOf, type Peer } from './kit/peer.js';
import { catalogedDevice, newDevice, newPerson } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest, newId, type Signer } from './kit/request.js';
import { peek } from './kit/response.js';
import { post } from './kit/wire.js';

let running: Running;
let peer: Peer;
let account: Account;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
  account = await Account.open(peer);
});
afterAll(() => running?.stop());

const status = (signers: readonly Signer[], message: object = {}): Promise<Answer> =>
  peer.call('Status', { Account: account.person.address, ...message }, signers);
const invalid = { status: 401, extended: 10, http: 401, tag: 'StatusResponse' };
const unknown = { status: 401, extended: undefined, http: 401, tag: 'StatusResponse' };

const tags: [string, string][] = [
  ['CreateAccount', 'CreateResponse'],
  ['DeleteAccount', 'DeleteResponse'],
  ['Status', 'StatusResponse'],
  ['Download', 'DownloadResponse'],
  ['Upload', 'UploadResponse'],
  ['Post', 'PostResponse'],
  ['Connect', 'ConnectResponse'],
  ['Complete', 'StatusResponse'],
  ['StoreLarge', 'StoreLargeResponse'],
  ['FetchLarge', 'FetchLargeResponse'],
];

describe('the null form', () => {
  for (const [tag, answerTag] of tags) {
    it(`[R075] [R080] ${tag} in an unsigned envelope: 401, signed`, async () => {
      const answer = await peer.call(tag, { Account: account.person.address, ServiceID: account.person.address }, []);
      expect(answer).toMatchObject({ status: 401, tag: answerTag });
      expect(answer.http.headers['www-authenticate']).toBe('Mesh');
    });

    it(`[R062] [R080] [S28] ${tag} naked: 401, naked`, async () => {
      const answer = await post(running.provider, JSON.stringify({ [tag]: { Account: account.person.address } }));
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Mesh');
      expect(answer.body.startsWith('{')).toBe(true);
      expect(peek(answer.body)).toMatchObject({ tag: answerTag, message: { Status: 401 } });
    });
  }

  it('[S28] a naked Hello behind headers of proxies is no other Hello', async () => {
    const headers = { forwarded: 'for=192.0.2.1', 'x-forwarded-for': '192.0.2.1', via: '1.1 proxy' };
    const [behind, bare] = [
      await post(running.provider, '{"Hello":{}}', { headers }),
      await post(running.provider, '{"Hello":{}}'),
    ];
    expect([behind.status, peek(behind.body).tag]).toEqual([bare.status, peek(bare.body).tag]);
    expect((await post(running.provider, '{"Status":{}}', { headers })).status).toBe(401);
  });
});

describe('the device form', () => {
  it('[R084] [R085] a device’s own key is not enough for Status, Download, Upload, DeleteAccount: 401', async () => {
    const signer = { key: account.device.baseAuthentication, profile: account.device.profile };
    for (const tag of ['Status', 'Download', 'Upload', 'DeleteAccount']) {
      expect((await peer.call(tag, { Account: account.person.address }, [signer])).status).toBe(401);
    }
  });

  it('[S01] only the profile’s KeyAuthentication signs', async () => {
    const answer = await peer.call('Hello', {}, [{ key: account.device.offline, profile: account.device.profile }]);
    expect(codesOf(answer)).toMatchObject({ status: 401, extended: 10 });
  });

  it('[R305] a profile whose UDF does not fit its key is none', async () => {
    const authentication = newKey();
    const members = {
      KeyOfflineSignature: publicKey(account.device.offline),
      KeyAuthentication: { ...publicKey(authentication), UDF: newKey().udf },
    };
    const profile = signObject(tagged('ProfileDevice', members), [account.device.offline]);
    expect((await peer.call('Hello', {}, [{ key: authentication, profile }])).status).toBe(401);
  });
});

describe('the profile form', () => {
  it('[R085] [S21] is Status signed by the key that the connection names', async () => {
    expect((await status([account.signer])).status).toBe(201);
  });

  it('[S01] the connection’s KeySignature is for other things: 401/10', async () => {
    expect(codesOf(await status([{ ...account.signer, key: account.device.signature }]))).toEqual(invalid);
  });

  it('[S02] [S21] a signature of the stored-object form is none: 401/10', async () => {
    expect(codesOf(await status([{ ...account.signer, alg: 'S512' }]))).toMatchObject({ status: 401 });
    expect(codesOf(await status([{ ...account.signer, alg: 'EdDSA' }]))).toMatchObject({ status: 401 });
  });

  it('[S21] [S24] a connection that was swapped on the way: 401/10', async () => {
    const other = newDevice(account.person, Date.now() + 2000, { of: account.device });
    expect(codesOf(await status([{ ...account.signer, swapped: other.connection }]))).toEqual(invalid);
  });

  it('[S21] a connection that was taken away: 401', async () => {
    const signer = { key: account.device.authentication };
    expect((await status([signer])).status).toBe(401);
  });

  it('[S04] a key under the device’s name: 401/10', async () => {
    const signer = { ...account.signer, key: newKey(), kid: account.device.authentication.udf };
    expect(codesOf(await status([signer]))).toEqual(invalid);
  });

  it('[R069] [R072] a changed payload: 400/11 by the stated digest, 401/10 by the signature where none is stated', async () => {
    const sent = makeRequest({
      tag: 'Status',
      message: { Account: account.person.address },
      signers: [account.signer],
    });
    const [header, payload, trailer] = JSON.parse(sent.body) as [object, string, { PayloadDigest?: string }];
    const changed = Buffer.from(Buffer.from(payload, 'base64url').toString('utf8').replace('"Status"', '"Status" '));
    const { PayloadDigest, ...rest } = trailer;
    for (const [tail, codes] of [
      [{ ...rest, PayloadDigest }, [400, 11]],
      [rest, [401, 10]],
    ]) {
      const answer = await post(running.provider, JSON.stringify([header, changed.toString('base64url'), tail]));
      expect([answer.status, peek(answer.body).message.StatusExtended]).toEqual(codes);
    }
    const whole = JSON.stringify([header, payload, rest]);
    expect((await peer.send({ ...sent, body: whole })).status).toBe(201);
  });

  it('[S11] a signature that is too short, too long, or with S beyond the order: 401/10', async () => {
    const sent = makeRequest({
      tag: 'Status',
      message: { Account: account.person.address },
      signers: [account.signer],
    });
    const [header, payload, trailer] = JSON.parse(sent.body) as [
      object,
      string,
      { signatures: { signature: string }[] },
    ];
    const [entry] = trailer.signatures as [{ signature: string }];
    const good = new Uint8Array(Buffer.from(entry.signature, 'base64url'));
    const beyond = concat(good.subarray(0, 57), new Uint8Array(57).fill(0xff));
    for (const signature of [good.subarray(1), concat(good, zeros(1)), beyond, zeros(114), zeros(0)]) {
      const signatures = [{ ...entry, signature: b64(signature) }];
      const answer = await post(running.provider, JSON.stringify([header, payload, { ...trailer, signatures }]));
      expect([answer.status, peek(answer.body).message.StatusExtended]).toEqual([401, 10]);
    }
  });

  it('[S22] a second, valid entry of somebody else changes nothing about who asks', async () => {
    const other = await Account.open(peer);
    expect((await status([account.signer, other.signer])).status).toBe(201);
    expect((await status([other.signer])).status).toBe(401);
  });

  it('[S24] a connection that the account did not sign: 401 without a word', async () => {
    const choices = { of: account.device, connectionSigner: newKey() };
    const device = newDevice(account.person, Date.now() + 2000, choices);
    expect(codesOf(await status([{ key: device.authentication, connection: device.connection }]))).toEqual(unknown);
  });

  it('[S24] a connection of the Mesh is not one of the account', async () => {
    const signer = { key: account.device.authentication, connection: account.device.connectionDevice };
    expect((await status([signer])).status).toBe(401);
  });

  it('[S21] four entries are read, five are 400', async () => {
    const admin = { key: account.person.meshOnline };
    expect((await status([account.signer, admin, admin, admin])).status).toBe(201);
    expect(codesOf(await status([account.signer, admin, admin, admin, admin]))).toMatchObject({ status: 400 });
  });
});

describe('the host form', () => {
  /** A service of its own, with a host that it vouches for. */
  const host = () => {
    const [service, offline, authentication] = [newKey(), newKey(), newKey()];
    const members = { KeyOfflineSignature: publicKey(offline), KeyAuthentication: publicKey(authentication) };
    const day = 86_400_000;
    const connection = signObject(
      tagged('ConnectionHost', {
        Updated: dateTime(Date.now()),
        SubjectUDF: offline.udf,
        AuthorityUDF: service.udf,
        ServiceID: ['peer.example'],
        KeyAuthentication: publicKey(authentication),
        NotBefore: dateTime(Date.now() - 60_000),
        NotAfter: dateTime(Date.now() + day),
      }),
      [service],
    );
    return { key: authentication, profile: signObject(tagged('ProfileHost', members), [offline]), connection };
  };

  it('[R080] says Hello', async () => {
    expect((await peer.call('Hello', {}, [host()])).status).toBe(201);
  });

  it('has no accounts here: 403/5', async () => {
    for (const tag of ['Status', 'Download', 'Upload', 'DeleteAccount']) {
      const answer = await peer.call(tag, { Account: account.person.address }, [host()]);
      expect([tag, answer.status, answer.extended]).toEqual([tag, 403, 5]);
    }
  });
});

describe('connections over time', () => {
  it('[R124] [R251] [S24] a superseded connection: Status brings the newer one, and its rights; all else is 401', async () => {
    const mine = await Account.open(peer);
    const choices = { of: mine.device, permissions: [{ Name: 'Messaging' }] };
    const newer = newDevice(mine.person, Date.now() + 2000, choices);
    expect((await mine.append('my_Notes', [item('a', '1')])).status).toBe(201);
    const meta = { Event: 'Update', First: 1, Previous: 1 };
    expect((await mine.append('mmm_Device', [deviceEntry(mine.person, newer, meta)])).status).toBe(201);
    const { status: told, message } = await mine.status();
    expect(told).toBe(201);
    const brought = open(message.EnvelopedCatalogEntryDevice ?? []).payload;
    expect(Buffer.from(brought as Uint8Array)).toEqual(Buffer.from(catalogedDevice(mine.person, newer)));
    const updated = new Account(peer, mine.person, newer);
    const current = await updated.status();
    expect(current.message).not.toHaveProperty('EnvelopedCatalogEntryDevice');
    expect(message.ContainerStatus).toEqual(current.message.ContainerStatus);
    expect(message.ContainerStatus?.map(({ Container }) => Container)).not.toContain('my_Notes');
    for (const tag of ['Download', 'Upload']) {
      expect(codesOf(await mine.call(tag, {}))).toMatchObject({ status: 401, extended: undefined });
    }
  });

  it('[S24] [R115] a revoked device: 401/4, at once, for all that it asks', async () => {
    const mine = await Account.open(peer);
    const second = new Account(peer, mine.person);
    expect((await mine.append('mmm_Device', [deviceEntry(mine.person, second.device)])).status).toBe(201);
    expect((await second.status()).status).toBe(201);
    const meta = { Event: 'Delete', First: 2, Previous: 2 };
    const removal = { ...item(second.device.offline.udf, '', meta) };
    expect((await mine.append('mmm_Device', [removal])).status).toBe(201);
    for (const tag of ['Status', 'Download', 'Upload']) {
      expect(codesOf(await second.call(tag, {}))).toMatchObject({ status: 401, extended: 4 });
    }
    expect((await mine.status()).status).toBe(201);
  });

  it('[S25] the last device gone, its connection does not bootstrap again', async () => {
    const mine = await Account.open(peer);
    const removal = item(mine.device.offline.udf, '', { Event: 'Delete', First: 1, Previous: 1 });
    expect((await mine.append('mmm_Device', [removal])).status).toBe(201);
    expect(codesOf(await mine.status())).toMatchObject({ status: 401, extended: 4 });
    const back = await mine.append('mmm_Device', [deviceEntry(mine.person, mine.device)]);
    expect(codesOf(back)).toMatchObject({ status: 401, extended: 4 });
  });

  it('[R191] [R193] [R194] any order, any connection, without Hello', async () => {
    const mine = await Account.open(peer);
    const sent = () =>
      makeRequest({ tag: 'Status', message: { Account: mine.person.address }, signers: [mine.signer] });
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => peer.send(sent(), { headers: { connection: 'close' } })),
    );
    expect(answers.map((answer) => answer.status)).toEqual([201, 201, 201, 201, 201, 201]);
  });
});

describe('accounts that are not there', () => {
  it('[R264] [S84] are answered as a stranger is by an account that is: 401, no extended code', async () => {
    const nobody = newPerson(newAddress());
    const device = newDevice(nobody);
    const signer = { key: device.authentication, connection: device.connection };
    const absent = await peer.call('Status', { Account: nobody.address }, [signer]);
    const present = await status([signer]);
    expect(codesOf(absent)).toEqual(unknown);
    expect(codesOf(present)).toEqual(unknown);
    expect({ ...absent.message, ID: '' }).toEqual({ ...present.message, ID: '' });
  });

  it('[R109] an account whose creation was refused is not there', async () => {
    const person = newPerson(newAddress(), Date.now(), { meshUdf: newKey().udf });
    expect((await createAccount(peer, person)).status).toBe(400);
    expect(codesOf(await new Account(peer, person).status())).toEqual(unknown);
  });
});

describe('members of every request', () => {
  it('[S20] without ID, or with one of another length: 400', async () => {
    for (const ID of [undefined, '', b64(zeros(16)), b64(concat(newId(), zeros(1)))]) {
      expect((await statusWith({ ID })).status).toBe(400);
    }
  });

  it('[S20] without Service: 400', async () => {
    expect((await statusWith({ Service: undefined })).status).toBe(400);
  });

  it('[S20] a Service that is not served: 401/10', async () => {
    const answer = await post(running.provider, statusBody({ Service: 'elsewhere.example' }, 'elsewhere.example'));
    expect([answer.status, peek(answer.body).message.StatusExtended]).toEqual([401, 10]);
  });

  it('[S20] [R196] a Service that is served, but not the Host: 421', async () => {
    const answer = await post(running.provider, statusBody({ Service: 'b.example' }, 'b.example'));
    expect([answer.status, peek(answer.body).message.Status]).toEqual([421, 421]);
  });

  it('[S20] Account twice: 400; once is right', async () => {
    const id = newId();
    const members = `"Service":"example.com","ID":"${b64(id)}","Account":"${account.person.address}"`;
    for (const [extra, expected] of [
      ['', 201],
      [`,"Account":"${account.person.address}"`, 400],
    ] as const) {
      const payloadText = `{"Status":{${members}${extra}}}`;
      const sent = makeRequest({ tag: 'Status', id, payloadText, signers: [account.signer] });
      expect((await peer.send(sent)).status).toBe(expected);
    }
  });

  const statusBody = (members: object, service = 'example.com'): string => {
    const message = { Service: service, ID: b64(newId()), Account: account.person.address, ...members };
    return makeRequest({
      tag: 'Status',
      service,
      payloadText: JSON.stringify({ Status: message }),
      signers: [account.signer],
    }).body;
  };
  const statusWith = async (members: object) => {
    const answer = await post(running.provider, statusBody(members));
    return { status: answer.status, message: peek(answer.body).message };
  };

  it('the account’s device is still welcome after all this', async () => {
    expect(open(account.device.connection).payload).not.toBeNull();
    expect((await account.status()).status).toBe(201);
  });
});
