/** CreateAccount: who may, what must hold between the profiles, which names, and what stands there afterwards. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, createAccount, creationOf, newAddress } from './kit/account.js';
import { open, signObject, tagged, type Wire } from './kit/dare.js';
import { keyUdf, newKey, publicKey, publicKeyOfRaw } from './kit/keys.js';
import { b64, concat, sha512, text, utf8, zeros } from './kit/octets.js';
import { type Answer, codesOf, type Peer } from './kit/peer.js';
import { newDevice, newMesh, newPerson, type Person, profileAccount, profileMesh } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest } from './kit/request.js';
import { apexOf } from './kit/trees.js';

let running: Running;
let peer: Peer;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
});
afterAll(() => running?.stop());

const refusal = (status: number, extended?: number) => ({ status, extended, http: status, tag: 'CreateResponse' });
const create = async (person: Person) => codesOf(await createAccount(peer, person));

describe('creation', () => {
  it('[R083] [R109] [R114] [R288] answers 201 with a text, and the account is there', async () => {
    const person = newPerson(newAddress());
    const answer = await createAccount(peer, person);
    expect(codesOf(answer)).toEqual(refusal(201));
    expect(answer.message.StatusDescription).toEqual(expect.any(String));
    expect((await new Account(peer, person).status()).status).toBe(201);
  });

  it('[R083] may be signed by an online key of the Mesh, with the first device beside it', async () => {
    const person = newPerson(newAddress());
    const device = newDevice(person);
    const signers = [{ key: person.meshOnline }, { key: device.baseAuthentication, profile: device.profile }];
    expect((await peer.call('CreateAccount', creationOf(person), signers)).status).toBe(201);
  });

  it('[R312] is taken as CreateRequest', async () => {
    const person = newPerson(newAddress());
    const answer = await peer.call('CreateRequest', creationOf(person), [{ key: person.meshOffline }]);
    expect(codesOf(answer)).toEqual(refusal(201));
  });

  it('[R302] takes profiles whose strings are folded by raw line feeds', async () => {
    const person = newPerson(newAddress());
    const payload = text(open(person.profileMesh).payload as Uint8Array);
    const folded = payload.replace(/"Public":"([^"]{30})/, '"Public":"$1\n  ');
    expect(folded).not.toBe(payload);
    const mesh = signObject(utf8(folded), [person.meshOffline]);
    expect(await create({ ...person, profileMesh: mesh })).toEqual(refusal(201));
  });

  it('[R118] [R228] [R229] Status right after lists exactly the three spools, with one frame each', async () => {
    const account = await Account.open(peer, { bootstrap: false });
    const { message } = await account.status();
    const apex = b64(apexOf([sha512(zeros(0))]));
    const listed = [...(message.ContainerStatus ?? [])].sort((a, b) =>
      (a.Container ?? '').localeCompare(b.Container ?? ''),
    );
    expect(listed).toEqual(
      ['mmm_Archive', 'mmm_Inbound', 'mmm_Outbound'].map((Container) => ({ Container, Index: 1, Digest: apex })),
    );
  });

  it('[R192] repeated with the same profiles is 201 again; and changes nothing', async () => {
    const account = await Account.open(peer);
    expect(await create(account.person)).toEqual(refusal(201));
    expect((await account.status()).message.ContainerStatus).toHaveLength(4);
  });

  it('[R291] [S25] newer profiles of the same Mesh replace the stored ones: 202', async () => {
    const account = await Account.open(peer);
    const { person } = account;
    const newer = { ...person, profileAccount: profileAccount(person.address, person, Date.now() + 5000) };
    expect(await create(newer)).toEqual(refusal(202));
    expect((await account.status()).status).toBe(201);
  });

  it('[S25] older profiles of the same Mesh are refused: 409/12', async () => {
    const account = await Account.open(peer);
    const { person } = account;
    const older = { ...person, profileAccount: profileAccount(person.address, person, Date.now() - 60_000) };
    expect(await create(older)).toEqual(refusal(409, 12));
  });

  it('[R291] another Mesh finds the name taken: 409/1', async () => {
    const { person } = await Account.open(peer);
    expect(await create(newPerson(person.address))).toEqual(refusal(409, 1));
    expect(await create(newPerson(person.address.toUpperCase()))).toEqual(refusal(409, 1));
  });

  it('[R198] the canonical form counts: letters of either case make one account', async () => {
    const address = newAddress('EXAMPLE.com', 'Mixed');
    const account = new Account(peer, newPerson(address));
    expect((await createAccount(peer, account.person)).status).toBe(201);
    expect((await account.status({ Account: address.toLowerCase() })).status).toBe(201);
  });
});

describe('who asks', () => {
  it('[R075] [R080] nobody: 401', async () => {
    const answer = await peer.call('CreateAccount', creationOf(newPerson(newAddress())), []);
    expect(codesOf(answer)).toEqual(refusal(401, answer.extended));
    expect([undefined, 10]).toContain(answer.extended);
  });

  it('[R083] somebody who only has the profiles: 401/10', async () => {
    const person = newPerson(newAddress());
    const signers = [newKey(), person.accountOffline, person.accountOnline].map((key) => ({ key }));
    for (const signer of signers) {
      expect(codesOf(await peer.call('CreateAccount', creationOf(person), [signer]))).toEqual(refusal(401, 10));
    }
  });

  it('[R083] a second entry counts: a wrong one is 401/10', async () => {
    const person = newPerson(newAddress());
    const device = newDevice(person);
    const signers = [
      { key: person.meshOffline },
      { key: newKey(), kid: device.baseAuthentication.udf, profile: device.profile },
    ];
    expect(codesOf(await peer.call('CreateAccount', creationOf(person), signers))).toEqual(refusal(401, 10));
  });

  it('[S04] a key with the UDF of a Mesh key, but other octets, is not that key: 401/10', async () => {
    const person = newPerson(newAddress());
    const signer = { key: newKey(), kid: person.meshOffline.udf };
    expect(codesOf(await peer.call('CreateAccount', creationOf(person), [signer]))).toEqual(refusal(401, 10));
  });
});

describe('profiles', () => {
  const bad: [string, (address: string) => Person][] = [
    [
      'no Mesh signature on the account',
      (address) => newPerson(address, Date.now(), { signers: (k) => [k.accountOffline] }),
    ],
    ['a foreign signature on the account', (address) => newPerson(address, Date.now(), { signers: () => [newKey()] })],
    ['another Mesh in MeshProfileUDF', (address) => newPerson(address, Date.now(), { meshUdf: newKey().udf })],
    [
      'an address that is not among ServiceIDs',
      (address) => newPerson(address, Date.now(), { addresses: ['x@example.com'] }),
    ],
    ['no ServiceIDs', (address) => newPerson(address, Date.now(), { addresses: [] })],
    ['a Mesh profile of another key', (address) => ({ ...newPerson(address), profileMesh: meshSignedBy(newKey()) })],
    ['a Mesh profile in place of the account', (address) => swap(newPerson(address), 'mesh')],
    ['an account in place of the Mesh profile', (address) => swap(newPerson(address), 'account')],
  ];
  for (const [what, make] of bad) {
    it(`[R110] [R292] ${what}: 400/10`, async () => {
      const person = make(newAddress());
      const answer = await peer.call('CreateAccount', creationOf(person), [{ key: person.meshOffline }]);
      expect(codesOf(answer)).toEqual(refusal(400, 10));
      expect(answer.message.Reason ?? answer.message.StatusDescription).toEqual(expect.any(String));
    });
  }

  it('[R305] a UDF that is not of its key: 400/10', async () => {
    const person = newPerson(newAddress());
    const members = {
      KeyOfflineSignature: publicKey(person.meshOffline),
      KeysOnlineSignature: [{ ...publicKey(person.meshOnline), UDF: newKey().udf }],
    };
    const mesh = signObject(tagged('ProfileMesh', members), [person.meshOffline]);
    expect(await create({ ...person, profileMesh: mesh })).toEqual(refusal(400, 10));
  });

  it('[S10] keys of small order, off the curve or not canonical: 400/10', async () => {
    const identity = concat(Uint8Array.of(1), zeros(56));
    for (const raw of [zeros(57), identity, new Uint8Array(57).fill(0xff, 0, 56)]) {
      const person = newPerson(newAddress());
      const members = {
        KeyOfflineSignature: publicKey(person.meshOffline),
        KeysOnlineSignature: [publicKey(person.meshOnline), publicKeyOfRaw(raw, keyUdf(raw))],
      };
      const mesh = signObject(tagged('ProfileMesh', members), [person.meshOffline]);
      expect(await create({ ...person, profileMesh: mesh })).toEqual(refusal(400, 10));
    }
  });

  it('[R110] a profile that was changed after it was signed: 400', async () => {
    const person = newPerson(newAddress());
    const other = newPerson(newAddress());
    const [header, , trailer] = person.profileAccount;
    const swapped: Wire = [header, other.profileAccount[1], trailer];
    const answer = await createAccount(peer, { ...person, profileAccount: swapped });
    expect(answer.status).toBe(400);
    expect([10, 11]).toContain(answer.extended);
  });

  it('[R110] [R290] members that are missing: 400', async () => {
    const person = newPerson(newAddress());
    for (const member of ['ServiceID', 'SignedProfileMesh', 'SignedAssertionAccount']) {
      const answer = await peer.call('CreateAccount', { ...creationOf(person), [member]: undefined }, [
        { key: person.meshOffline },
      ]);
      // without a Mesh profile nothing says whose signature this is
      expect(member === 'SignedProfileMesh' ? [400, 401] : [400]).toContain(answer.status);
    }
  });

  it('[S20] the same member twice: 400', async () => {
    const person = newPerson(newAddress());
    const payload = text(open(person.profileMesh).payload as Uint8Array);
    const twice = payload.replace('{"ProfileMesh":{', '{"ProfileMesh":{"Updated":"2020-01-01T00:00:00Z",');
    const mesh = signObject(utf8(twice), [person.meshOffline]);
    expect((await create({ ...person, profileMesh: mesh })).status).toBe(400);
    const sent = makeRequest({
      tag: 'CreateAccount',
      message: creationOf(person),
      signers: [{ key: person.meshOffline }],
    });
    const requestText = text(open(JSON.parse(sent.body) as Wire).payload as Uint8Array);
    const again = makeRequest({
      tag: 'CreateAccount',
      id: sent.id,
      payloadText: requestText.replace('"ServiceID":', `"ServiceID":"${newAddress()}","ServiceID":`),
      signers: [{ key: person.meshOffline }],
    });
    expect((await peer.send(again)).status).toBe(400);
  });

  it('[S20] __proto__ is a member like any other that nobody knows', async () => {
    const person = newPerson(newAddress());
    const id = makeRequest({ tag: 'Hello' }).id;
    const members = JSON.stringify({ Service: 'example.com', ID: b64(id), ...creationOf(person) });
    const payloadText = `{"CreateAccount":${members.replace('{', '{"__proto__":{"Status":1},')}}`;
    const sent = makeRequest({ tag: 'CreateAccount', id, payloadText, signers: [{ key: person.meshOffline }] });
    expect((await peer.send(sent)).status).toBe(201);
  });
});

describe('names', () => {
  const refusedNames: [string, string][] = [
    ['a space', 'al ice'],
    ['a path', '../../etc/passwd'],
    ['a slash', 'a/b'],
    ['a control character', 'al\u0000ice'],
    ['a line feed', 'al\nice'],
    ['mixed scripts', 'аlice'],
    ['a letter beyond ASCII', 'zoë'],
    ['two separators in a row', 'a..b'],
    ['a separator first', '.a'],
    ['a separator last', 'a-'],
    ['no name', ''],
    ['65 octets', 'x'.repeat(65)],
    ['a second @', 'a@b'],
    ['a reserved name', 'postmaster'],
    ['a reserved name', 'abuse'],
    ['right-to-left override', 'a\u202eb'],
  ];
  for (const [what, name] of refusedNames) {
    it(`[R222] [R223] [R224] [R225] ${what} (${JSON.stringify(name).slice(0, 24)}): 403/9 with a reason`, async () => {
      const answer = await createAccount(peer, newPerson(`${name}@example.com`));
      expect(codesOf(answer)).toEqual(refusal(403, 9));
      expect(answer.message.Reason).toEqual(expect.any(String));
    });
  }

  it('[R226] [R294] the reason names the offending characters', async () => {
    const { message } = await createAccount(peer, newPerson('a!b$c@example.com'));
    expect(message.Reason).toContain('!');
    expect(message.Reason).toContain('$');
  });

  it('[R222] [R223] names of 1 and of 64 octets are taken', async () => {
    for (const name of ['q', 'y'.repeat(64), 'a.b_c-d+e']) {
      expect(await create(newPerson(`${name}@example.com`))).toEqual(refusal(201));
    }
  });

  it('[R290] a domain that is not served: 404', async () => {
    expect(await create(newPerson('alice@elsewhere.example'))).toEqual(refusal(404));
  });

  it('[R043] a name is taken in one domain only', async () => {
    const { peer: here } = running;
    const address = newAddress('b.example');
    const there = await (await import('./kit/peer.js')).Peer.meet(running.provider, 'b.example');
    expect((await createAccount(there, newPerson(address))).status).toBe(201);
    expect((await createAccount(here, newPerson(address.replace('b.example', 'example.com')))).status).toBe(201);
  });
});

describe('a provider with closed registration', () => {
  let closed: Running;
  beforeAll(async () => {
    closed = await startProvider({
      registration: 'closed',
      router: { sourceLimits: { signedRefusalsPerSecond: 1000, createAccountPerHour: 3, countLoopback: true } },
    });
  });
  afterAll(() => closed?.stop());

  it('[R294] refuses with 403/9 and a reason', async () => {
    const answer = await createAccount(closed.peer, newPerson(newAddress()));
    expect(codesOf(answer)).toEqual(refusal(403, 9));
    expect(answer.message.Reason).toMatch(/clos/i);
  });

  it('[R175] [S84] refuses a source that asks too often: 429 with Retry-After', async () => {
    const answers: Answer[] = [];
    for (let i = 0; i < 4; i += 1) answers.push(await createAccount(closed.peer, newPerson(newAddress())));
    const last = answers.at(-1) as Answer;
    expect(codesOf(last)).toEqual(refusal(429));
    expect(Number(last.http.headers['retry-after'])).toBeGreaterThan(0);
  });
});

/** A Mesh profile that says one key and is signed by another. */
function meshSignedBy(key: ReturnType<typeof newKey>): Wire {
  const mesh = newMesh(Date.now());
  const honest = profileMesh(mesh.meshOffline, [mesh.meshOnline], Date.now());
  return signObject(open(honest).payload as Uint8Array, [key]);
}

function swap(person: Person, which: 'mesh' | 'account'): Person {
  return which === 'mesh'
    ? { ...person, profileAccount: person.profileMesh }
    : { ...person, profileMesh: person.profileAccount };
}
