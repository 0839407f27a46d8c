/** Devices that are not connected, tickets, invitations; and transactions that nobody knows. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, creationOf, newAddress } from './kit/account.js';
import { signObject, tagged } from './kit/dare.js';
import { b64, utf8 } from './kit/octets.js';
import { codesOf, type Peer } from './kit/peer.js';
import { newPerson } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest, newId } from './kit/request.js';
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

describe('a device that is not connected', () => {
  it('[R016] [R283–R287] Connect: filed, and told whom it asks: 201, ConnectResponse', async () => {
    const { offline, baseAuthentication, profile } = account.device;
    const members = {
      ServiceID: account.person.address,
      EnvelopedProfileDevice: profile,
      ClientNonce: b64(new Uint8Array(16)),
    };
    const request = signObject(tagged('RequestConnection', members), [offline]);
    const signer = { key: baseAuthentication, profile };
    const answer = await peer.call('Connect', { MessageConnectionRequestClient: request }, [signer]);
    expect(codesOf(answer)).toEqual({ status: 201, extended: undefined, http: 201, tag: 'ConnectResponse' });
    expect(answer.message).toMatchObject({
      EnvelopedConnectionResponse: expect.any(Array),
      EnvelopedProfileMaster: expect.any(Array),
      EnvelopedAccountAssertion: expect.any(Array),
    });
  });

  it('[R241] [R243] Complete, while nobody has answered: 300/17, StatusResponse', async () => {
    const signer = { key: account.device.baseAuthentication, profile: account.device.profile };
    const message = { ServiceID: account.person.address, DeviceUDF: account.device.offline.udf };
    const pending = { status: 300, extended: 17, http: 200, tag: 'StatusResponse' };
    expect(codesOf(await peer.call('Complete', message, [signer]))).toEqual(pending);
  });

  it('[R086] tickets: an entry of their kind is no proof', async () => {
    const signer = { ...account.signer, alg: 'HS512-REQ1' };
    const answer = await peer.call('Status', { Account: account.person.address }, [signer]);
    expect([401, 501]).toContain(answer.status);
  });

  it('[R013] an Exchange in a Hello brings a ticket', async () => {
    const Exchange = { ClientNonce: { PublicKeyECDH: { crv: 'X448', Public: b64(new Uint8Array(56).fill(9)) } } };
    const signer = { key: account.device.baseAuthentication, profile: account.device.profile };
    const answer = await peer.call('Hello', { Exchange }, [signer]);
    expect(answer.status).toBe(201);
    expect(answer.message).toMatchObject({ Exchange: { Ticket: expect.any(String), Witness: expect.any(String) } });
  });

  it('[R294] invitations: CreateAccount with one is not refused for it', async () => {
    const person = newPerson(newAddress());
    const answer = await peer.call('CreateAccount', { ...creationOf(person), Invite: 'x' }, [
      { key: person.meshOffline },
    ]);
    expect([201, 501]).toContain(answer.status);
  });
});

describe('a message to others', () => {
  it('[R275] that proves nothing is rejected, under either name of the transaction: 403/5, PostResponse', async () => {
    const message = { Accounts: ['bob@b.example'], Message: [signObject(utf8('{}'), [account.device.signature])] };
    const refused = { status: 403, extended: 5, http: 403, tag: 'PostResponse' };
    expect(codesOf(await account.call('Post', message))).toEqual(refused);
    expect(codesOf(await account.call('PostRequest', message))).toEqual(refused);
  });
});

describe('messages that nobody knows', () => {
  const enveloped = async (payloadText: string, id = newId()) => {
    const answer = await peer.send(makeRequest({ tag: '', payloadText, id, signers: [account.signer] }));
    return codesOf(answer);
  };
  const members = (id: Uint8Array) =>
    `{"Service":"example.com","ID":"${b64(id)}","Account":"${account.person.address}"}`;

  it('[R100] a tag that is none: 400, MeshResponse', async () => {
    for (const tag of ['Frobnicate', 'status', 'StatusResponse', 'ProfileMesh', '__proto__', 'constructor', '']) {
      const id = newId();
      const answer = await post(
        running.provider,
        makeRequest({
          tag: '',
          id,
          payloadText: `{${JSON.stringify(tag)}:${members(id)}}`,
          signers: [account.signer],
        }).body,
      );
      expect([answer.status, peek(answer.body).tag, peek(answer.body).message.Status]).toEqual([
        400,
        'MeshResponse',
        400,
      ]);
    }
  });

  it('[S22] refusals are signed whatever is wrong: unknown tag, foreign Service, old time, too much', async () => {
    const message = { Account: account.person.address };
    const requests = [
      { tag: 'Frobnicate', message },
      { tag: 'Status', message, service: 'elsewhere.example' },
      { tag: 'Status', message, service: 'b.example' },
      { tag: 'Status', message, id: newId(0) },
      { tag: 'Status', message: { ...message, Unheard: 'x'.repeat(300_000) } },
      { tag: 'Status', message: { ...message, Catalogs: 1 } },
    ];
    const answers = [];
    for (const parts of requests) answers.push(await peer.send(makeRequest({ ...parts, signers: [account.signer] })));
    expect(answers.map(({ status }) => status)).toEqual([400, 401, 421, 401, 413, 400]);
    expect(answers.map(({ tag }) => tag)).toEqual([
      'MeshResponse',
      ...Array.from({ length: 5 }, () => 'StatusResponse'),
    ]);
  });

  it('[R100] two tags, or none: 400', async () => {
    const id = newId();
    for (const payloadText of [
      `{"Status":${members(id)},"Hello":{}}`,
      `{"Status":${members(id)},"Status":${members(id)}}`,
      '{}',
    ]) {
      const { body } = makeRequest({ tag: '', id, payloadText, signers: [account.signer] });
      const answer = await post(running.provider, body);
      expect([answer.status, peek(answer.body).message.Status]).toEqual([400, 400]);
    }
  });

  it('[R105] payloads that are no JSON object: 400', async () => {
    for (const payloadText of [
      '',
      '[]',
      '1',
      'null',
      '"Status"',
      '{"Status":1}',
      '{"Status":[]}',
      '{"Status":{}',
      '{"Status":{}} x',
      '\u0080',
    ]) {
      const { body } = makeRequest({ tag: '', payloadText, signers: [account.signer] });
      const answer = await post(running.provider, body);
      expect([payloadText, answer.status]).toEqual([payloadText, 400]);
    }
  });

  it('[R099] nesting beyond 64: 400; within: ignored', async () => {
    const deep = (depth: number, id: Uint8Array): string =>
      `{"Status":${members(id).replace('}', `,"Unheard":${'['.repeat(depth)}${']'.repeat(depth)}}`)}}`;
    const [one, two] = [newId(), newId()];
    expect((await enveloped(deep(50, one), one)).status).toBe(201);
    const { body } = makeRequest({ tag: '', payloadText: deep(100_000, two), id: two, signers: [account.signer] });
    expect((await post(running.provider, body)).status).toBe(400);
  });

  it('[R097] null is absence', async () => {
    const id = newId();
    const payloadText = `{"Status":${members(id).replace('}', ',"Catalogs":null,"DeviceUDF":null,"ProfileMasterDigest":null}')}}`;
    expect((await enveloped(payloadText, id)).status).toBe(201);
  });

  it('[R302] raw line feeds, carriage returns and tabs inside strings are read', async () => {
    const id = newId();
    const text = b64(id);
    const folded = `${text.slice(0, 10)}\n  ${text.slice(10, 20)}\r\n\t${text.slice(20)}`;
    const payloadText = `{"Status": {\n  "Service": "example.com",\n  "ID": "${folded}",\n  "Account": "${account.person.address}"}}`;
    expect((await enveloped(payloadText, id)).status).toBe(201);
  });

  it('[R101] base64 with padding and with + and / is read, anything else is 400', async () => {
    const id = newId();
    const plain = Buffer.from(id).toString('base64');
    const of = (text: string) =>
      `{"Status":{"Service":"example.com","ID":"${text}","Account":"${account.person.address}"}}`;
    expect((await enveloped(of(plain), id)).status).toBe(201);
    const { body } = makeRequest({ tag: '', payloadText: of(`${b64(id)}!`), id, signers: [account.signer] });
    expect((await post(running.provider, body)).status).toBe(400);
  });

  it('[R095] [R098] members of another type: 400', async () => {
    for (const [from, to] of [
      ['"Account":"', '"Catalogs":"mmm_Device","Account":"'],
      ['"Account":"', '"Catalogs":[1],"Account":"'],
      ['"Account":"', '"DeviceUDF":7,"Account":"'],
      ['"Account":"', '"DeviceProfile":"x","Account":"'],
    ] as const) {
      const id = newId();
      const { body } = makeRequest({
        tag: '',
        payloadText: `{"Status":${members(id).replace(from, to)}}`,
        id,
        signers: [account.signer],
      });
      expect((await post(running.provider, body)).status).toBe(400);
    }
  });

  it('[R061] envelopes that are none: 400', async () => {
    for (const body of [
      '[]',
      '[{}]',
      '[{},null]',
      '[{},"",{},{}]',
      '[1,2,3]',
      '[{},"!!!!"]',
      '[{},""',
      '{"Hello":',
      '',
      'x',
      '"Hello"',
      '[[[[',
    ]) {
      const answer = await post(running.provider, body);
      expect([body, answer.status]).toEqual([body, 400]);
    }
  });

  it('[S21] redacted requests: 400', async () => {
    const sent = makeRequest({
      tag: 'Status',
      message: { Account: account.person.address },
      signers: [account.signer],
    });
    const [header, , trailer] = JSON.parse(sent.body) as [object, string, object];
    for (const body of [[{ ...header, ...trailer }], [header, null, trailer]]) {
      expect((await post(running.provider, JSON.stringify(body))).status).toBe(400);
    }
  });
});
