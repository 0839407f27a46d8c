/** One meaning, several spellings: names, escapes, marks, numbers (encoding 1.2, 4.3, 5). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, createAccount, newAddress } from './kit/account.js';
import { open, signObject, tagged } from './kit/dare.js';
import { publicKey } from './kit/keys.js';
import { b64, text, utf8 } from './kit/octets.js';
import { codesOf, type Peer } from './kit/peer.js';
import { newPerson, profileAccount } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest, newId } from './kit/request.js';
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

const plain = (udf: string): string => udf.replaceAll('-', '').toLowerCase();

describe('fingerprints', () => {
  it('[R305] are read in either case, with dashes or without: in entries of requests', async () => {
    for (const kid of [plain(account.device.authentication.udf), account.device.authentication.udf.toLowerCase()]) {
      const answer = await peer.call('Status', { Account: account.person.address }, [{ ...account.signer, kid }]);
      expect([kid, answer.status]).toEqual([kid, 201]);
    }
  });

  it('[R305] in profiles', async () => {
    const person = newPerson(newAddress());
    const key = (of: typeof person.meshOffline) => ({ ...publicKey(of), UDF: plain(of.udf) });
    const members = {
      Updated: '2026-01-01T00:00:00Z',
      KeyOfflineSignature: key(person.meshOffline),
      KeysOnlineSignature: [key(person.meshOnline)],
    };
    const mesh = signObject(tagged('ProfileMesh', members), [person.meshOffline]);
    const meshUdf = plain(person.meshOffline.udf);
    const assertion = profileAccount(person.address, person, Date.now(), { meshUdf });
    expect((await createAccount(peer, { ...person, profileMesh: mesh, profileAccount: assertion })).status).toBe(201);
  });

  it('[R246] in DeviceUDF', async () => {
    expect((await account.status({ DeviceUDF: plain(account.device.offline.udf) })).status).toBe(201);
  });

  it('with a character that is none of the alphabet are no fingerprints', async () => {
    const kid = account.device.authentication.udf.replace(/.$/, '1');
    const answer = await peer.call('Status', { Account: account.person.address }, [{ ...account.signer, kid }]);
    expect(codesOf(answer)).toMatchObject({ status: 401, extended: 10 });
  });
});

describe('texts of requests', () => {
  const send = async (make: (id: string) => string, prefix = new Uint8Array(0)): Promise<number> => {
    const id = newId();
    const payloadText = `${text(prefix)}${make(b64(id))}`;
    const { body } = makeRequest({ tag: '', id, payloadText, signers: [account.signer] });
    return (await post(running.provider, body)).status;
  };
  const status = (id: string, more = ''): string =>
    `{"Status":{"Service":"example.com","ID":"${id}","Account":"${account.person.address}"${more}}}`;

  it('[R096] escapes in names and values mean what they stand for', async () => {
    expect(
      await send((id) => status(id).replace('"Status"', '"\\u0053tatus"').replace('"Account"', '"\\u0041ccount"')),
    ).toBe(201);
    expect(await send((id) => status(id).replace('example.com', 'ex\\u0061mple.com'))).toBe(201);
    expect(await send((id) => status(id, ',"Account":"x"').replace('"Account":"x"', '"\\u0041ccount":"x"'))).toBe(400);
  });

  it('[R302] white space anywhere, and any order', async () => {
    expect(await send((id) => `\r\n\t ${status(id).replaceAll('":', '" :\n').replaceAll(',"', '\t,\r\n"')} \n`)).toBe(
      201,
    );
    expect(
      await send((id) => `{"Status":{"Account":"${account.person.address}","ID":"${id}","Service":"example.com"}}`),
    ).toBe(201);
  });

  it('a byte order mark before the message is skipped; elsewhere it is a fault', async () => {
    expect(await send((id) => `\ufeff${status(id)}`)).toBe(201);
    expect(await send((id) => status(id).replace('{"Status"', '{\ufeff"Status"'))).toBe(400);
  });

  it('[R095] integers have no fraction and no exponent', async () => {
    const select = (id: string, index: string): string =>
      `{"Download":{"Service":"example.com","ID":"${id}","Account":"${account.person.address}","Select":[{"Container":"mmm_Device","IndexMin":${index}}]}}`;
    for (const [index, expected] of [
      ['1', 201],
      ['-0', 201],
      ['1.0', 400],
      ['1e0', 400],
      ['01', 400],
      ['+1', 400],
      ['0x1', 400],
      ['9007199254740992', 400],
      ['99999999999999999999', 400],
      ['NaN', 400],
    ] as const) {
      expect([index, await send((id) => select(id, index))]).toEqual([index, expected]);
    }
  });

  it('[R302] other control characters inside strings, and octets that are no UTF-8: 400', async () => {
    expect(await send((id) => status(id, ',"Unheard":"\u0001"'))).toBe(400);
    const id = newId();
    const payload = Buffer.concat([
      Buffer.from(status(b64(id)).replace('}}', ',"Unheard":"')),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}}'),
    ]);
    const body = JSON.stringify([{ dig: 'S512' }, payload.toString('base64url'), {}]);
    expect((await post(running.provider, body)).status).toBeGreaterThanOrEqual(400);
  });

  it('[R100] text that goes on: 400', async () => {
    expect(await send((id) => `${status(id)}{}`)).toBe(400);
    expect(await send((id) => `${status(id)},`)).toBe(400);
    expect(await send((id) => status(id).replace('"}}', '",}}'))).toBe(400);
  });
});

describe('texts of envelopes', () => {
  const of = (payload: string, header = '{}', more = ''): string => `[${header},"${payload}"${more}]`;
  const helloText = (): string => makeRequest({ tag: 'Hello' }).body;

  it('[R071] two elements are enough; an empty header too', async () => {
    const [, payload] = JSON.parse(helloText()) as [object, string];
    for (const body of [of(payload), of(payload, '{}', ',{}'), of(payload, '{"Unheard":[1]}', ',{"signatures":[]}')]) {
      expect([body.slice(0, 20), (await post(running.provider, body)).status]).toEqual([body.slice(0, 20), 201]);
    }
  });

  it('[R101] [S05] base64 that is folded, padded, or of the plain alphabet is the same', async () => {
    const [, payload] = JSON.parse(helloText()) as [object, string];
    const folded = payload.replace(/(.{20})/g, '$1\n  ');
    const classic = Buffer.from(payload, 'base64url').toString('base64');
    for (const body of [of(folded), of(classic)]) expect((await post(running.provider, body)).status).toBe(201);
  });

  it('[R103] digests of the stated algorithm: SHA2 is S512; a profile under an unknown one is not verified', async () => {
    const message = { Account: account.person.address };
    const statusWith = (header: object) => peer.call('Status', message, [account.signer], { header });
    expect((await statusWith({ dig: 'SHA2' })).status).toBe(201);
    expect((await statusWith({ dig: undefined })).status).toBe(201);
    for (const [dig, expected] of [
      ['SHA2', 201],
      [undefined, 201],
      ['S999', 400],
      ['S256', 400],
    ] as const) {
      const person = newPerson(newAddress());
      const payload = open(person.profileMesh).payload as Uint8Array;
      const mesh = signObject(payload, [person.meshOffline], dig === undefined ? {} : { dig });
      expect([dig, (await createAccount(peer, { ...person, profileMesh: mesh })).status]).toEqual([dig, expected]);
    }
  });

  it('[R302] profiles with folded base64 and their octets are kept as they came', async () => {
    const { message } = await account.status();
    const stored = open(message.EnvelopedProfileMaster ?? []).payload as Uint8Array;
    expect(b64(stored)).toBe(b64(open(account.person.profileMesh).payload as Uint8Array));
    expect(utf8(text(stored))).toEqual(stored);
  });
});
